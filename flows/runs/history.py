"""What a flow run has recorded so far, over all its attempts."""

from datetime import UTC, datetime
from typing import Final
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

from tasks.artifacts import count_artifacts, read_outcomes
from tasks.publication import RERUNS
from tasks.server_calls import until_answered
from thousandeyes.record import Record

_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


async def runs_of(flow_run: FlowRun) -> list[UUID]:
    """Return the flow runs that are all attempts of this one.

    It may have been retried, or executed again. For a retried parent Prefect makes a new child
    run each time, under the same task run; in another process perhaps under another one.
    """
    return [run.id for run in await _attempts(flow_run)]


async def died_unseen(flow_run: FlowRun, *, under_way: bool = True) -> datetime | None:
    """Return when a run began of which an attempt ended without a report, as a killed one does.

    What that attempt sent last may stand nowhere.

    Args:
        flow_run: The run.
        under_way: Whether an attempt is going on, which has no report yet.

    Returns:
        The start of the first attempt; None where each that has ended left its report.
    """
    runs = await _attempts(flow_run)
    ended = sum(run.run_count for run in runs) - under_way
    if ended <= 0 or ended <= await count_artifacts([run.id for run in runs], RERUNS.summary):
        return None
    return min((run.start_time for run in runs if run.start_time), default=_LONG_AGO)


async def recorded(flow_run: FlowRun, *, gone_too: bool = False) -> dict[str, Record]:
    """Return what a run has recorded, by test ID, over all its attempts.

    With `gone_too`, tests are there too that were no part of it and whose history it carries on.
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
        return await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                parent_task_run_id=FlowRunFilterParentTaskRunId(any_=[parent, *parents])
            )
        )


def _function(tracking: TaskRun) -> str:
    """Return the function that a subflow is of. Its name is numbered in the order of the calls.

    In the key a hash of the function's code follows, which may be another one in each process.
    """
    return tracking.task_key.rpartition("-")[0]
