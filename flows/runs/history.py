"""What a flow run has recorded so far, over all its attempts."""

from bisect import bisect
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterParentTaskRunId,
    TaskRunFilter,
    TaskRunFilterSubFlowRuns,
)
from prefect.client.schemas.objects import FlowRun, TaskRun

from flows.runs.calls import Call, same_call
from tasks.artifacts import read_outcomes, times_of
from tasks.pages import all_of
from tasks.publication import RERUNS
from tasks.server_calls import until_answered
from thousandeyes.record import Record

_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Died(NamedTuple):
    """A run with an attempt that ended without a report.

    `began` is when its first attempt began, and `attempts` how many ended so. `told` are the tests
    that the latest ended attempt recorded: it may have sent others again that an earlier attempt
    recorded.
    """

    began: datetime
    told: frozenset[str] = frozenset()
    attempts: int = 1


async def runs_of(flow_run: FlowRun) -> list[UUID]:
    """Return the flow runs that are all attempts of this one, the oldest first.

    It may have been retried or executed again. For a retried parent Prefect makes a new child run
    each time; which of them are the same call is told by what they were given and their order.
    """
    return [run.id for run in await _attempts(flow_run)]


async def cancelled_before(flow_run: FlowRun) -> list[UUID]:
    """Return the earlier attempts that were cancelled, each a run of its own, the oldest first."""
    others = [run for run in await _attempts(flow_run) if run.id != flow_run.id]
    return [run.id for run in others if run.state and run.state.is_cancelled()]


async def died_unseen(flow_run: FlowRun, *, under_way: bool = True) -> Died | None:
    """Return what is known of a run with an attempt that ended without a report, such as by a kill.

    What that attempt sent last may not be recorded anywhere.

    Args:
        flow_run: The run.
        under_way: Whether an attempt is running, which has no report yet.

    Returns:
        None if every attempt that ended left its report.
    """
    runs = await _attempts(flow_run)
    # Not by the runs' counts alone: Prefect doesn't count an attempt that a resumption began.
    starts = sorted(await _starts(runs))
    ended = max(len(starts), sum(run.run_count for run in runs)) - under_way
    if ended <= 0:
        return None
    reports = await times_of([run.id for run in runs], RERUNS.summary)
    # By attempt: if the reply to a write is lost, the same report is written again.
    reported = {bisect(starts, one) for one in reports}
    if (died := ended - len(reported)) <= 0:
        return None
    began = min((run.start_time for run in runs if run.start_time), default=_LONG_AGO)
    latest = starts[-2:-1] if under_way else starts[-1:]
    told = await read_outcomes([run.id for run in runs], since=max(latest, default=_LONG_AGO))
    return Died(began, frozenset(record.test_id for record in told), died)


async def has_reported(flow_run: FlowRun) -> bool:
    """Tell whether any attempt of a run left its table, and with it a record of every test.

    A summary is also left by one that ended before it could begin.
    """
    return bool(await times_of(await runs_of(flow_run), RERUNS.table))


async def recorded(flow_run: FlowRun, *, gone_too: bool = False) -> dict[str, Record]:
    """Return what a run has recorded, by test ID, over all its attempts.

    With `gone_too`, this includes tests outside the run whose history it carries on.
    """
    records = await read_outcomes(await runs_of(flow_run), gone_too=gone_too)
    return {record.test_id: record for record in records}


@until_answered
async def _attempts(flow_run: FlowRun) -> list[FlowRun]:
    if not (parent := flow_run.parent_task_run_id):
        return [flow_run]
    async with get_client() as client:
        tracking = await client.read_task_run(parent)
        caller = tracking.flow_run_id
        above = await _attempts(await client.read_flow_run(caller)) if caller else []
        starts = sorted(await _starts(above))
        if len(starts) <= 1:
            of_parent = FlowRunFilterParentTaskRunId(any_=[parent])
            return _by_age(await _read(client, FlowRunFilter(parent_task_run_id=of_parent)))
        names = await _names_of_calls(client, above, tracking)
        under = FlowRunFilterParentFlowRunId(any_=[run.id for run in above])
        runs = await _read(client, FlowRunFilter(parent_flow_run_id=under))
        runs = [run for run in runs if run.parent_task_run_id in names]
        if flow_run.deployment_id:
            # An idempotency key may have found it, so how many there are doesn't number the calls.
            same = {run.id for run in runs if names[run.parent_task_run_id] == tracking.name}
        else:
            calls = [await _call(run, names[run.parent_task_run_id]) for run in runs]
            same = same_call(flow_run.id, calls, starts)
    return _by_age(run for run in runs if run.id in same)


async def _names_of_calls(
    client: PrefectClient, above: list[FlowRun], tracking: TaskRun
) -> dict[UUID | None, str]:
    """Return the names of the task runs of all calls of a subflow's function, by ID."""
    read = partial(
        client.read_task_runs,
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id for run in above])),
        task_run_filter=TaskRunFilter(subflow_runs=TaskRunFilterSubFlowRuns(exists_=True)),
    )
    called = _called(tracking)
    return {one.id: one.name for one in await all_of(read) if _called(one) == called}


async def _read(client: PrefectClient, filters: FlowRunFilter) -> list[FlowRun]:
    return await all_of(partial(client.read_flow_runs, flow_run_filter=filters))


async def _call(run: FlowRun, name: str) -> Call:
    again = await _starts([run]) if run.run_count > 1 else []
    times = [time for time in (run.created, run.start_time, *again) if time]
    return Call(run.id, name, run.parameters, times)


def _by_age(runs: Iterable[FlowRun]) -> list[FlowRun]:
    return sorted(runs, key=lambda run: str(run.created))


@until_answered
async def _starts(runs: list[FlowRun]) -> list[datetime]:
    """Return when each attempt began, by the Prefect server's clock."""
    starts: list[datetime] = []
    async with get_client() as client:
        for run in runs:
            states = await client.read_flow_run_states(run.id)  # the oldest first
            # A run that was paused in its process continues the same attempt there.
            paused = [False, *(state.is_paused() for state in states)]
            starts += [
                state.timestamp
                for state, resumed in zip(states, paused, strict=False)
                if state.is_running() and not resumed
            ]
    return starts


def _called(tracking: TaskRun) -> tuple[str, str]:
    """Return what identifies the function of a subflow: its task run's name and key in part.

    In the name the number of the call follows, and in the key a hash of the function's code, which
    may differ in each process.
    """
    name = tracking.name.removesuffix(f"-{tracking.dynamic_key}")
    return name, tracking.task_key.rpartition("-")[0]
