"""`automations.yaml`: read more strictly than Prefect does, and brought onto the server."""

import re
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path
from typing import Any, Final, get_args
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.events.actions import ActionTypes
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound
from pydantic import BaseModel, ConfigDict, ValidationError

from deployments.ownership import NOT_THERE, automation_differences, mended, renamed
from deployments.steps import BootstrapError, Found, Step, check_unique, left
from tasks.pages import all_of
from thousandeyes.mistakes import Unreadable, read_yaml, told

FILE: Final = Path(__file__).with_name("automations.yaml")


class Entry(BaseModel):
    """One automation as the file has it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    enabled: bool
    description: str
    trigger: dict[str, Any]
    actions: list[dict[str, Any]]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    automations: list[Entry]


def read_automations(path: Path = FILE) -> list[Entry]:
    """Return the automations of a file.

    Raises:
        BootstrapError: The file can't be read, or holds something that doesn't belong there.
    """
    try:
        entries = _File.model_validate(read_yaml(path)).automations
        for entry in entries:
            _as_prefect_has_it(entry, dict.fromkeys(_references(entry), NOT_THERE))
            _check_that_all_is_text(entry)
    except Unreadable as error:
        raise BootstrapError(str(error)) from None
    except ValidationError as error:
        raise BootstrapError(f"{path.name}: {told(error)}") from None
    check_unique(path, [entry.name for entry in entries])
    return entries


async def apply_automations(
    client: PrefectClient,
    entries: Collection[Entry],
    planned: Collection[str],
    *,
    dry_run: bool,
    overwrite: bool,
) -> AsyncIterator[Step]:
    """Make or update the automations on the server, and report how each was found.

    Args:
        client: The server.
        entries: What `read_automations` returned.
        planned: Deployments, as `<flow>/<deployment>`, that a dry run would have made by now.
        dry_run: Only report; change nothing.
        overwrite: Also reset what people set in the UI to what the file says.

    Raises:
        BootstrapError: An automation names a deployment that isn't there, or is to be switched on
            and names a block that isn't there.
    """
    names, on_the_server = [entry.name for entry in entries], await all_of(client.read_automations)
    for entry in entries:
        what = f"automation {entry.name}"
        ids = {name: await _look_up(client, entry, name, planned) for name in _references(entry)}
        wanted = _as_prefect_has_it(entry, ids)
        named = await client.read_automations_by_name(entry.name)
        there = next(iter(named or renamed(wanted, names, on_the_server)), None)
        if not there:
            _check_that_it_can_tell(entry, wanted)
            if not dry_run:
                await client.create_automation(wanted)
            yield Step(Found.MISSING, what, _state(wanted))
            continue
        by_the_file = mended(there, wanted, overwrite=True)
        result = by_the_file if overwrite else mended(there, wanted, overwrite=False)
        if changed := automation_differences(there, result):
            if result.enabled and not there.enabled:
                _check_that_it_can_tell(entry, result)
            if not dry_run:
                await client.update_automation(there.id, result)
            switched = f"switched {'on' if result.enabled else 'off'}"
            fields = (switched if field == "enabled" else field for field in changed)
            yield Step(Found.DIFFERENT, what, ", ".join(fields))
        if kept := automation_differences(result, by_the_file):
            yield left(what, FILE.name, kept, *filter(None, [_state(result)]))
        elif not changed:
            yield Step(Found.AS_IT_SHOULD_BE, what, _state(result))


_EXPRESSION: Final = re.compile(r"\s*\{\{(?!.*\{\{).*\}\}\s*", re.DOTALL)
_AS_TEXT: Final = re.compile(r"\|\s*(?:string|int)\s*\}\}\s*$")


def _check_that_all_is_text(entry: Entry) -> None:
    """Make sure that an event's data becomes nothing but text in a run's parameters.

    Prefect keeps an expression's type, so a payload could pass in a template, or a reference to a
    variable of the server.

    Raises:
        BootstrapError: A template would allow that.
    """
    for action in entry.actions:
        for template in _texts(action.get("parameters")):
            if _EXPRESSION.fullmatch(template) and not _AS_TEXT.search(template):
                raise BootstrapError(
                    f"{FILE.name}: {entry.name}: the template {template.strip()!r} must end in "
                    "`| string }}`: otherwise Prefect would evaluate what an event says"
                )


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


_ID_FIELD: Final = {"deployment": "deployment_id", "block": "block_document_id"}


def _references(entry: Entry) -> list[str]:
    return [
        f"{kind} {action[kind]}" for action in entry.actions for kind in _ID_FIELD if kind in action
    ]


def _as_prefect_has_it(entry: Entry, ids: dict[str, UUID]) -> AutomationCore:
    """Return an entry as Prefect's own model, with IDs in place of names.

    Raises:
        BootstrapError: Prefect refuses the entry, or would silently ignore some of its keys.
    """
    actions = [
        {
            _ID_FIELD.get(key, key): ids[f"{key} {value}"] if key in _ID_FIELD else value
            for key, value in action.items()
        }
        for action in entry.actions
    ]
    try:
        automation = AutomationCore.model_validate(
            entry.model_dump() | {"actions": [_action(values) for values in actions]}
        )
    except ValidationError as error:
        raise BootstrapError(f"{FILE.name}: {entry.name}: {told(error)}") from None
    parts = [(entry.trigger, automation.trigger), *zip(actions, automation.actions, strict=True)]
    for given, model in parts:
        if unknown := given.keys() - type(model).model_fields.keys():
            raise BootstrapError(
                f"{FILE.name}: {entry.name}: Prefect has no {', '.join(sorted(unknown))} in "
                f"{given.get('type')!r}"
            )
    # All fields are sent, even those with their default: in an update, the server treats a field
    # that is left out as missing. It refuses the owner.
    return AutomationCore.model_validate(automation.model_dump(exclude={"owner_resource"}))


def _action(values: dict[str, Any]) -> Any:  # noqa: ANN401 - any of Prefect's actions
    """Return an action as Prefect's model of its type, so that errors are only about that type."""
    kinds = {kind.model_fields["type"].default: kind for kind in get_args(ActionTypes)}
    kind = kinds.get(values.get("type"))
    return kind.model_validate(values) if kind else values


async def _look_up(
    client: PrefectClient, entry: Entry, reference: str, planned: Collection[str]
) -> UUID:
    kind, _, name = reference.partition(" ")
    try:
        if kind == "deployment":
            return (await client.read_deployment_by_name(name)).id
        block_type, _, block = name.partition("/")
        return (await client.read_block_document_by_name(block, block_type)).id
    except (ObjectNotFound, ValueError):  # or it is not a valid name
        if kind == "block" or name in planned:
            return NOT_THERE
        raise BootstrapError(
            f"automation {entry.name}: there is no deployment {name!r} on this server: name "
            f"another in {FILE.name}"
        ) from None


def _check_that_it_can_tell(entry: Entry, automation: AutomationCore) -> None:
    if automation.enabled and _lacks_a_block(automation):
        blocks = " or ".join(repr(one["block"]) for one in entry.actions if "block" in one)
        raise BootstrapError(
            f"automation {entry.name} is switched on, but there is no block {blocks} on this "
            f"server: make it in the UI, or name another in {FILE.name}"
        )


def _state(automation: AutomationCore) -> str:
    if not _lacks_a_block(automation):
        return "" if automation.enabled else "switched off"
    if automation.enabled:
        return "it sends nothing: choose a block for its notification in the UI"
    return "switched off, and without a block for its notification"


def _lacks_a_block(automation: AutomationCore) -> bool:
    return any(
        getattr(action, "block_document_id", None) == NOT_THERE for action in automation.actions
    )
