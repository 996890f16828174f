"""The earlier run that a run is held against: which it is, and what has changed since.

It is, in this order: what an interrupted attempt of this run compared with already; what
`compare_with` names; the run that `only_failed_of` narrows down; the last run of the same
deployment that says something about the tests, preferably one that was asked for the same ones.
Runs that were narrowed down are skipped there, because they cover only a few tests. It
costs one call of the Prefect server to find that run (a few where an option names it), and those of
reading its outcomes. These hold the history of each test up to then, which costs nothing more. Only
where that run died before it had reached all tests, those before it are read too.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from prefect import get_client, get_run_logger
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.types import DateTime

from flows.rerun.earlier import find_reruns, find_run, read_run
from flows.rerun.naming import called
from flows.rerun.parameters import FLOW, Parameters
from flows.runs.history import has_reported, recorded
from tasks.markdown import plain
from tasks.server_calls import until_answered
from thousandeyes.change_words import sentences
from thousandeyes.changes import carried, compared, gone, passed_over
from thousandeyes.errors import SettingsError
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record

NOTHING: Final = "nothing"
"""What `compare_with` says where a run is not to be compared."""

_LOOKED_AT: Final = 50
"""Runs of a deployment among which the last one is looked for."""
_READ: Final = 3
"""This many of them are read if the last ones say nothing: they died before the first test."""

_AS_AT_FIRST: Final = "Compared with nothing, as when this run began: its log says why."


@dataclass(frozen=True)
class Comparison:
    """An earlier run and its records by test ID; without a run, nothing changes.

    `narrowed` tells that this run leaves out tests on purpose, so that none of them is gone. `none`
    is why there is no run although one was named, for people.
    """

    run: FlowRun | None = None
    earlier: Mapping[str, Record] = field(default_factory=dict)
    narrowed: bool = False
    none: str = ""

    def note(self, record: Record) -> None:
        """Note in a record how it stands against the earlier run.

        If the test has no name, it gets the one that it had there: it may be gone from the API.
        """
        run_id, before = str(self.run.id) if self.run else None, self.earlier.get(record.test_id)
        if before and not record.test_name:
            record.named(before.test_name)
        record.stands(compared(record, before, run_id))

    def gone(self, records: Iterable[Record]) -> list[Record]:
        """Return the tests of the earlier run that are not part of this one."""
        return [] if self.narrowed else gone(records, self.earlier)

    def carried(self, records: Iterable[Record]) -> list[Record]:
        """Return the tests outside this run whose history it carries on."""
        return [] if self.narrowed else carried(records, self.earlier)

    def markdown(self, records: Sequence[Record]) -> str:
        """Return what changed, under its own heading; empty if nothing was compared."""
        if not self.run:
            return f"## What changed\n\n{plain(self.none)}" if self.none else ""
        told = [f"- {plain(line)}" for line in sentences(records, self.gone(records))]
        since = f"Since the run {plain(called(self.run))}"
        lines = [f"{since}:", "", *told] if told else [f"{since}, nothing changed."]
        return "\n".join(["## What changed", "", *lines])


async def comparison_of(
    asked: Parameters,
    flow_run: FlowRun,
    recorded_before: Mapping[str, Record],
    test_ids: Collection[str],
) -> Comparison:
    """Find the run to compare with, and read it; waits while the Prefect server is unreachable.

    Args:
        asked: What this run was given.
        flow_run: This run.
        recorded_before: What earlier attempts of this run recorded, by test ID.
        test_ids: The tests of this run.

    Raises:
        SettingsError: `compare_with` names no run that can be compared with; nothing was sent.
    """
    named = (asked.options.compare_with or "").strip()
    try:
        standings = [record.standing for record in recorded_before.values() if record.standing]
        if chosen := {known.compared_with for known in standings if known.compared_with}:
            runs = await _chosen_before(chosen)
        elif standings:  # it was compared with none, for whatever reason
            return Comparison(none=_AS_AT_FIRST if named and named != NOTHING else "")
        elif reference := named or asked.options.only_failed_of:
            runs = await _named(reference.strip(), asked, flow_run)
        else:
            runs = await _last(flow_run.deployment_id, asked, flow_run)
        for run in runs[:_READ]:
            earlier = await recorded(run, gone_too=True)
            if any(map(_tells, earlier.values())) and (named or earlier.keys() & set(test_ids)):
                get_run_logger().info("Comparing with run %r", run.name)
                earlier = await _filled_up(earlier, run, asked, test_ids)
                return Comparison(run, earlier, narrowed=bool(asked.options.only_failed_of))
    except PrefectHTTPStatusError as error:
        get_run_logger().warning("This run is not compared with another: %s", type(error).__name__)
        return Comparison()
    if not named or named == NOTHING or chosen:
        return Comparison()
    none = f"Compared with nothing: {named}, which compare_with names, has no outcomes yet."
    get_run_logger().warning(none)
    return Comparison(none=none)


async def _filled_up(
    earlier: dict[str, Record],
    run: FlowRun,
    asked: Parameters,
    test_ids: Collection[str],
    more: int = _READ,
) -> dict[str, Record]:
    """Return what a run recorded, and of tests that it died before, what the last ones before did.

    Args:
        earlier: What it recorded.
        run: The run.
        asked: What the run was given that is to be compared.
        test_ids: The tests of that.
        more: How many runs are read for it.
    """
    if not more or earlier.keys() >= set(test_ids) or await has_reported(run):
        return earlier
    if not (before := await _last(run.deployment_id, asked, run)):
        return earlier
    read = await recorded(before[0], gone_too=True)
    known = await _filled_up(read, before[0], asked, test_ids, more - 1)
    if earlier:
        known = {test_id: passed_over(record) for test_id, record in known.items()}
    return {**known, **earlier}


async def _chosen_before(run_ids: Iterable[str]) -> list[FlowRun]:
    for run_id in run_ids:
        try:
            return [await read_run(UUID(run_id))]
        except (ObjectNotFound, ValueError):
            get_run_logger().warning("The run that this one was compared with is gone")
    return []


async def _named(reference: str, asked: Parameters, flow_run: FlowRun) -> list[FlowRun]:
    if reference == NOTHING:
        return []
    option = "compare_with" if asked.options.compare_with else "only_failed_of"
    if "/" not in reference or option == "only_failed_of":
        return [(await find_run(reference, flow_run.start_time, option))[0]]
    return await _last(await find_reruns(reference, option), asked, flow_run)


async def _last(deployment: UUID | None, asked: Parameters, own: FlowRun) -> list[FlowRun]:
    """Return runs of a deployment before this one that were about to send all their tests."""
    if deployment is None:
        return []
    runs = await _ended_before(deployment, own.start_time)
    return choose([run for run in runs if run.id != own.id], asked)


@until_answered
async def _ended_before(deployment: UUID, before: DateTime | None) -> list[FlowRun]:
    async with get_client() as client:
        return await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=[deployment]),
                # Runs that were cancelled before they began say nothing.
                start_time=FlowRunFilterStartTime(before_=before, is_null_=False),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=sorted(TERMINAL_STATES))),
            ),
            sort=FlowRunSort.START_TIME_DESC,
            limit=_LOOKED_AT,
        )


def choose(runs: Iterable[FlowRun], asked: Parameters) -> list[FlowRun]:
    """Return the runs that sent all their tests, first those that were asked for the same. Pure.

    Args:
        runs: Runs of one deployment, the latest first.
        asked: What the run was given that is to be compared.
    """
    same: list[FlowRun] = []
    others: list[FlowRun] = []
    for run in runs:
        try:
            then = Parameters.of(run, FLOW)
        except SettingsError:  # of a version that is not known here
            continue
        if then.options.dry_run or then.options.only_failed_of:
            continue
        (same if _selects(then) == _selects(asked) else others).append(run)
    return same + others


def _selects(asked: Parameters) -> tuple[object, ...]:
    options = asked.options
    tests, groups = frozenset(asked.test_ids), frozenset(asked.groups)
    return (tests, groups, options.test_ids_file, options.name_pattern)


def _tells(record: Record) -> bool:
    """Tell whether a test was sent, or its run carries on how it stood."""
    return record.outcome is not Outcome.NOT_ATTEMPTED or record.standing is not None
