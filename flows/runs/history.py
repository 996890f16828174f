"""What a flow run has recorded so far, over all its attempts."""

from uuid import UUID

from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentTaskRunId
from prefect.client.schemas.objects import FlowRun

from tasks.artifacts import read_outcomes
from thousandeyes.record import Record


async def runs_of(flow_run: FlowRun) -> list[UUID]:
    """Return the flow runs that are all attempts of this one.

    It may have been retried, or executed again. For a retried parent Prefect makes a new child
    run each time, under the same task run.
    """
    same = [flow_run]
    if parent := flow_run.parent_task_run_id:
        async with get_client() as client:
            same = await client.read_flow_runs(
                flow_run_filter=FlowRunFilter(
                    parent_task_run_id=FlowRunFilterParentTaskRunId(any_=[parent])
                )
            )
    return [run.id for run in same]


async def recorded(flow_run: FlowRun) -> dict[str, Record]:
    """Return what a run has recorded, by test ID, over all its attempts."""
    records = await read_outcomes(await runs_of(flow_run))
    return {record.test_id: record for record in records}
