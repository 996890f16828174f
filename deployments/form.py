"""Shorter forms for a flow's parameters than Prefect makes. Pure.

Both UIs draw a form from a JSON schema, and the server checks a run's parameters by the same one.
So whatever is changed here still accepts and refuses the same values as the flow.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

Schema = dict[str, Any]

_NOTHING: Final[tuple[object, ...]] = (None, [], "")
"""What a field sends when it was left empty."""
_NULL: Final = {"type": "null"}
_PLACE: Final = "#/definitions/"


def shortened(schema: Mapping[str, Any]) -> Schema:
    """Return the schema of a shorter form.

    A field that may stay empty is an empty field, not a choice between a type and None. If the
    schema marks some options as `usual`, the options begin with a tab of only these. A group of
    fields within options is collapsed.

    Args:
        schema: A flow's parameters, as Prefect reads them from it.
    """
    form = deepcopy(dict(schema))
    definitions = form.get("definitions", {})
    for holder in (form, *definitions.values()):
        for field in holder.get("properties", {}).values():
            _leave_empty(field)
    for field in form.get("properties", {}).values():
        name = _name(field)
        if name and "usual" in definitions[name]:
            _fold(field, name, definitions)
    if {"test_ids", "groups"} <= form.get("properties", {}).keys():
        form |= _that_tests_are_named(definitions)
    return form


def defaults(form: Mapping[str, Any]) -> Schema:
    """Return the values that a form fills in by itself, by parameter."""
    return _defaults(form, form.get("definitions", {}))


def other_than(values: Mapping[str, Any], usual: Mapping[str, Any]) -> Schema:
    """Return the values that somebody chose, which are neither empty nor the form's own.

    Args:
        values: Parameters.
        usual: What `defaults` returned.
    """
    other = {}
    for name, value in values.items():
        default = usual.get(name)
        if isinstance(default, dict) and isinstance(value, dict | None):
            if inside := other_than(value or {}, default):
                other[name] = inside
        elif value not in _NOTHING if name not in usual else value != default:
            other[name] = value
    return other


def _that_tests_are_named(definitions: Mapping[str, Schema]) -> Schema:
    """Return the rule that refuses to schedule a run that names no test.

    It uses only keywords that the server ignores when it checks a deployment, which may name none.
    The server says that a field is required; the field's name tells people what to give. A form
    says it next to the field that is the first word of that name.
    """
    known = {name for one in definitions.values() for name in one.get("properties", {})}
    ways = ("only_failed_of", "name_pattern", "test_ids_file")
    options = [name for name in ways if name in known]
    rule: Schema = {"required": [f"test_ids or groups (or an option: {', '.join(options)})"]}
    for name in options:
        chosen = {"required": ["options"], "properties": {"options": {"required": [name]}}}
        rule = {"if": {"not": chosen}, "then": rule}
    for name in ("test_ids", "groups"):
        named = {"required": [name], "properties": {name: {"minItems": 1}}}
        rule = {"if": {"not": named}, "then": rule}
    return rule


def _leave_empty(field: Schema) -> None:
    """Turn a field that may be None into one that may be left out, which means the same."""
    if field.get("default", ...) in _NOTHING:
        del field["default"]
    if _NULL in (kinds := field.get("anyOf", [])) and "default" not in field:
        others = [kind for kind in kinds if kind != _NULL]
        # The server accepts None for a type without a default, but not for a choice of values.
        if len(others) == 1 and "type" in others[0] and "enum" not in others[0]:
            del field["anyOf"]
            field |= others[0] | field


def _fold(field: Schema, name: str, definitions: dict[str, Schema]) -> None:
    """Put the usual options on the first tab, and all options on a second one."""
    options = definitions[name]
    for one in options["properties"].values():
        if (within := _name(one)) and "properties" in definitions[within]:
            del one["$ref"]
            one.pop("default", None)
            one["title"] = definitions[within]["title"]
            one["anyOf"] = [_NULL | {"title": "Default"}, {"$ref": _PLACE + within}]
    usual = {key: options["properties"][key] for key in options.pop("usual")}
    del field["$ref"]
    # The two tabs refuse an unknown option in different ways, so that the server gives the second
    # tab's message.
    names = {"propertyNames": {"enum": [*usual]}}
    definitions["Usual"] = {"title": "Usual", "type": "object", "properties": usual} | names
    options["title"], options["description"] = "All", ""
    # Values that were filled in on one tab are not copied to the other.
    field["description"] += " Only the open tab counts."
    field["default"] = {}
    field["anyOf"] = [{"$ref": _PLACE + "Usual"}, {"$ref": _PLACE + name}]


def _defaults(holder: Mapping[str, Any], definitions: Mapping[str, Schema]) -> Schema:
    found = {}
    for name, field in holder.get("properties", {}).items():
        if "default" in field:
            found[name] = field["default"]
        for within in _within(field):
            inside = _defaults(definitions[within], definitions)
            if inside:
                found[name] = inside | (found.get(name) or {})
    return found


def _within(field: Schema) -> Iterator[str]:
    # Only the tabs of options are filled in: they have a default.
    for kind in (field, *(field.get("anyOf", []) if "default" in field else [])):
        if name := _name(kind):
            yield name


def _name(kind: Schema) -> str:
    """Return the name of the definition that something refers to, or an empty text."""
    return str(kind.get("$ref", "")).removeprefix(_PLACE)
