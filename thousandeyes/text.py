"""Texts from anywhere as people see them: one line, without invisible characters."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Final

BLANK: Final = frozenset({"Zs", "Zl", "Zp", "Cc", "Cs"})
NO_WIDTH: Final = "Cf"
"""Unicode's categories of what `shown` makes a space, and of what it leaves out."""

_USERINFO: Final = re.compile(r"(?<=://)[^/?#\s]*@")
_READ: Final = 5_000
"""Characters of a text that are read when it is cut."""
_LONGEST_NAME: Final = 100
_MINUTE: Final = 60


def shown(text: str) -> str:
    """Return a text as people see it. Two names that are shown alike are the same name.

    Whitespace of any kind becomes a single space, and is stripped at both ends. Letters and their
    accents are combined, zero-width characters are left out. Control characters and lone surrogates
    count as whitespace: a terminal obeys escapes, PostgreSQL refuses NUL, and a surrogate can't be
    written as UTF-8.
    """
    if not text.isprintable():  # most are, and checking each character takes time
        kinds = ((unicodedata.category(character), character) for character in text)
        text = "".join(
            " " if kind in BLANK else character for kind, character in kinds if kind != NO_WIDTH
        )
    tidy = " ".join(unicodedata.normalize("NFC", text).split())
    return text if tidy == text else tidy  # no second copy: a run keeps thousands of names


def cut(text: str, length: int) -> str:
    """Return a text as it is shown, cut to this length."""
    text = shown(text.strip()[:_READ])
    return text if len(text) <= length else text[: length - 1] + "…"


def listed(items: Sequence[str], most: int = 20, separator: str = ", ") -> str:
    """Return the first items of a list and how many more there are: `a, b and 3 more`."""
    text = separator.join(items[:most])
    rest = len(items) - most
    return f"{text}{separator.strip(', ')} and {rest} more" if rest > 0 else text


def fitted(items: Sequence[str], length: int, count: int) -> str:
    """Return as many whole items as fit, but at least one, and how many of `count` are left out.

    Args:
        items: All items, or the first of them.
        length: The characters that the items may take.
        count: How many items there are.
    """
    most = max(1, sum(end <= length for end in accumulate(len(item) + 2 for item in items)))
    text = ", ".join(items[:most])
    return f"{text} and {count - most} more" if text and count > most else text


def quoted(names: Iterable[str]) -> str:
    """Return names for a message: each in quotes and cut, and only the first if there are many."""
    return listed([repr(cut(name, _LONGEST_NAME)) for name in names])


def counted(count: float, thing: str) -> str:
    """Return a number with its noun, such as `1 test`, `12 tests` or `0.5 minutes`."""
    number = count if isinstance(count, int) else f"{count:g}"
    return f"{number} {thing}" if count == 1 else f"{number} {thing}s"


def without_userinfo(text: str) -> str:
    """Return a text without the user and password of the addresses in it."""
    return _USERINFO.sub("", text)


def with_full_stop(text: str) -> str:
    """Return a sentence with a full stop at its end, unless it already ends with a mark."""
    return text if text.endswith((".", "?", "!", "…")) else f"{text}."


def duration(seconds: float) -> str:
    """Return a duration for people: `40 s`, `4 minutes`, `2 h 5 min`."""
    if seconds < 2 * _MINUTE:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / _MINUTE)
    if minutes < _MINUTE:
        return f"{minutes} minutes"
    return f"{minutes // _MINUTE} h {minutes % _MINUTE} min"


def clock(moment: datetime) -> str:
    """Return a time for people: `2026-11-28 22:00 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
