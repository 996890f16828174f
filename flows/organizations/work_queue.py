"""The work queue of the runs that `rerun-organizations` starts: how many of them run at once."""

from contextlib import suppress
from typing import Final
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType, WorkQueue
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled

from tasks.deployment import find_deployment
from tasks.pages import PAGE
from tasks.server_calls import until_answered
from thousandeyes.errors import SettingsError

QUEUE: Final = "organizations"


async def queue_beside(deployment: str) -> WorkQueue | None:
    """Return the queue `organizations` of a deployment's work pool, if the pool has one.

    None if it has none: Prefect would create it without a limit, and workers that serve only other
    queues would never look into it. None as well without a pool or a deployment.

    Args:
        deployment: `<flow>/<deployment>`.
    """
    found = await find_deployment(deployment)
    if found and found.work_pool_name:
        with suppress(ObjectNotFound):
            return await _queue_of(found.work_pool_name)
    return None


@until_answered
async def _queue_of(pool: str) -> WorkQueue:
    async with get_client() as client:
        return await client.read_work_queue_by_name(QUEUE, pool)


def check_place(parent: FlowRun, queue: WorkQueue | None) -> None:
    """Make sure that a run takes no place from the runs that it starts and waits for.

    Raises:
        SettingsError: It is in their queue: enough such runs would wait for ever.
    """
    if queue and parent.work_queue_id == queue.id:
        raise SettingsError(
            f"this run is in the work queue {queue.name} itself, and would take a place from the "
            "runs that it waits for: give its deployment another work queue. Nothing was sent."
        )


async def cancel_waiting(parents: list[UUID]) -> None:
    """Cancel those runs of a cancelled parent that have not begun.

    Prefect does so too, but only some 20 s after the parent's end. Runs that are being cancelled
    no longer hold places in the queue, so others would begin meanwhile.

    Args:
        parents: All attempts of the parent.
    """
    waiting = FlowRunFilter(
        parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=parents),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
    )
    seen: set[UUID] = set()
    async with get_client() as client:
        # Those that were cancelled are not in the next page; any that Prefect left are.
        while page := [
            run.id
            for run in await client.read_flow_runs(flow_run_filter=waiting, limit=PAGE)
            if run.id not in seen
        ]:
            for run_id in page:
                with suppress(ObjectNotFound):  # somebody has deleted it meanwhile
                    await client.set_flow_run_state(
                        run_id, Cancelled(message="The run that started it was cancelled.")
                    )
            seen.update(page)


def is_closed(queue: WorkQueue | None) -> bool:
    """Tell whether a queue lets no run begin because somebody paused it or left it no room."""
    return queue is not None and (queue.is_paused or queue.concurrency_limit == 0)


def room_in(queue: WorkQueue | None) -> str:
    """Return in words how many runs a queue lets run at once; all, without a queue."""
    if is_closed(queue):
        return f"none until the work queue {QUEUE} is resumed and has room"
    return at_once(queue.concurrency_limit if queue else None)


def at_once(limit: int | None) -> str:
    """Return in words how many runs a queue's concurrency limit lets run at once."""
    return "all at once" if limit is None else f"at most {limit} at once"
