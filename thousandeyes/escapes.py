r"""Undoes the escapes of JSON, HTML, URLs and `repr`, and knows where each character came from.

Any of them may escape any character, and also what another has escaped. So no list of the ways to
write a text is complete. But undoing escapes again and again always leads to the text itself.

Characters that nobody sees hide a text in the same way until `thousandeyes.text.shown` leaves them
out, combines accents and makes blanks one space. That is undone too.
"""

import re
import unicodedata
from array import array
from bisect import bisect_right
from functools import partial
from html.entities import html5
from typing import Final

from thousandeyes.text import BLANK, NO_WIDTH

MOST_ESCAPES: Final = 2_000_000
"""The most in a text. An honest page of 10,000 tests has 700,000 if JSON escapes each slash and
accent."""

# Each way begins with a plain sign, as the search is three times as fast then.
_ESCAPE: Final = r"""
      % (?P<octet> [0-9a-f]{2} )
    | \\ (?: u (?P<high> d[89ab][0-9a-f]{2} ) \\u (?P<low> d[c-f][0-9a-f]{2} )
           | (?-i:U) (?P<long> [0-9a-f]{8} )
           | u (?P<short> [0-9a-f]{4} )
           | x (?P<byte> [0-9a-f]{2} )
           | (?P<sign> [^\w\s\u200b] ) )
    | & (?: \# 0*+ (?P<decimal> [0-9]{1,7} )
          | \# x 0*+ (?P<hexadecimal> [0-9a-f]{1,6} )
          | (?P<name> [a-z][a-z0-9]{1,30} ) ) ;
    | \u200b (?P<unseen> \u200b* )
    | \n (?P<blanks> [\n\ ]* )
    | \  (?P<spaces> [\n\ ]+ )
"""
_ACCENTED: Final = r" | (?P<accented> [^\u0340]? \u0340{1,30} | \u0374 )"
_SIGNS: Final = ("%", "\\", "&", "  ")
_UNSEEN, _BLANK, _ACCENT, _OTHER_FORM = "\u200b", "\n", "\u0340", "\u0374"
_IGNORED: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""Characters that no screen shows, though `shown` keeps them: some shape the one before."""
_HANGUL: Final = re.compile("[\u1161-\u11ff]")
"""Letters that are combined with the one before, as accents are."""
_LAST: Final = 0x10FFFF
_FLAGS: Final = re.VERBOSE | re.IGNORECASE
_PLAIN, _DECOMPOSED = re.compile(_ESCAPE, _FLAGS), re.compile(_ESCAPE + _ACCENTED, _FLAGS)


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
        self.text = text
        composed = text.isascii() or unicodedata.is_normalized("NFC", text)
        kinds = _kinds(text, composed=composed)
        if kinds or any(sign in text for sign in _SIGNS):
            search = _PLAIN if composed else _DECOMPOSED
            self.text = search.sub(
                partial(self._undo, text), text.translate(kinds) if kinds else text
            )

    @property
    def same(self) -> bool:
        """Whether there was nothing to undo."""
        return not self._ends

    def origin(self, position: int) -> int:
        """Return the position in the original text of a position in this one."""
        place = bisect_right(self._ends, position)
        return position + (self._longer_by[place - 1] if place else 0)

    def _undo(self, text: str, found: re.Match[str]) -> str:
        letters = _letters(text, found)
        if letters is None:
            return text[found.start() : found.end()]
        if len(self._ends) == MOST_ESCAPES:
            raise TooManyEscapes
        end = found.end()
        self._total += end - found.start() - len(letters)
        self._ends.append(end - self._total)
        self._longer_by.append(self._total)
        return letters


def _kinds(text: str, *, composed: bool) -> dict[int, str]:
    """Return what to write in place of characters to find those that `shown` would change."""
    kinds: dict[int, str] = {}
    for character in () if text.isascii() and text.isprintable() else set(text) - {" "}:
        category = unicodedata.category(character)
        if category == NO_WIDTH or _IGNORED.match(character):
            kinds[ord(character)] = _UNSEEN
        elif category in BLANK:
            kinds[ord(character)] = _BLANK
        elif not composed and (category[0] == "M" or _HANGUL.match(character)):
            kinds[ord(character)] = _ACCENT
        elif not unicodedata.is_normalized("NFC", character):
            kinds[ord(character)] = _OTHER_FORM
    return kinds


def _letters(text: str, found: re.Match[str]) -> str | None:
    """Return what an escape stands for; None if it stands for nothing."""
    kind = str(found.lastgroup)
    match kind:
        case "sign":
            return text[found.end() - 1]
        case "unseen" | "blanks" | "spaces":
            return "" if kind == "unseen" else " "
        case "accented":
            written = text[found.start() : found.end()]
            combined = unicodedata.normalize("NFC", written)
            return combined if combined != written else None
        case "name":
            name = found[kind]
            return html5.get(f"{name};") or html5.get(f"{name.lower()};")
        case "low":
            return bytes.fromhex(found["high"] + found["low"]).decode("utf-16-be")
        case _:
            code = int(found[kind], 10 if kind == "decimal" else 16)
            return chr(code) if code <= _LAST else None
