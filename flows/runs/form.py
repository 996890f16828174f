"""What Prefect's form takes for a list: IDs and names as people paste them."""

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import SkipValidation, WithJsonSchema

from thousandeyes.lists import form_pattern


def _text(entry: str) -> dict[str, object]:
    return {"type": "string", "pattern": form_pattern(entry)}


def _texts(entry: str) -> dict[str, object]:
    return {"type": "array", "items": _text(entry)}


# What programs send may be numbers. A list of both kinds of items would have an editor for JSON in
# Prefect's forms, or nothing at all, where a text takes a whole list. And with `items`, a good text
# would be told to be no number in place of what is wrong with a bad one.
_TEXT_OR_NUMBER: Final = _text(r"\w") | {"type": ["integer", "string"]}
_NUMBERS_TOO: Final = {"type": "array", "not": {"contains": {"not": _TEXT_OR_NUMBER}}}

PastedIds = Annotated[
    Sequence[str | int],
    SkipValidation,
    WithJsonSchema(
        {"anyOf": [_texts(r"\w") | {"title": "Text"}, _NUMBERS_TOO | {"title": "Numbers"}]}
    ),
]
"""Test IDs, one or several an item; the form refuses most of what can't be, and
`read_test_ids` tells in words of all of it."""
PastedNames = Annotated[Sequence[str | int], SkipValidation, WithJsonSchema(_texts("a-z0-9"))]
"""Names of blocks, one or several an item; `read_names` reads them."""
