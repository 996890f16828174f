"""What Prefect's forms take for lists and blocks: pasted text, or a choice."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from prefect.blocks.core import Block
from pydantic import BaseModel, ConfigDict, SkipValidation, WithJsonSchema, WrapValidator
from pydantic.json_schema import SkipJsonSchema

from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from thousandeyes.lists import form_pattern


def _text(entry: str) -> dict[str, object]:
    return {"type": "string", "pattern": form_pattern(entry)}


def _texts(entry: str) -> dict[str, object]:
    return {"title": "List", "type": "array", "items": _text(entry)}


def _by_name(given: object) -> Any:  # noqa: ANN401 - what the flow takes
    """Return the names of blocks in place of the blocks, which Prefect has loaded by now.

    So nothing that gets a run's parameters gets a token.
    """
    if isinstance(given, Block):
        return given._block_document_name  # noqa: SLF001 - Prefect has it nowhere else
    return [*map(_by_name, given)] if isinstance(given, list) else given


def _chooser(block: type[Block]) -> ConfigDict:
    """Return what makes a form offer the blocks of a type.

    It sends a reference. Programs may send None, as for any parameter that may be left out.
    """
    schema = {"block_type_slug": block.get_block_type_slug(), "type": ["object", "null"]}

    def update(shown: dict[str, Any]) -> None:
        # No fields: the forms would draw boxes for them.
        del shown["properties"], shown["description"]
        shown.update(schema | {"required": ["$ref"]})

    return ConfigDict(title="Choose", json_schema_extra=update)


class ChosenGroup(BaseModel):
    """An Endpoint Test Group block, chosen in a form."""

    model_config = _chooser(EndpointTestGroup)


class ChosenCredentials(BaseModel):
    """A ThousandEyes Credentials block, chosen in a form."""

    model_config = _chooser(ThousandEyesCredentials)


# A form finds the tab of a value by its JSON type, so the kinds differ in type where possible. The
# items of a list are of one kind: with `items` of two kinds the forms would show an editor for
# JSON, or nothing. And with `items`, the form would say of a good text that it is not a number,
# instead of what is wrong with a bad one. A single number, as on a command line, is a kind of its
# own: for a kind of two types the first UI draws nothing, and for one of no type an editor that
# hides the tabs.
_TEXT_OR_NUMBER: Final = _text(r"\w") | {"type": ["integer", "string"]}
_NUMBERS_TOO: Final = {"type": "array", "not": {"contains": {"not": _TEXT_OR_NUMBER}}}

PastedIds = Annotated[
    Sequence[str | int] | int,
    SkipValidation,
    WithJsonSchema(
        {
            "anyOf": [
                _text(r"\w") | {"title": "Text"},
                _texts(r"\w"),
                _NUMBERS_TOO | {"title": "Numbers"},
                {"title": "Number", "type": "integer"},
            ]
        }
    ),
]
"""Test IDs: a pasted text, a number, or a list of them; the form refuses most mistakes, and
`read_test_ids` explains all of them."""

_OneName = Annotated[str, WithJsonSchema(_text("a-z0-9") | {"title": "Name"})]
_Names = Annotated[str, WithJsonSchema(_text("a-z0-9") | {"title": "Names"})]
_ListOfNames = Annotated[Sequence[str | int], WithJsonSchema(_texts("a-z0-9"))]

_BY_NAME: Final = WrapValidator(lambda given, _as_shown: _by_name(given))

GroupNames = Annotated[ChosenGroup | _Names | _ListOfNames, _BY_NAME]
"""Groups of tests: a chosen one, a text with names, or a list of texts; `read_names` reads the
latter."""
ManyCredentials = Annotated[ChosenCredentials | _Names | _ListOfNames, _BY_NAME]
"""Credentials, like groups."""
OneGroup = Annotated[ChosenGroup | _OneName, _BY_NAME]
"""A group of tests, chosen or by name."""
OneCredentials = Annotated[ChosenCredentials | _OneName | SkipJsonSchema[None], _BY_NAME]
"""Credentials, chosen or by name, or none."""
