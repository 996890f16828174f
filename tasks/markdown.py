"""Texts from anywhere, shown as they are where Prefect's UI renders Markdown.

Both UIs render Markdown in artifacts of that type and in the descriptions of all artifacts. The
first UI renders it in the cells of tables too; the second, which is the default, shows them as
text.
"""

import re
from typing import Final

from thousandeyes.text import shown_sentence

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
"""Begins a numbered list; a longer number does not."""
_ADDRESS: Final = re.compile(
    r"(?<=\w:)(?=//)|(?<=www)(?=\.)|(?<=[\w.+-])(?=@[\\\w-])", re.IGNORECASE
)
_UNSEEN: Final = "\u2060"
"""Keeps an address that it is put into from becoming a link. A backslash would not: the second UI
looks for addresses after unescaping."""
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_AFTER_LINE_END: Final = re.compile(rf"({_LINE_END.pattern})\t")


def plain(text: str) -> str:
    """Return Markdown of one line that is shown as the text is."""
    return unlinked(_NUMBER.sub(r"\1\\\2", _TAKEN.sub(r"\\\g<0>", shown_sentence(text))))


def unlinked(text: str) -> str:
    """Return a text that looks the same, but in which nothing finds an address."""
    return _ADDRESS.sub(_UNSEEN, text)


def code(text: str) -> str:
    """Return Markdown that is shown as the text is, and reads well unrendered.

    A description is the title of notifications too: what `plain` would alter becomes a code span.
    """
    if (text := shown_sentence(text)) == plain(text):
        return text
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if "`" in (text[0], text[-1]) else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def cell(text: str) -> str:
    """Return a text as a table's cell: behind a tab, if Markdown would alter it.

    The tab makes a block of code in the first UI, and the second one drops it. The block ends at
    the first line without a tab.
    """
    return "\t" + _LINE_END.sub(r"\g<0>\t", text) if plain(text) != text else text


def from_cell(cell: str) -> str:
    """Return the text of a table's cell, also from version 0.1.0, which put nothing behind a tab.

    A name that began with a tab in that version is shown without it.
    """
    text = _AFTER_LINE_END.sub(r"\1", cell.removeprefix("\t"))
    return text if cell.startswith("\t") and plain(text) != text else cell
