"""Everything that can go wrong, as one tree.

```
ThousandEyesError
├── SettingsError             a variable or a block is missing or wrong; nothing was sent
├── InvalidTestIds            an ID that can't be one, or none at all; nothing was sent
├── InvalidDefinitions        a test that can't be created as it is defined; nothing was sent
└── CallFailed                one call did not end well
    ├── Unreachable           no connection: the API has not seen the call
    ├── ReplyLost             sent, and no trustworthy answer came back
    ├── QuotaExhausted        waited for quota as long as it may
    ├── RunStopped            the run was told to stop before the call went out
    └── Refused               the API answered with an error
        ├── TokenRefused      401
        ├── Forbidden         403
        ├── NotFound          404
        ├── TooManyRequests   429
        ├── InvalidCall       any other 4xx, and 3xx
        └── ServerError       5xx
```

A message never holds the token, also where the API repeated it.
"""

from http import HTTPStatus
from typing import ClassVar

from thousandeyes.outcomes import IN_DOUBT, Outcome


class ThousandEyesError(Exception):
    """The root of the tree."""


class SettingsError(ThousandEyesError):
    """A setting is missing or wrong. Names the variable, or the block, never its value."""


class InvalidTestIds(ThousandEyesError, ValueError):
    """A list of test IDs that can't be sent. Nothing was."""


class InvalidDefinitions(ThousandEyesError, ValueError):
    """Definitions of tests that can't be sent. Nothing was."""


class CallFailed(ThousandEyesError):
    """One call did not end well.

    `outcome` is what a test ends in when nothing else was heard of it. `may_pass` tells that the
    same call can succeed later.
    """

    outcome: ClassVar[Outcome]
    may_pass: ClassVar[bool] = False

    @property
    def in_doubt(self) -> bool:
        """Whether the API may have carried the call out."""
        return self.outcome in IN_DOUBT


class Unreachable(CallFailed):
    """Refused connection, failed TLS or name lookup, no connection in time: nothing was sent."""

    outcome = Outcome.UNREACHABLE
    may_pass = True


class ReplyLost(CallFailed):
    """Sent, and then no answer, half an answer, or a page that is not the API's."""

    outcome = Outcome.UNKNOWN
    may_pass = True


class QuotaExhausted(CallFailed):
    """The call waited for quota as long as it may, and was not sent."""

    outcome = Outcome.QUOTA_EXHAUSTED


class RunStopped(CallFailed):
    """The run was told to stop before the call went out."""

    outcome = Outcome.NOT_ATTEMPTED


class Refused(CallFailed):
    """The API answered, and not with success. `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, status)
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return self.message


class TokenRefused(Refused):
    """401: the token is wrong, expired, or its user is locked."""

    outcome = Outcome.FORBIDDEN


class Forbidden(Refused):
    """403: the token's user may not do this, or not in this account group."""

    outcome = Outcome.FORBIDDEN


class NotFound(Refused):
    """404: unknown in this account group."""

    outcome = Outcome.NOT_FOUND


class TooManyRequests(Refused):
    """429: the quota is used up. Refused before anything was done, so waiting is all it takes."""

    outcome = Outcome.QUOTA_EXHAUSTED


class InvalidCall(Refused):
    """Any other 4xx, and 3xx: sending the same again would get the same answer."""

    outcome = Outcome.INVALID


class ServerError(Refused):
    """5xx: whether the call was carried out can't be told."""

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
