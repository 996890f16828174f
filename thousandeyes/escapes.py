r"""Undoes the escapes of JSON, HTML, URLs and `repr`, and knows where each character came from.

Any of them may escape any character, and also what another has escaped. So no list of the ways to
write a text is complete. But undoing escapes again and again always leads to the text itself.
"""

import re
from array import array
from bisect import bisect_right
from html.entities import html5
from typing import Final

MOST_ESCAPES: Final = 2_000_000
"""The most in a text. An honest page of 10,000 tests has 700,000 if JSON escapes each slash and
accent."""

_ESCAPE: Final = re.compile(
    r"""
      % ([0-9a-f]{2})
    | \\ (?: (?-i:U) ([0-9a-f]{8}) | u ([0-9a-f]{4}) | x ([0-9a-f]{2}) | ([^\w\s]) )
    | & (?: \# 0*+ ([0-9]{1,7}) | \# x 0*+ ([0-9a-f]{1,6}) | ([a-z][a-z0-9]{1,30}) ) ;
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SIGNS: Final = "%\\&"
_DECIMAL: Final = 6
_LETTER: Final = 5
_NAME: Final = 8
_LAST: Final = 0x10FFFF


class TooManyEscapes(Exception):
    """A text has more escapes than any honest one."""


class Undone:
    """A text with one layer of its escapes undone.

    An octet of a URL, or of bytes, becomes the character with its number: `%C3%A9` becomes two.
    """

    def __init__(self, text: str) -> None:
        self._ends = array("q")
        self._longer_by = array("q")
        self._total = 0
        self.text = _ESCAPE.sub(self._undo, text) if any(map(text.__contains__, _SIGNS)) else text

    @property
    def same(self) -> bool:
        """Whether there was nothing to undo."""
        return not self._ends

    def origin(self, position: int) -> int:
        """Return the position in the original text of a position in this one."""
        place = bisect_right(self._ends, position)
        return position + (self._longer_by[place - 1] if place else 0)

    def _undo(self, found: re.Match[str]) -> str:
        letters = _letters(found)
        if letters is None:
            return found[0]
        if len(self._ends) == MOST_ESCAPES:
            raise TooManyEscapes
        end = found.end()
        self._total += end - found.start() - len(letters)
        self._ends.append(end - self._total)
        self._longer_by.append(self._total)
        return letters


def _letters(found: re.Match[str]) -> str | None:
    kind = found.lastindex or 0
    digits = found[kind]
    if kind == _LETTER:
        return digits
    if kind == _NAME:
        return html5.get(f"{digits};") or html5.get(f"{digits.lower()};")
    code = int(digits, 10 if kind == _DECIMAL else 16)
    return chr(code) if code <= _LAST else None
