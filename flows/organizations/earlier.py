"""What an earlier run of several organizations means to each: its own run there."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from prefect import get_run_logger
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound

from flows.organizations.continuation import called, runs_for
from flows.rerun.comparison import NOTHING
from flows.rerun.earlier import SentNothing, find_reruns, find_run, flow_of, read_run
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

    For an organization that sent nothing in the run that `only_failed_of` names, what that run
    itself narrowed down counts; without that, all its tests are run.

    Args:
        options: What all of them were given.
        organizations: The names of their credentials blocks; None: the worker's environment.

    Raises:
        SettingsError: An option names something other than a run of this flow that has ended, or
            one that sent nothing for any of them; nothing was sent.
    """
    each = dict.fromkeys(organizations, options)
    for option, none in _REFERENCES.items():
        reference = (getattr(options, option) or "").strip()
        if not reference or reference == none:
            continue
        own = await _own_runs(reference, option, organizations)
        if others := [called(one) for one in organizations if one not in own]:
            sent_nothing = f"{option}: {quoted([reference])} sent nothing for {listed(others)}"
            if not own:
                raise SettingsError(f"{sent_nothing}: name an earlier run. Nothing was sent.")
            get_run_logger().warning(sent_nothing)
        each = {
            one: known.model_copy(update={option: own.get(one, none)})
            for one, known in each.items()
        }
    return each


async def _own_runs(
    reference: str, option: str, organizations: Collection[str | None]
) -> dict[str | None, str]:
    """Return the run that a reference means to each organization, where there is one."""
    refuse_known_tokens([reference], f"runs that {option} names")
    if option == "compare_with" and "/" in reference:
        # Of a deployment's runs, a run is compared with one that had the same groups.
        await find_reruns(reference, option)
        return dict.fromkeys(organizations, reference)
    parent = await _ended(reference, option)
    attempts = await runs_of(parent)
    own: dict[str | None, str] = {}
    without_run: list[str | None] = []
    for one in organizations:
        if not (runs := await runs_for(one, attempts)):
            without_run.append(one)
        elif found := await _that_sent(runs, option) or _narrowed_down(runs[0], option):
            own[one] = found
    if without_run and (earlier := _narrowed_down(parent, option)):
        try:
            own |= await _own_runs(earlier, option, without_run)
        except SettingsError as error:
            names = listed([called(one) for one in without_run])
            raise SettingsError(
                f"{option}: {parent.name!r} started no run for {names}, and the run that it "
                f"narrowed down can't be used: name another run, or leave them out. {error}"
            ) from None
    return own


async def _ended(reference: str, option: str) -> FlowRun:
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
    return parent


async def _that_sent(runs: Collection[FlowRun], option: str) -> str:
    """Return the ID of the first run that sent anything, if one did."""
    for run in runs:
        try:
            await find_run(str(run.id), None, option)
        except SentNothing:
            continue
        return str(run.id)
    return ""


def _narrowed_down(run: FlowRun, option: str) -> str:
    """Return the reference that counts in place of a run that sent nothing, if there is one.

    What the run before left in doubt must not be sent again under `at_most_once`. Nothing depends
    on a comparison that way.
    """
    match run.parameters:
        case {"options": {"only_failed_of": str(reference)}} if option == "only_failed_of":
            return reference.strip()
    return ""
