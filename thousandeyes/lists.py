"""Reads lists of test IDs and of names as people write, paste and export them. Pure.

Entries are separated by whitespace of any kind (including line ends and zero-width spaces), commas,
semicolons, quotes and square brackets. `#` begins a comment, which ends with its line. So a column
of a spreadsheet, a line of a chat and a list in JSON are read alike, whether they come from a file,
from standard input, from a form's field or from a program's list.

No message repeats what was read: a file that was named by mistake may hold a secret.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from numbers import Integral, Real
from typing import Final, NamedTuple

from thousandeyes.errors import InvalidTestIds
from thousandeyes.text import shown

LONGEST_ID: Final = 64
"""Characters. All known IDs are numbers of some nine digits."""

TEST_ID: Final = rf"(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{{1,{LONGEST_ID}}}"
"""What an ID looks like, as a pattern.

IDs are opaque. At least one digit is required, so that words are not sent as IDs, such as a column
heading or a file name.
"""

_COMMENT: Final = "#"
# Web pages and dialogs leave zero-width spaces and direction marks behind. The byte order mark is a
# zero-width space too, and appears wherever files were concatenated.
_ENTRY: Final = re.compile(
    r"""[^\s,;"'\[\]\u2018-\u201f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+"""
)
_ID: Final = re.compile(TEST_ID)
_AN_ID: Final = (
    f"an ID is up to {LONGEST_ID} letters, digits, '-' and '_', with at least one digit, such as "
    "765231567"
)
_LONG_TOKEN: Final = 8
"""Characters. A shorter token may be part of a text by chance."""
_EXACT: Final = 2**53
"""From here on, a float may differ from the number that was written."""


class Entry(NamedTuple):
    """One entry of a list, and where it begins, counted from 1."""

    text: str
    line: int
    column: int


def entries(written: object) -> Iterator[Entry]:
    """Yield the entries of one item of a list. An item may hold a whole list itself.

    Raises:
        ValueError: The item is neither text nor a whole number.
    """
    for number, line in enumerate(as_text(written).splitlines(), 1):
        for found in _ENTRY.finditer(line.partition(_COMMENT)[0]):
            yield Entry(found[0], number, found.start() + 1)


def as_text(written: object) -> str:
    """Return a value as text, also if JSON, YAML or a program holds it as a number.

    Raises:
        ValueError: The value is neither text nor a whole number.
    """
    if isinstance(written, str):
        return written
    if isinstance(written, float) and written.is_integer() and abs(written) < _EXACT:
        written = int(written)
    if isinstance(written, Integral) and not isinstance(written, bool):
        if 0 <= (number := int(written)) < 10**LONGEST_ID:
            return str(number)
        raise ValueError("a number that is not an ID")
    raise ValueError("neither text nor a whole number")


def gathered(written: object, where: str, read: Callable[[object], Iterable[str]]) -> list[str]:
    """Return what a text or a number holds, or what all items of a list hold.

    Args:
        written: The text, the number, or the list.
        where: Its name, for the message.
        read: Reads one item.

    Raises:
        ValueError: It is not a list, or `read` refuses an item; the message says where.
    """
    if isinstance(written, str | Real):
        try:
            return list(read(written))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    if isinstance(written, bytes | Mapping) or not isinstance(written, Iterable):
        raise ValueError(f"{where}: not a list")  # noqa: TRY004 - the readers convert it
    found: list[str] = []
    for number, item in enumerate(written, 1):
        try:
            found += read(item)
        except ValueError as error:
            raise ValueError(f"{where}, item {number}: {error}") from None
    return found


def ids_in(written: object) -> list[str]:
    """Return the test IDs in one item of a list, such as a form's field, in their order.

    Raises:
        ValueError: The item holds something else; the message says where.
    """
    found = list(entries(written))
    if wrong := [entry for entry in found if not _ID.fullmatch(entry.text)]:
        _, line, column = wrong[0]
        more = f", the first of {len(wrong):,} such entries" if wrong[1:] else ""
        is_all = len(found) == line == column == 1
        place = "" if is_all else f"line {line}, column {column} is "
        raise ValueError(f"{place}not a test ID{more}: {_AN_ID}")
    return [text for text, _, _ in found]


def one_test_id(written: object) -> str:
    """Return the only test ID in what was written.

    Raises:
        ValueError: There is no ID, more than one, or something else.
    """
    found = ids_in(written)
    if len(found) != 1:
        raise ValueError(f"not one test ID: {_AN_ID}")
    return found[0]


def clean_test_id(test_id: object) -> str:
    """Return a test's ID as it is sent.

    Raises:
        InvalidTestIds: It can't be a test ID.
    """
    try:
        return one_test_id(test_id)
    except ValueError as error:
        raise _invalid(f"test_id: {error}") from None


def read_test_ids(written: object) -> list[str]:
    """Return the test IDs of a text, of a whole number, or of a list of these.

    Args:
        written: The text, the number, or the list. Each item of a list may hold several IDs.

    Raises:
        InvalidTestIds: It holds something else; the message says where.
    """
    try:
        return gathered(written, "test_ids", ids_in)
    except ValueError as error:
        raise _invalid(str(error)) from None


def refuse_tokens(test_ids: Iterable[str], tokens: Iterable[str]) -> None:
    """Refuse IDs that contain a token, pasted by mistake: it would be sent, recorded and shown.

    Raises:
        InvalidTestIds: An ID contains a token; the message says how many are, not which.
    """
    if problem := tokens_among(test_ids, tokens, "test IDs"):
        raise _invalid(problem)


def tokens_among(written: Iterable[str], tokens: Iterable[str], what: str) -> str:
    """Return a warning about tokens that were pasted among other texts; empty if there are none.

    A text may contain a token with more around it, such as `Bearer`, or with characters in it that
    nobody sees. A token of fewer than eight characters must be the whole text.

    Args:
        written: The texts.
        tokens: All known tokens.
        what: What the texts are called.
    """
    secrets = {shown(token).casefold() for token in tokens if token}
    long = [secret for secret in secrets if len(secret) >= _LONG_TOKEN]
    texts = (shown(text).casefold() for text in written)
    count = sum(text in secrets or any(one in text for one in long) for text in texts)
    if not count:
        return ""
    contain = "contains" if count == 1 else "contain"
    return (
        f"{count} of the {what} {contain} an API token. If it is in a run's parameters or in a "
        "group, others can read it there: revoke it"
    )


def read_test_ids_text(content: str | bytes, where: str) -> list[str]:
    """Return the test IDs of a text, such as a file's content.

    Bytes are read as UTF-16 if a byte order mark says so, as in Excel's "Unicode text", else as
    UTF-8.

    Args:
        content: The text.
        where: Its name, for the message.

    Raises:
        InvalidTestIds: It holds something else; the message says where.
    """
    if isinstance(content, bytes):
        utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        # What can't be decoded is not an ID, and is reported with its place like any other.
        content = content.decode("utf-16" if utf_16 else "utf-8-sig", errors="replace")
    try:
        return ids_in(content)
    except ValueError as error:
        raise _invalid(f"{where}: {error}") from None


def form_pattern(entry: str) -> str:
    """Return the pattern for a form's field that holds a list; it accepts all that can be read.

    Args:
        entry: The characters of an entry, as written within the brackets of a pattern.
    """
    some = rf"""[{entry}\s,;"'\[\]\u0080-\uffff-]*"""
    # Each character can match in one way only, so that no text takes long to refuse.
    return rf"^{some}(#[^\n]*(\n{some}|$))*$"


def _invalid(problem: str) -> InvalidTestIds:
    return InvalidTestIds(f"{problem}. Nothing was sent.")
