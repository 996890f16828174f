"""What a flow run has recorded so far, over all its attempts."""

from bisect import bisect
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentTaskRunId,
    TaskRunFilter,
    TaskRunFilterName,
)
from prefect.client.schemas.objects import FlowRun, TaskRun

from tasks.artifacts import read_outcomes, times_of
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
    each time, under the same task run, or in another process perhaps under another one.
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
        alike = await client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[tracking.flow_run_id])),
            task_run_filter=TaskRunFilter(name=TaskRunFilterName(any_=[tracking.name])),
        )
        parents = {one.id for one in alike if _function(one) == _function(tracking)}
        runs = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                parent_task_run_id=FlowRunFilterParentTaskRunId(any_=[parent, *parents])
            )
        )
    return sorted(runs, key=lambda run: str(run.created))


@until_answered
async def _starts(runs: list[FlowRun]) -> list[datetime]:
    """Return when each attempt began, by the Prefect server's clock."""
    async with get_client() as client:
        states = [state for run in runs for state in await client.read_flow_run_states(run.id)]
    return [state.timestamp for state in states if state.is_running()]


def _function(tracking: TaskRun) -> str:
    """Return the function of a subflow. The task run's name is numbered in the order of the calls.

    In its key a hash of the function's code follows, which may differ in each process.
    """
    return tracking.task_key.rpartition("-")[0]
