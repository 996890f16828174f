"""A flow's parameters as Prefect's forms show them, shorter than Prefect makes them. Pure.

Both UIs draw a form from a JSON schema, and the server checks a run's parameters by the same one,
so what is shown otherwise here is still taken and refused as the flow takes and refuses it.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

Schema = dict[str, Any]

_NOTHING: Final[tuple[object, ...]] = (None, [], "")
"""What a field sends that was left empty."""
_NULL: Final = {"type": "null"}
_PLACE: Final = "#/definitions/"


def shortened(schema: Mapping[str, Any]) -> Schema:
    """Return the schema of a form that fits its use.

    A field that may stay empty is an empty field, and no choice between a type and None. Options of
    which the schema says that some are `usual` begin with a tab that has these alone. A group of
    fields within options is folded in.

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
    """Return what a form fills in by itself, by parameter."""
    return _defaults(form, form.get("definitions", {}))


def other_than(values: Mapping[str, Any], usual: Mapping[str, Any]) -> Schema:
    """Return the values that somebody chose: neither left empty nor as the form fills them in.

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
    """Return the rule that keeps a run from being scheduled for which nobody named a test.

    Made of what the server passes over where it checks a deployment, which may leave that open. The
    server says that a field is required, of which the name tells people what there is to give; a
    form says it at the field that the first word names.
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
    """Make of a field that may be None one that may be left out, which says the same."""
    if field.get("default", ...) in _NOTHING:
        del field["default"]
    if _NULL in (kinds := field.get("anyOf", [])) and "default" not in field:
        others = [kind for kind in kinds if kind != _NULL]
        # The server takes None for a type that has no default, but not for a choice of values.
        if len(others) == 1 and "type" in others[0] and "enum" not in others[0]:
            del field["anyOf"]
            field |= others[0] | field


def _fold(field: Schema, name: str, definitions: dict[str, Schema]) -> None:
    """Let options begin with the usual ones, and all of them stand on a second tab."""
    options = definitions[name]
    for one in options["properties"].values():
        if (within := _name(one)) and "properties" in definitions[within]:
            del one["$ref"]
            one.pop("default", None)
            one["title"] = definitions[within]["title"]
            one["anyOf"] = [_NULL | {"title": "Default"}, {"$ref": _PLACE + within}]
    usual = {key: options["properties"][key] for key in options.pop("usual")}
    del field["$ref"]
    # The server tells of an unknown option what the second tab says against it, as that says it
    # otherwise than the first.
    names = {"propertyNames": {"enum": [*usual]}}
    definitions["Usual"] = {"title": "Usual", "type": "object", "properties": usual} | names
    options["title"], options["description"] = "All", ""
    # What was filled in on one tab is not taken over to the other.
    field["description"] += " The tab that is open counts."
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
    # Of tabs, those of options alone are filled in: they have a default.
    for kind in (field, *(field.get("anyOf", []) if "default" in field else [])):
        if name := _name(kind):
            yield name


def _name(kind: Schema) -> str:
    """Return the name of the definition that something refers to; empty: to none."""
    return str(kind.get("$ref", "")).removeprefix(_PLACE)
