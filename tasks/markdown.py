"""Texts from anywhere in what Prefect's UI renders as Markdown: shown as they are.

Markdown are the artifacts of that type and the descriptions of all, in both of its UIs, and the
cells of tables in the first one; the second one, which is the default, shows cells as text.
"""

import re
from typing import Final

from thousandeyes.text import shown

_TAKEN: Final = re.compile(
    r"""
    [\\`*~\[\]<|]                       # code, emphasis, links, HTML, a table's cell
    | (?<![^\W_])_ | _(?![^\W_])        # emphasis; between two letters it is one of them
    | & (?= \#?\w+; )                   # a character's name
    | ^ [-+#>]                          # a list, a heading, a quotation
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"^(\d{1,9})([.)])(?!\S)")
"""Begins a numbered list; a longer number begins none."""
_ADDRESS: Final = re.compile(
    r"(?<=\w:)(?=//)|(?<=www)(?=\.)|(?<=[\w.+-])(?=@[\\\w-])", re.IGNORECASE
)
_UNSEEN: Final = "\u2060"
"""Stands in an address, so that it is no link. A backslash does not: the second UI looks for
addresses in what it has unescaped."""
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_AFTER_LINE_END: Final = re.compile(rf"({_LINE_END.pattern})\t")


def plain(text: str) -> str:
    """Return Markdown of one line that is shown as the text is."""
    return unlinked(_NUMBER.sub(r"\1\\\2", _TAKEN.sub(r"\\\g<0>", shown(text))))


def unlinked(text: str) -> str:
    """Return a text that looks the same, and in which nothing finds the address of anything."""
    return _ADDRESS.sub(_UNSEEN, text)


def code(text: str) -> str:
    """Return Markdown that is shown as the text is, and can be read as it is written.

    A description is the title of notifications too: what `plain` has to alter is a code span.
    """
    if (text := shown(text)) == plain(text):
        return text
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if "`" in (text[0], text[-1]) else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def cell(text: str) -> str:
    """Return a text as a table's cell: behind a tab, if Markdown would alter it.

    That is a block of code for the first UI, and a blank that the second one leaves out. It ends at
    the first line that has none.
    """
    return "\t" + _LINE_END.sub(r"\g<0>\t", text) if plain(text) != text else text


def from_cell(cell: str) -> str:
    """Return the text of a table's cell, also one of version 0.1.0, which put none behind a tab.

    A name that it was given with a tab before it is shown as the one without.
    """
    text = _AFTER_LINE_END.sub(r"\1", cell.removeprefix("\t"))
    return text if cell.startswith("\t") and plain(text) != text else cell
