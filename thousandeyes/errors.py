"""Everything that can go wrong, as one tree.

```
ThousandEyesError
├── SettingsError             a variable or a block is missing or wrong; nothing was sent
├── InvalidTestIds            a test ID is invalid, or there is none; nothing was sent
├── InvalidDefinitions        a test can't be created as it is defined; nothing was sent
└── CallFailed                one call failed
    ├── Unreachable           no connection: the API has not seen the call
    ├── ReplyLost             sent, but no trustworthy answer came back
    ├── QuotaExhausted        waited for quota as long as allowed
    ├── RunStopped            the run was stopped before the call went out
    └── Refused               the API answered with an error
        ├── TokenRefused      401
        ├── Forbidden         403
        ├── NotFound          404
        ├── TooManyRequests   429
        ├── InvalidCall       any other 4xx, and 3xx
        └── ServerError       5xx
```

A message never holds the token, even if the API repeated it.
"""

from http import HTTPStatus
from typing import ClassVar

from thousandeyes.outcomes import IN_DOUBT, Outcome


class ThousandEyesError(Exception):
    """The root of the tree."""


class SettingsError(ThousandEyesError):
    """A setting is missing or wrong. The message names the variable or block, never its value."""


class InvalidTestIds(ThousandEyesError, ValueError):
    """A list of test IDs can't be sent. Nothing was sent."""


class InvalidDefinitions(ThousandEyesError, ValueError):
    """Definitions of tests can't be sent. Nothing was sent."""


class CallFailed(ThousandEyesError):
    """One call failed.

    `outcome` is the test's outcome if nothing else is known of it. `may_pass` says whether the same
    call can succeed later.
    """

    outcome: ClassVar[Outcome]
    may_pass: ClassVar[bool] = False

    @property
    def in_doubt(self) -> bool:
        """Whether the API may have carried the call out."""
        return self.outcome in IN_DOUBT


class Unreachable(CallFailed):
    """Connection refused or timed out, or TLS or the name lookup failed: nothing was sent."""

    outcome = Outcome.UNREACHABLE
    may_pass = True


class ReplyLost(CallFailed):
    """Sent, but then no answer came, or half an answer, or a page that is not the API's."""

    outcome = Outcome.UNKNOWN
    may_pass = True


class QuotaExhausted(CallFailed):
    """The call waited for quota as long as allowed, and was not sent."""

    outcome = Outcome.QUOTA_EXHAUSTED


class RunStopped(CallFailed):
    """The run was stopped before the call went out."""

    outcome = Outcome.NOT_ATTEMPTED


class Refused(CallFailed):
    """The API answered with an error. `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, status)
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return self.message


class TokenRefused(Refused):
    """401: the token is wrong or expired, or its user is locked."""

    outcome = Outcome.FORBIDDEN


class Forbidden(Refused):
    """403: the token's user may not do this, at least not in this account group."""

    outcome = Outcome.FORBIDDEN


class NotFound(Refused):
    """404: not found in this account group."""

    outcome = Outcome.NOT_FOUND


class TooManyRequests(Refused):
    """429: the quota is used up. The call was not carried out, so waiting is enough."""

    outcome = Outcome.QUOTA_EXHAUSTED


class InvalidCall(Refused):
    """Any other 4xx, and 3xx: the same call would get the same answer again."""

    outcome = Outcome.INVALID


class ServerError(Refused):
    """5xx: nobody knows whether the call was carried out."""

    outcome = Outcome.SERVER_ERROR
    may_pass = True


def refusal(status: int) -> type[Refused]:
    """Return the error class for an HTTP status of 300 and above."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerError
    by_status: dict[int, type[Refused]] = {
        401: TokenRefused,
        403: Forbidden,
        404: NotFound,
        429: TooManyRequests,
    }
    return by_status.get(status, InvalidCall)
