"""Keeps the token, and a test's password, out of everything that people read.

The API, or a proxy on the way, may repeat what it was sent: in an error's text, in a header, even
in the status line. At DEBUG the HTTP libraries log the latter two. It may repeat a secret in
capitals, in base64, or in part.

A secret of eight or more characters is masked wherever it appears. A shorter one may be part of any
word by chance: it is masked only in what people read, and only as a whole word.
"""

import base64
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import chain
from typing import Final
from urllib.parse import quote

from thousandeyes.escapes import TooManyEscapes, Undone
from thousandeyes.text import shown

MASK = "***"

_LONG: Final = 8
_TINY: Final = 4
_LAYERS: Final = 8
"""How many layers of escapes are undone."""
_MOST_PLACES: Final = 100_000
"""Places where a part of a secret may begin; a text with more was made to be slow."""
_MOST_TOKENS: Final = 100

_HTTP_LOGGERS = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
)


@dataclass(frozen=True)
class _Needle:
    """One way to write a secret, in lower case. Any `least` characters of it in a row are masked.

    Every part of that length contains one of the blocks, so only the blocks are searched for.
    """

    text: str
    least: int

    @cached_property
    def blocks(self) -> list[tuple[int, str]]:
        size = (self.least + 1) // 2
        places = range(0, len(self.text) - size + 1, size)
        return [(place, self.text[place : place + size]) for place in places]

    def around(self, text: str, at: int, place: int) -> tuple[int, int]:
        """Return the start and end of the stretch around one match that equals this text."""
        start, end, shift = at, at, place - at
        while start and start + shift and text[start - 1] == self.text[start + shift - 1]:
            start -= 1
        while (
            end < len(text) and end + shift < len(self.text) and text[end] == self.text[end + shift]
        ):
            end += 1
        return start, end


Needles = tuple[_Needle, ...]
_tokens: dict[str, Needles] = {}


class Redactor:
    """Replaces secrets in texts and log records by `***`; an empty string is not a secret.

    The time it takes grows no faster than the text's length, whatever the text contains.
    """

    def __init__(self, *secrets: str, others: Mapping[str, Needles] | None = None) -> None:
        self._long = {one: _needles(one) for one in secrets if len(one) >= _LONG}
        self._others = {} if others is None else others
        short = [_word(one) for one in secrets if 0 < len(one) < _LONG]
        self._word = re.compile("|".join(short), re.IGNORECASE) if short else None

    def __call__(self, text: str) -> str:
        """Return a text for people, without the secrets."""
        return self._without(text, self._word)

    def data(self, text: str) -> str:
        """Return a text for programs, without the secrets of eight or more characters."""
        return self._without(text)

    def _without(self, text: str, word: re.Pattern[str] | None = None) -> str:
        needles = [one for many in {**self._others, **self._long}.values() for one in many]
        try:
            return _masked(text, _spans(text, needles, word)) if needles or word else text
        except TooManyEscapes:
            return MASK

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record in place; it is always kept."""
        message = record.getMessage()
        clean = self(message)
        if clean != message:
            record.msg, record.args = clean, ()
        return True

    @contextmanager
    def guarding_http_logs(self) -> Iterator[None]:
        """Redact what httpx and httpcore log, for as long as the context is open."""
        loggers = [logging.getLogger(name) for name in _HTTP_LOGGERS]
        for logger in loggers:
            logger.addFilter(self)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(self)


def redactor_of_token(token: str) -> Redactor:
    """Return a redactor for a token and for those of other organizations in this process.

    They share the way to the API: a proxy may answer one's call with what it kept of another's.
    """
    if len(token) >= _LONG and token not in _tokens:
        while len(_tokens) >= _MOST_TOKENS:
            del _tokens[next(iter(_tokens))]
        _tokens[token] = _needles(token)
    return Redactor(token, others=_tokens)


def known_tokens() -> list[str]:
    """Return the tokens that this process has used so far."""
    return list(_tokens)


def _needles(secret: str) -> Needles:
    part = min(12, max(_LONG, len(secret) // 3))
    octets = secret.encode("utf-8", "surrogatepass")
    units = secret.encode("utf-16-be", "surrogatepass")
    in_words = "".join(
        chr(int.from_bytes(units[place : place + 2])) for place in range(0, len(units), 2)
    )
    ways = dict.fromkeys((secret, octets.decode("latin-1"), in_words), part)
    for text in [undone for way in ways for undone in _undone(way)]:
        ways.setdefault(text, min(part, len(text)))
    ways[octets.hex()] = 2 * part
    for shift in range(3):  # where it may begin within base64's groups of three bytes
        # Its first and last characters depend on the neighbouring bytes too.
        begin, end = -(-shift * 8 // 6), (shift + len(octets)) * 8 // 6
        coded = base64.b64encode(bytes(shift) + octets).decode()[begin:end]
        least = min(len(coded), part * 4 // 3)
        ways |= dict.fromkeys((coded, coded.translate({43: "-", 47: "_"})), least)
    return tuple(_Needle(_small(way), least) for way, least in ways.items())


def _undone(secret: str) -> Iterator[str]:
    """Yield what becomes of a secret that itself contains `%22`: in a text that gets undone too."""
    undone = Undone(secret)
    while not undone.same and len(text := undone.text.strip()) >= _TINY:  # blanks as in `shown`
        yield text
        undone = Undone(text)


def _small(text: str) -> str:
    """Return a text in lower case with all positions kept: of one character `lower` makes two."""
    return text.replace("\u0130", "i").lower()


def _spans(
    text: str, needles: Sequence[_Needle], word: re.Pattern[str] | None
) -> Iterator[tuple[int, int]]:
    """Yield the places where a text contains a secret, or a short one as a word.

    Raises:
        TooManyEscapes: The search would take long, and the text can't be honest.
    """
    layers: list[Undone] = []
    for _ in range(_LAYERS):
        words = (found.span() for found in word.finditer(text)) if word else ()
        for start, end in chain(_places(_small(text), needles), words):
            for layer in reversed(layers):
                start, end = layer.origin(start), layer.origin(end)  # noqa: PLW2901 - outwards
            yield start, end
        undone = Undone(text)
        if undone.same:
            return
        text = undone.text
        layers.append(undone)


def _places(text: str, needles: Iterable[_Needle]) -> Iterator[tuple[int, int]]:
    left = _MOST_PLACES
    for needle in needles:
        if len(text) < needle.least:  # like most headers
            continue
        for place, block in needle.blocks:
            at = text.find(block)
            while at >= 0:
                start, end = needle.around(text, at, place)
                found = end - start >= needle.least
                if found:
                    yield start, end
                left -= 1
                if not left:
                    raise TooManyEscapes
                at = text.find(block, end if found else at + 1)


def _masked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    pieces: list[str] = []
    told = masked = 0
    for start, end in sorted(spans):
        if start >= masked:
            pieces += (text[told:start], MASK)
        told = masked = max(masked, end)
    return "".join([*pieces, text[told:]])


def _word(secret: str) -> str:
    """Return a pattern for a short secret as a word, and for a tiny one as a word in quotes."""
    forms = {
        secret,
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        escape(secret),
        quote(secret, ""),
        shown(secret) or secret,
        *_undone(secret),
    }
    either = "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
    if len(secret) < _TINY:
        return rf"""(?<=["'`])(?:{either})(?=["'`])"""
    return rf"(?<!\w)(?:{either})(?!\w)"
