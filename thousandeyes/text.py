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
_ISOLATE: Final = "\u2068"
_END_OF_ISOLATE: Final = "\u2069"
_ISOLATED: Final = re.compile("\u2068([^\u2066-\u2069]*)\u2069")
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})
"""Unicode's bidirectional classes of letters and digits that reorder what is around them."""
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
    return _tidy(_visible(text))


def shown_sentence(text: str) -> str:
    """Return a sentence as people see it, in which names stay as `isolated` put them."""
    if text.isprintable():
        return shown(text)
    parts = [_visible(part) for part in _ISOLATED.split(text)]
    parts[1::2] = map(_isolated, parts[1::2])
    return _tidy("".join(parts))


def isolated(name: str) -> str:
    """Return a name for a sentence: unchanged, unless it holds letters that run right to left.

    Those reorder the numbers and brackets after them: what begins with a Hebrew name and continues
    `3; 10 passed` is drawn as `10 ;3 passed`. Such a name is returned as it is shown, between two
    invisible characters that isolate it. This is for people's eyes: names that are compared or that
    programs read have none of it.
    """
    return _isolated(shown(name)) if _is_right_to_left(name) else name


def isolated_in(text: str, names: Iterable[str]) -> str:
    """Return a sentence, in which nothing is isolated yet, with these names isolated."""
    found = sorted(filter(_is_right_to_left, map(shown, names)), key=len, reverse=True)
    if not found:
        return text
    any_of_them = "|".join(map(re.escape, found))
    return re.sub(rf"(?<!\w)(?:{any_of_them})(?!\w)", lambda name: _isolated(name[0]), text)


def not_isolated(text: str) -> str:
    """Return a sentence for programs: without what `isolated` put around names."""
    return text.replace(_ISOLATE, "").replace(_END_OF_ISOLATE, "")


def _isolated(text: str) -> str:
    return f"{_ISOLATE}{text}{_END_OF_ISOLATE}" if _is_right_to_left(text) else text


def _is_right_to_left(text: str) -> bool:
    return not text.isascii() and any(
        unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text
    )


def _visible(text: str) -> str:
    if text.isprintable():  # most are, and checking each character takes time
        return text
    kinds = ((unicodedata.category(character), character) for character in text)
    return "".join(
        " " if kind in BLANK else character for kind, character in kinds if kind != NO_WIDTH
    )


def _tidy(text: str) -> str:
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
