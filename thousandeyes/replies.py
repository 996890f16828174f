"""What a reply of the API means: status, headers and body in, a body or a typed error out."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from thousandeyes.errors import Refused, ReplyLost, refusal

LONGEST_PROBLEM: Final = 400
"""Characters of the API's own words in an error."""
LONGEST_PAGE: Final = 80
"""Characters of an HTML page in an error: it is a proxy's, and says little."""


class Family(StrEnum):
    """The rate limits that a call spends, each with headers of its own."""

    ORGANIZATION = "organization"
    INSTANT = "instant"


_HTML = re.compile(r"\s*<(!doctype\s+html|html)\b", re.IGNORECASE)
_EPOCH = 1_000_000_000  # anything less is no date since 2001
_HEADER_PREFIX = {
    Family.ORGANIZATION: "x-organization-rate-limit-",
    Family.INSTANT: "x-instant-test-rate-limit-",
}


@dataclass(frozen=True)
class Told:
    """What one reply tells of one family.

    `limit` and `remaining` count calls, `reset` is the end of the window in UTC epoch seconds by
    the server's clock, `seconds_left` the time from the reply's own `Date` until then, so that a
    skewed clock on either side does no harm. It is 0 or less for a window that is over.
    """

    limit: int
    remaining: int
    reset: float
    seconds_left: float


@dataclass(frozen=True)
class Reply:
    """A whole HTTP reply, the token already taken out of its body.

    Header names are lower case; `arrived` is UTC epoch seconds by the local clock.
    """

    status: int
    headers: Mapping[str, str]
    body: str
    arrived: float

    @property
    def is_html(self) -> bool:
        """Whether the body is a web page: a proxy's or a portal's, never the API's."""
        kind = self.headers.get("content-type", "")
        return "html" in kind or bool(_HTML.match(self.body))

    @property
    def trustworthy(self) -> bool:
        """Whether the API itself took the call and said what became of it."""
        return self.status < HTTPStatus.INTERNAL_SERVER_ERROR and not self.is_html

    @property
    def date(self) -> float:
        """When the reply was made, in epoch seconds by the server's clock, else by ours."""
        try:
            return parsedate_to_datetime(self.headers["date"]).timestamp()
        except (KeyError, ValueError):
            return self.arrived

    def told(self) -> dict[Family, Told]:
        """Read the rate limit headers; a family without all three, or with nonsense, is left out.

        Source: the vendor's page on rate limits. A Reset too small to be an epoch is taken as
        seconds from now, the unit that two other limits of the same API use.
        """
        readings = {}
        for family, prefix in _HEADER_PREFIX.items():
            try:
                limit, remaining, reset = (
                    int(self.headers[prefix + name]) for name in ("limit", "remaining", "reset")
                )
            except (KeyError, ValueError):
                continue
            if min(limit, remaining, reset) < 0:
                continue
            if reset < _EPOCH:
                reset += int(self.date)
            readings[family] = Told(limit, remaining, reset, reset - self.date)
        return readings

    def retry_after(self) -> float | None:
        """Return `Retry-After` in seconds. Undocumented, and honoured by the vendor's SDKs."""
        value = self.headers.get("retry-after", "")
        if value.strip().isdigit():
            return float(value)
        try:
            return parsedate_to_datetime(value).timestamp() - self.date
        except ValueError:
            return None


def read(reply: Reply) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON of a successful reply, None where it has none.

    Raises:
        ReplyLost: A web page where the API's answer should be.
        Refused: One of its subclasses, by status, with the API's own title, detail and field
            errors in the message.
    """
    if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise refused(reply)
    if reply.is_html:
        raise ReplyLost(
            f"status {reply.status} with a web page instead of the API's answer, probably from a "
            f"proxy: {_page(reply.body)}"
        )
    return _json(reply.body)


def refused(reply: Reply) -> Refused:
    """Return the error that a reply with a status of 300 and above means."""
    return refusal(reply.status)(f"{reply.status}: {_problem(reply)}", reply.status)


def confirmation(body: object) -> str:
    """Return the API's words on an accepted rerun; the earlier version sent an empty body."""
    message = body.get("message") if isinstance(body, dict) else None
    return _cut(message, LONGEST_PROBLEM) if isinstance(message, str) else ""


def _problem(reply: Reply) -> str:
    if reply.is_html:
        return f"web page: {_page(reply.body)}"
    if reply.status < HTTPStatus.BAD_REQUEST:
        return "a redirect, which is not followed; is TE_BASE_URL right?"
    body = _json(reply.body)
    if not isinstance(body, dict):
        return _cut(reply.body, LONGEST_PAGE) or "no body"
    # RFC 9457 problems; a refused token and the API's earlier versions use other names.
    words = [
        str(body[name])
        for name in ("title", "detail", "error", "error_description", "errorMessage")
        if body.get(name)
    ]
    fields = body.get("errors")
    if isinstance(fields, list):
        words += [_field_error(field) for field in fields]
    return _cut(": ".join(dict.fromkeys(words)), LONGEST_PROBLEM) or "no reason given"


def _field_error(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    return " ".join(str(error[name]) for name in ("field", "message") if error.get(name))


def _page(body: str) -> str:
    title = re.search(r"<title[^>]*>(.*?)</title>", body, re.IGNORECASE | re.DOTALL)
    return _cut(title[1] if title else re.sub(r"<[^>]*>", " ", body[:5_000]), LONGEST_PAGE)


def _cut(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _json(body: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(body)
    except ValueError:
        return None
