"""The work queue of the organizations' runs: where there is one, and who must not be in it."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun, State, WorkQueue
from prefect.states import Running, Scheduled

from flows.organizations.work_queue import (
    QUEUE,
    cancel_waiting,
    check_place,
    is_closed,
    queue_beside,
    room_in,
)
from flows.rerun import rerun_endpoint_tests
from tasks.rerun import rerun_endpoint_test
from thousandeyes.errors import SettingsError

pytestmark = pytest.mark.usefixtures("prefect_server")


async def deployed(client: PrefectClient, name: str, pool: str | None) -> str:
    """Make a deployment in a new work pool, or without one; returns its full name."""
    flow_id = await client.create_flow(rerun_endpoint_tests)
    if pool:
        await client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
    await client.create_deployment(flow_id, name, work_pool_name=pool)
    return f"{rerun_endpoint_tests.name}/{name}"


async def test_it_is_that_of_the_pool_in_which_the_runs_are() -> None:
    async with get_client() as client:
        there = await deployed(client, "bounded", "pool-with-queue")
        made = await client.create_work_queue(
            QUEUE, concurrency_limit=3, work_pool_name="pool-with-queue"
        )
    found = await queue_beside(there)
    assert found
    assert (found.id, found.concurrency_limit) == (made.id, 3)


@pytest.mark.parametrize(("name", "pool"), [("elsewhere", "pool-without-queue"), ("served", None)])
async def test_none_is_made_where_nobody_made_one(name: str, pool: str | None) -> None:
    async with get_client() as client:
        there = await deployed(client, name, pool)
        assert await queue_beside(there) is None
        queues = await client.read_work_queues(work_pool_name=pool) if pool else []
    assert QUEUE not in [queue.name for queue in queues]


@pytest.mark.parametrize("name", ["rerun-endpoint-tests/gone", "no-name-of-one"])
async def test_a_deployment_that_is_not_there_has_none(name: str) -> None:
    assert await queue_beside(name) is None


def run_in(queue_id: UUID | None) -> FlowRun:
    return FlowRun(flow_id=uuid4(), work_queue_id=queue_id)


def test_a_run_in_the_queue_of_its_own_runs_is_refused_since_it_could_wait_for_ever() -> None:
    queue = WorkQueue(name=QUEUE, work_pool_id=uuid4())
    with pytest.raises(SettingsError, match="is in the work queue organizations itself"):
        check_place(run_in(queue.id), queue)


def test_a_run_elsewhere_or_without_a_queue_has_its_place() -> None:
    queue = WorkQueue(name=QUEUE, work_pool_id=uuid4())
    check_place(run_in(uuid4()), queue)
    check_place(run_in(None), queue)
    check_place(run_in(None), None)


async def test_of_a_cancelled_runs_own_runs_those_that_wait_are_cancelled_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flows.organizations.work_queue.PAGE", 2)
    async with get_client() as client:
        there = await client.read_deployment_by_name(await deployed(client, "children", None))
        first, again, other = [await client.create_flow_run(rerun_endpoint_tests) for _ in range(3)]

        async def started(by: FlowRun, state: State[None]) -> UUID:
            link = await client.create_task_run(rerun_endpoint_test, by.id, str(uuid4()))
            run = await client.create_flow_run_from_deployment(
                there.id, parent_task_run_id=link.id, state=state
            )
            return run.id

        runs = [
            await started(first, Scheduled()),
            await started(again, Scheduled()),
            await started(again, Scheduled()),
            await started(again, Running()),
            await started(other, Scheduled()),
        ]
        await cancel_waiting([first.id, again.id])
        states = [(await client.read_flow_run(one)).state_name for one in runs]
    assert states == ["Cancelled", "Cancelled", "Cancelled", "Running", "Scheduled"]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"concurrency_limit": 8}, "at most 8 at once"),
        ({}, "all at once"),
        ({"is_paused": True}, "none until the work queue organizations is resumed and has room"),
        (
            {"concurrency_limit": 0},
            "none until the work queue organizations is resumed and has room",
        ),
    ],
)
def test_the_room_of_the_queue_is_told_in_words(told: dict[str, Any], words: str) -> None:
    queue = WorkQueue(name=QUEUE, work_pool_id=uuid4(), **told)
    assert room_in(queue) == words
    assert is_closed(queue) == words.startswith("none")


def test_without_a_queue_all_run_at_once() -> None:
    assert room_in(None) == "all at once"
    assert not is_closed(None)
