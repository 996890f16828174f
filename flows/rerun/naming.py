"""How a run is named and tagged: after what it runs, so that a list of runs can be read."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from coolname.data import config  # Prefect brings it, for names
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from flows.rerun.parameters import Parameters
from tasks.server_calls import checking_changes, refusals_logged, until_taken
from thousandeyes.text import clock, counted, cut, isolated

_FORMS: Final = re.compile(
    r"(alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|omicron|pi|rho|sigma"
    r"|tau|upsilon|phi|chi|psi|omega)[0-9]+(-[a-z]+)+"
    r"|(Awesome|Rustic|Small|Gorgeous|Fantastic|Sleek|Intelligent|Unbranded|Refined|Licensed|Generic"
    r"|Practical|Ergonomic|Handcrafted|Tasty|Handmade|Incredible)-[A-Z][a-zñ]{1,5}"
)
"""What Prefect's two forms fill in, such as mu879-angmar and Rustic-Wasp. The first may also leave
out the number, but then it looks like a name that a person chose, such as beta-test."""
_DATED: Final = re.compile(r" \d{4}-\d\d-\d\d \d\d:\d\d$")
_GROUPS_NAMED: Final = 3
_LONGEST: Final = 120


_RULES: Final[Mapping[str, Any]] = config


def _words(name: str) -> set[str]:
    rule = _RULES[name]
    return set(rule.get("words", ())).union(*map(_words, rule.get("lists", ())))


_ADJECTIVES, _ANIMALS = map(_words, _RULES["an"]["lists"])
"""The words of which Prefect makes a name where it gets none, such as merry-fox."""


def name_of(asked: Parameters, tests: int, at: datetime) -> str:
    """Return a name such as `branch-offices: 41 tests, 2026-11-28 10:00`.

    Args:
        asked: The run's parameters.
        tests: How many tests they come to.
        at: When the run was to begin, in UTC.
    """
    groups = list(dict.fromkeys(asked.groups))
    named = ", ".join(groups[:_GROUPS_NAMED])
    if len(groups) > _GROUPS_NAMED:
        named += f" and {len(groups) - _GROUPS_NAMED} more"
    what = f"{named}: {counted(tests, 'test')}" if named else counted(tests, "test")
    if asked.options.only_failed_of:
        what += " that failed"
    if asked.options.dry_run:
        what = f"dry run of {what}"
    return cut(f"{what}, {at:%Y-%m-%d %H:%M}", _LONGEST)


def called(flow_run: FlowRun) -> str:
    """Return a run as a text names it: quoted, and with its time if its name has none."""
    name, began = f'"{isolated(flow_run.name)}"', flow_run.start_time
    return name if began is None or _DATED.search(flow_run.name) else f"{name} of {clock(began)}"


async def name_blocks(flow_run: FlowRun, asked: Parameters) -> None:
    """Let a run's parameters name the blocks that were chosen in a form.

    So people and later runs that read this one know them, even if it fails before it sends.
    """
    parameters = flow_run.parameters | {
        key: getattr(asked, key)
        for key, value in flow_run.parameters.items()
        if isinstance(value, dict) and "$ref" in value
    }
    await _change(flow_run, parameters=parameters)


async def give_name(flow_run: FlowRun, name: str, groups: Iterable[str]) -> None:
    """Give a run this name, unless somebody named it, and tag it with the groups that it runs."""
    name = name if _nobody_named(flow_run) else flow_run.name
    missing = set(groups) - set(flow_run.tags)
    tags = sorted({*flow_run.tags, *missing}) if missing else flow_run.tags
    await _change(flow_run, name=name, tags=tags)
    if (context := FlowRunContext.get()) and context.flow_run:
        context.flow_run.name = name  # for the log's lines


def _nobody_named(flow_run: FlowRun) -> bool:
    adjective, _, animal = flow_run.name.partition("-")
    if adjective in _ADJECTIVES and animal in _ANIMALS:
        return True
    # No form starts a subflow: if its name looks like a form's, its parent made it of its own.
    return flow_run.parent_task_run_id is None and bool(_FORMS.fullmatch(flow_run.name))


async def _change(flow_run: FlowRun, **values: Any) -> None:  # noqa: ANN401 - its fields
    if all(getattr(flow_run, key) == value for key, value in values.items()):
        return

    async def change() -> None:
        async with get_client() as client:
            await checking_changes(client).update_flow_run(flow_run.id, **values)

    with refusals_logged(f"the run's {' and '.join(values)}"):
        await until_taken(change)
    for key, value in values.items():
        setattr(flow_run, key, value)
