"""What a reply from the API means: status, headers and body in, JSON or a typed error out."""

import json
import math
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from thousandeyes.errors import Refused, ReplyLost, refusal
from thousandeyes.families import HEADERS, Family, Told
from thousandeyes.lists import TEST_ID
from thousandeyes.text import cut

LONGEST_PROBLEM: Final = 400
"""Characters of the API's own words in an error."""
LONGEST_PAGE: Final = 80
"""Characters of an HTML page in an error: such a page is a proxy's, and says little."""


_HTML = re.compile(r"\s*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_ID = re.compile(TEST_ID)
_TESTS = "/endpoint/tests/"
_WHOLE_NUMBER = re.compile(r"[0-9]{1,12}")
_DIGITS = re.compile(r"[0-9]+")
_EPOCH = 1_000_000_000  # anything less is a date before 2001
_END = 4_102_444_800  # anything more is a date after 2099
_LONGEST_DATE = 100
_LONGEST_NUMBER = 20
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LONE_SURROGATE = re.compile(rf"{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}")
_LONGEST_WINDOW = 3600.0  # known windows last a minute: more than this means a wrong clock
_READ_OF_A_PAGE = 5_000
# The memory that JSON takes depends on its number of values: a megabyte of {"a":1} becomes 25 MB. A
# list of 10,000 tests has 700,000 of these characters.
_MOST_SIGNS = 1_000_000
_SIGNS_OF_VALUES = "[{:,"


@dataclass(frozen=True)
class Reply:
    """A whole HTTP reply; its headers and body no longer hold the token.

    Header names are lower case. `arrived` is in UTC epoch seconds by the local clock. `redact`
    removes other secrets that were sent from texts for people. It is not applied to the whole body:
    such a secret may be part of any word, and the body might become unreadable as JSON.
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
        """Whether the API itself received the call and said what became of it."""
        return HTTPStatus.OK <= self.status < HTTPStatus.INTERNAL_SERVER_ERROR and not self.is_html

    @property
    def tells_time(self) -> bool:
        """Whether it shows the time of the API's server, not of something in front of it."""
        return not self.is_html and _epoch_seconds(self.headers.get("date", "")) is not None

    @property
    def date(self) -> float:
        """When the reply was sent, in epoch seconds by the server's clock, or else by ours."""
        date = _epoch_seconds(self.headers.get("date", ""))
        return self.arrived if date is None else date

    def told(self) -> dict[Family, Told]:
        """Read the rate limit headers; a family with missing or meaningless ones is left out.

        Source: the vendor's page on rate limits. A Reset too small for epoch seconds is taken as
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
        """Return `Retry-After` in seconds. It is undocumented, but the vendor's SDKs honour it."""
        value = self.headers.get("retry-after", "").strip()
        if _DIGITS.fullmatch(value):
            return min(float(value), _END)  # however long, it is not to be taken for no wait
        date = _epoch_seconds(value, latest=math.inf)
        return None if date is None else date - self.date


def read(reply: Reply, only: Set[str] | None = None) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON of a successful reply, None if it has none.

    Args:
        reply: The reply.
        only: The names of an object's members that are read, at any depth; by default all. What is
            left out takes no memory: it is most of a long list.

    Raises:
        ReplyLost: The reply is a web page instead of the API's answer, or its status is not final
            (1xx).
        Refused: One of its subclasses, by status. The message holds the API's own title, detail and
            field errors.
    """
    if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise refused(reply)
    if reply.status < HTTPStatus.OK:
        raise ReplyLost(f"status {reply.status}, which is not a final answer")
    if reply.is_html:
        raise ReplyLost(
            f"status {reply.status} with a web page instead of the API's answer, probably from a "
            f"proxy: {_page(reply)}"
        )
    return _json(reply.body, only)


def refused(reply: Reply) -> Refused:
    """Return the error that a reply with a status of 300 and above means."""
    return refusal(reply.status)(f"{reply.status}: {_problem(reply)}", reply.status)


def confirmation(body: object) -> str:
    """Return the API's message on an accepted rerun; its earlier version sent an empty body."""
    message = body.get("message") if isinstance(body, dict) else None
    return cut(message, LONGEST_PROBLEM) if isinstance(message, str) else ""


def created_test_id(reply: Reply) -> str:
    """Return the ID of a test that was created, from the answer's body or else its Location.

    Raises:
        ReplyLost: The answer is not the API's, or names no ID: the test may exist.
        Refused: One of its subclasses, by status.
    """
    body = read(reply)
    told = body.get("testId") if isinstance(body, dict) else None
    path, _, last = reply.headers.get("location", "").removesuffix("/").rpartition("/")
    for one in (told, last if _TESTS in f"{path}/" else None):
        # Without this check, a password that is repeated there could be recorded as an ID.
        if isinstance(one, str | int) and _is_id(text := str(one), reply.redact):
            return text
    raise ReplyLost(f"status {reply.status}, but the answer names no test ID")


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
        # RFC 9457. A refused token, some services and earlier versions use other field names.
        words = _texts(body, "title", "detail", "error", "error_description", "errorMessage")
        fields = body.get("errors")
        words += map(_field_error, fields if isinstance(fields, list) else [])
    # These become part of our own sentence, which ends with its own full stop.
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
    # Without the tags between them, words may make up a secret.
    words = reply.redact(title[1] if title else re.sub(r"<[^<>]*>", " ", body))
    return cut(words, LONGEST_PAGE)


def _json(body: str, only: Set[str] | None = None) -> Any:  # noqa: ANN401 - JSON
    if sum(map(body.count, _SIGNS_OF_VALUES)) > _MOST_SIGNS:
        return None
    kept = partial(_kept, only) if only else None
    try:
        return json.loads(_without_lone_surrogates(body), parse_int=_number, object_hook=kept)
    except (ValueError, RecursionError):
        return None


def _kept(only: Set[str], found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name in only}


def _number(digits: str) -> float:
    # Python raises for an int of more than 4,300 digits.
    return int(digits) if len(digits) <= _LONGEST_NUMBER else float(digits)


def _without_lone_surrogates(body: str) -> str:
    """Replace lone surrogates in JSON: a text with one can't be written as UTF-8."""
    if not _SURROGATE.search(body):
        return body
    # In a run of backslashes, each pair is one escaped backslash.
    apart = _LONE_SURROGATE.sub(r"\\ufffd", body.replace(r"\\", "\0"))
    return apart.replace("\0", r"\\")


def _epoch_seconds(http_date: str, latest: float = _END) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date[:_LONGEST_DATE])
        seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError, IndexError, TypeError):  # the parser is for e-mail
        return None
    return seconds if _EPOCH <= seconds <= latest else None
