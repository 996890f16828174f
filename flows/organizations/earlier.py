"""What an earlier run of several organizations means to each: its own run there."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from prefect import get_run_logger
from prefect.exceptions import ObjectNotFound

from flows.organizations.continuation import called, latest_run
from flows.rerun.comparison import NOTHING
from flows.rerun.earlier import SentNothing, find_run, flow_of, read_run
from flows.rerun.options import RerunOptions
from flows.runs.history import runs_of
from tasks.loading import refuse_known_tokens
from thousandeyes.errors import SettingsError
from thousandeyes.text import listed, quoted

FLOW: Final = "rerun-organizations"
_REFERENCES: Final = {"only_failed_of": None, "compare_with": NOTHING}
"""The options that name a run, and what they are for an organization that sent nothing there."""


async def options_of_each(
    options: RerunOptions, organizations: Collection[str | None]
) -> dict[str | None, RerunOptions]:
    """Return the options of each organization's run, which name its own earlier run.

    An organization that sent nothing in the earlier run has all its tests run.

    Args:
        options: What all of them were given.
        organizations: The names of their credentials blocks; None: the worker's environment.

    Raises:
        SettingsError: An option names something other than a run of this flow that has ended;
            nothing was sent.
    """
    each = dict.fromkeys(organizations, options)
    for option, none in _REFERENCES.items():
        reference = (getattr(options, option) or "").strip()
        if reference and reference != none:
            own = await _own_runs(reference, option, organizations)
            each = {
                one: known.model_copy(update={option: own.get(one, none)})
                for one, known in each.items()
            }
    return each


async def _own_runs(
    reference: str, option: str, organizations: Collection[str | None]
) -> dict[str | None, str]:
    """Return the ID of each organization's own run, if it sent anything."""
    refuse_known_tokens([reference], f"runs that {option} names")
    try:
        parent = await read_run(UUID(reference))
        flow = await flow_of(parent)
    except (ObjectNotFound, ValueError):
        flow = ""
    if flow != FLOW:
        raise SettingsError(
            f"{option}: {quoted([reference])} is not the ID of a run of {FLOW} on this Prefect "
            "server. No other run says something about every organization. Nothing was sent."
        )
    if not (parent.state and parent.state.is_final()):
        raise SettingsError(
            f"{option}: {parent.name!r} has not ended, and may still start runs: wait for its end, "
            "or cancel it. Nothing was sent."
        )
    attempts = await runs_of(parent)
    own: dict[str | None, str] = {}
    for one in organizations:
        if run := await latest_run(one, attempts):
            try:
                await find_run(str(run.id), None, option)
            except SentNothing:
                continue
            own[one] = str(run.id)
    if others := [called(one) for one in organizations if one not in own]:
        get_run_logger().warning("%s: %r sent nothing for %s", option, parent.name, listed(others))
    return own
