"""What a reply of the API means: status, headers and body in, a body or a typed error out."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

from thousandeyes.errors import Refused, ReplyLost, refusal
from thousandeyes.families import HEADERS, Family, Told
from thousandeyes.lists import TEST_ID
from thousandeyes.text import cut

LONGEST_PROBLEM: Final = 400
"""Characters of the API's own words in an error."""
LONGEST_PAGE: Final = 80
"""Characters of an HTML page in an error: it is a proxy's, and says little."""


_HTML = re.compile(r"\s*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_ID = re.compile(TEST_ID)
_TESTS = "/endpoint/tests/"
_WHOLE_NUMBER = re.compile(r"[0-9]{1,12}")
_EPOCH = 1_000_000_000  # anything less is no date since 2001
_END = 4_102_444_800  # anything more is no date before 2100
_LONGEST_DATE = 100
_LONGEST_NUMBER = 20
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LONE_SURROGATE = re.compile(rf"{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}")
_LONGEST_WINDOW = 3600.0  # none is known of more than a minute: beyond is a wrong clock
_READ_OF_A_PAGE = 5_000
# What JSON takes in memory goes by its values: a megabyte of {"a":1} becomes 25 MB. A list of
# 10,000 tests has 700,000 of these signs.
_MOST_SIGNS = 1_000_000
_SIGNS_OF_VALUES = "[{:,"


@dataclass(frozen=True)
class Reply:
    """A whole HTTP reply, the token already taken out of its headers and body.

    Header names are lower case; `arrived` is UTC epoch seconds by the local clock. `redact` takes
    out of what people are told what else was sent and is secret: it may look like a part of any
    word, so that a whole body without it could not be read.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: str = field(repr=False)
    arrived: float
    redact: Callable[[str], str] = field(default=str, repr=False)

    @property
    def is_html(self) -> bool:
        """Whether the body is a web page: a proxy's or a portal's, never the API's."""
        kind = self.headers.get("content-type", "")
        return "html" in kind.lower() or bool(_HTML.match(self.body))

    @property
    def trustworthy(self) -> bool:
        """Whether the API itself took the call and said what became of it."""
        return HTTPStatus.OK <= self.status < HTTPStatus.INTERNAL_SERVER_ERROR and not self.is_html

    @property
    def tells_time(self) -> bool:
        """Whether the server's clock speaks from it, and not whatever stands before the server."""
        return not self.is_html and _epoch_seconds(self.headers.get("date", "")) is not None

    @property
    def date(self) -> float:
        """When the reply was made, in epoch seconds by the server's clock, else by ours."""
        date = _epoch_seconds(self.headers.get("date", ""))
        return self.arrived if date is None else date

    def told(self) -> dict[Family, Told]:
        """Read the rate limit headers; a family without all three, or with nonsense, is left out.

        Source: the vendor's page on rate limits. A Reset too small to be an epoch is taken as
        seconds from now, the unit that two other limits of the same API use.
        """
        readings = {}
        for family, prefix in HEADERS.items():
            texts = [
                self.headers.get(prefix + name, "").strip()
                for name in ("limit", "remaining", "reset")
            ]
            if not all(_WHOLE_NUMBER.fullmatch(text) for text in texts):
                continue
            limit, remaining, reset = map(int, texts)
            end = reset if reset >= _EPOCH else self.date + reset
            if abs(end - self.date) <= _LONGEST_WINDOW:
                readings[family] = Told(limit, remaining, end, end - self.date)
        return readings

    def retry_after(self) -> float | None:
        """Return `Retry-After` in seconds. Undocumented, and honoured by the vendor's SDKs."""
        value = self.headers.get("retry-after", "").strip()
        if _WHOLE_NUMBER.fullmatch(value):
            return float(value)
        date = _epoch_seconds(value)
        return None if date is None else date - self.date


def read(reply: Reply) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON of a successful reply, None where it has none.

    Raises:
        ReplyLost: A web page where the API's answer should be, or no final status (1xx).
        Refused: One of its subclasses, by status, with the API's own title, detail and field
            errors in the message.
    """
    if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise refused(reply)
    if reply.status < HTTPStatus.OK:
        raise ReplyLost(f"status {reply.status}, which is no final answer")
    if reply.is_html:
        raise ReplyLost(
            f"status {reply.status} with a web page instead of the API's answer, probably from a "
            f"proxy: {_page(reply)}"
        )
    return _json(reply.body)


def refused(reply: Reply) -> Refused:
    """Return the error that a reply with a status of 300 and above means."""
    return refusal(reply.status)(f"{reply.status}: {_problem(reply)}", reply.status)


def confirmation(body: object) -> str:
    """Return the API's words on an accepted rerun; the earlier version sent an empty body."""
    message = body.get("message") if isinstance(body, dict) else None
    return cut(message, LONGEST_PROBLEM) if isinstance(message, str) else ""


def created_test_id(reply: Reply) -> str:
    """Return the ID of the test that a creation made: its answer's, else its Location's.

    Raises:
        ReplyLost: The answer is none of the API's, or names no ID: the test may exist.
        Refused: One of its subclasses, by status.
    """
    body = read(reply)
    told = body.get("testId") if isinstance(body, dict) else None
    path, _, last = reply.headers.get("location", "").removesuffix("/").rpartition("/")
    for one in (told, last if _TESTS in f"{path}/" else None):
        # Else a password that is repeated there would be recorded as an ID.
        if isinstance(one, str | int) and _is_id(text := str(one), reply.redact):
            return text
    raise ReplyLost(f"status {reply.status}, and the answer names no test ID")


def _is_id(text: str, redact: Callable[[str], str]) -> bool:
    return bool(_ID.fullmatch(text)) and redact(text) == text


def _problem(reply: Reply) -> str:
    if reply.is_html:
        return f"web page: {_page(reply)}"
    if reply.status < HTTPStatus.BAD_REQUEST:
        return "a redirect, which is not followed; is TE_BASE_URL right?"
    body = _json(reply.body)
    words: list[str] = []
    if isinstance(body, dict):
        # RFC 9457 problems. A refused token, some services and earlier versions use other names.
        words = _texts(body, "title", "detail", "error", "error_description", "errorMessage")
        fields = body.get("errors")
        words += map(_field_error, fields if isinstance(fields, list) else [])
    # Each is part of a sentence of ours, which has a full stop of its own.
    said = ": ".join(filter(None, dict.fromkeys(word.rstrip(". \n") for word in words)))
    said = cut(reply.redact(said), LONGEST_PROBLEM).removeprefix(f"{reply.status} ")
    return said or cut(reply.redact(reply.body), LONGEST_PAGE) or "no body"


def _field_error(error: object) -> str:
    if isinstance(error, dict):
        return " ".join(_texts(error, "field", "message") or _texts(error, "code"))
    return error if isinstance(error, str) else ""


def _texts(body: dict[str, Any], *names: str) -> list[str]:
    return [text for name in names if isinstance(text := body.get(name), str) and text.strip()]


def _page(reply: Reply) -> str:
    body = reply.redact(reply.body)[:_READ_OF_A_PAGE]
    title = re.search(r"<title[^<>]*>([^<]*)</title>", body, re.IGNORECASE)
    return cut(title[1] if title else re.sub(r"<[^<>]*>", " ", body), LONGEST_PAGE)


def _json(body: str) -> Any:  # noqa: ANN401 - JSON
    if sum(map(body.count, _SIGNS_OF_VALUES)) > _MOST_SIGNS:
        return None
    try:
        return json.loads(_without_lone_surrogates(body), parse_int=_number)
    except (ValueError, RecursionError):
        return None


def _number(digits: str) -> float:
    # Python makes no int of more than 4,300 digits, and raises.
    return int(digits) if len(digits) <= _LONGEST_NUMBER else float(digits)


def _without_lone_surrogates(body: str) -> str:
    """Replace halves of a letter in JSON: a text with one can't be written as UTF-8."""
    if not _SURROGATE.search(body):
        return body
    # Of a run of backslashes, two at a time are one that is meant.
    apart = _LONE_SURROGATE.sub(r"\\ufffd", body.replace(r"\\", "\0"))
    return apart.replace("\0", r"\\")


def _epoch_seconds(http_date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date[:_LONGEST_DATE])
        seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError, IndexError, TypeError):  # its parser was made for mail
        return None
    return seconds if _EPOCH <= seconds <= _END else None
