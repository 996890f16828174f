"""Several organizations on real servers: each in a run of its own, with its own quota and token."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import AwaitingRetry, Cancelling

from tasks.artifacts import read_outcomes
from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tests.deployments.scene import client_of, runs_of, simulated, start, until
from tests.deployments.topology import Topology
from thousandeyes.outcomes import Outcome

pytestmark = pytest.mark.servers

QUOTAS = {"north": 12, "south": 6}
DEAD = "west"


@pytest.fixture
def machines(machines: Topology) -> Iterator[Topology]:
    with client_of(machines):
        yield machines


def ids_of(organization: str) -> list[str]:
    return [f"{organization}-{number}" for number in range(24)]


@contextlib.contextmanager
def organizations() -> Iterator[dict[str, Any]]:
    """Serve three organizations: two with quotas of their own, one whose token is dead."""
    with contextlib.ExitStack() as stack:
        served = {}
        for name in (*QUOTAS, DEAD):
            told = {"tests": ids_of(name), "token": f"token-of-{name}", "window_seconds": 5.0}
            if name in QUOTAS:
                told["instant_limit"] = QUOTAS[name]
            served[name] = stack.enter_context(simulated(**told))
        yield {name: (simulator, env) for name, (simulator, env) in served.items()}


async def save(served: dict[str, Any]) -> None:
    for name, (_, env) in served.items():
        token = "expired" if name == DEAD else f"token-of-{name}"
        await ThousandEyesCredentials.model_validate(
            {"token": token, "base_url": env["TE_BASE_URL"]}
        ).save(name, overwrite=True)
        group = EndpointTestGroup(test_ids=ids_of(name), credentials=name)
        await group.save(f"{name}-tests", overwrite=True)


def ran(simulator: Any) -> Counter[str | None]:
    return Counter(call.test_id for call in simulator.calls if call.applied)


async def ended(flow_run_id: UUID) -> str:
    """Wait for the end of a flow run and return its sentence."""
    async with get_client() as client:
        while True:
            state = (await client.read_flow_run(flow_run_id)).state
            if state and state.is_final():
                return state.message or ""
            await asyncio.sleep(0.3)


async def test_each_goes_at_its_own_pace_and_a_retry_resends_no_accepted_test(
    machines: Topology,
) -> None:
    with organizations() as served, machines.worker("first"), machines.worker("second"):
        await save(served)
        parent = await start(
            "rerun-organizations/organizations", {"groups": [f"{name}-tests" for name in served]}
        )
        sentence = await ended(parent.id)
        assert sentence.startswith(
            "2 of 3 organizations passed; west: 24 of 24 tests did not end well ("
        )
        assert {name: ran(simulator) for name, (simulator, _) in served.items()} == {
            **{name: dict.fromkeys(ids_of(name), 1) for name in QUOTAS},
            DEAD: {},
        }
        # The token is mended, and somebody presses "retry" on the parent.
        await ThousandEyesCredentials.model_validate(
            {"token": f"token-of-{DEAD}", "base_url": served[DEAD][1]["TE_BASE_URL"]}
        ).save(DEAD, overwrite=True)
        async with get_client() as client:
            await client.set_flow_run_state(parent.id, AwaitingRetry())
        assert await ended(parent.id) == "3 of 3 organizations passed."
        for name, (simulator, _) in served.items():
            assert ran(simulator) == dict.fromkeys(ids_of(name), 1)
    records = await read_outcomes([parent.id])
    assert len(records) == len(served) * len(ids_of(DEAD))
    assert {record.outcome for record in records} == {Outcome.ACCEPTED}


@contextlib.asynccontextmanager
async def room_for(limit: int) -> AsyncIterator[None]:
    """Set the limit of the children's work queue, as people do in the UI."""
    async with get_client() as client:
        queue = await client.read_work_queue_by_name("organizations", "thousandeyes")
        await client.update_work_queue(queue.id, concurrency_limit=limit)
        yield
        await client.update_work_queue(queue.id, concurrency_limit=queue.concurrency_limit)


async def many(number: int, env: dict[str, str]) -> list[str]:
    """Save groups of that many organizations, and return their names."""
    groups = [f"group-{n}" for n in range(number)]
    for n, group in enumerate(groups):
        block = {"token": env["TE_TOKEN"], "base_url": env["TE_BASE_URL"]}
        await ThousandEyesCredentials.model_validate(block).save(f"many-{n}", overwrite=True)
        await EndpointTestGroup(test_ids=[str(n)], credentials=f"many-{n}").save(
            group, overwrite=True
        )
    return groups


async def occupied(runs: Iterable[FlowRun]) -> list[tuple[datetime, datetime]]:
    """Return from when to when each run was pending or running, by the server's records."""
    stretches = []
    async with get_client() as client:
        for run in runs:
            states = await client.read_flow_run_states(run.id)
            stretches.append(
                (
                    min(state.timestamp for state in states if state.is_pending()),
                    max(state.timestamp for state in states if state.is_final()),
                )
            )
    return stretches


def beyond(machines: Topology, limit: int) -> int:
    """Return how many runs may go on beyond a queue's limit.

    A server on PostgreSQL leaves out of its count what is on its way to Pending at that moment.
    """
    return limit if machines.database_url else 0


def most_at_once(stretches: Sequence[tuple[datetime, datetime]]) -> int:
    return max(sum(begin <= at < end for begin, end in stretches) for at, _ in stretches)


async def test_of_many_no_more_run_at_once_than_their_work_queue_has_room_for(
    machines: Topology,
) -> None:
    before = await runs_of("rerun-endpoint-tests/on-demand")
    with simulated(tests=[str(n) for n in range(5)]) as (simulator, env), machines.worker("one"):
        async with room_for(2):
            parent = await start(
                "rerun-organizations/organizations", {"groups": await many(5, env)}
            )
            # Its own place is no place of its children.
            assert await ended(parent.id) == "5 of 5 organizations passed."
        assert ran(simulator) == {str(n): 1 for n in range(5)}
    after = await runs_of("rerun-endpoint-tests/on-demand")
    children = [after[one] for one in after.keys() - before]
    assert len(children) == 5
    assert 2 <= most_at_once(await occupied(children)) <= 2 + beyond(machines, 2)


async def test_what_waits_for_room_never_begins_once_the_parent_is_cancelled(
    machines: Topology,
) -> None:
    before = await runs_of("rerun-endpoint-tests/on-demand")

    async def children() -> list[FlowRun]:
        after = await runs_of("rerun-endpoint-tests/on-demand")
        return [after[one] for one in after.keys() - before]

    async def one_has_begun() -> bool:
        return len(await children()) == 3 and bool(simulator.calls)

    async def all_cancelled() -> bool:
        return all(run.state and run.state.is_cancelled() for run in await children())

    tests = [str(n) for n in range(3)]
    with (
        simulated(tests=tests, latency_seconds=300) as (simulator, env),
        machines.worker("one"),
    ):
        async with room_for(1):
            parent = await start(
                "rerun-organizations/organizations", {"groups": await many(3, env)}
            )
            await until(one_has_begun)
            async with get_client() as client:
                await client.set_flow_run_state(parent.id, Cancelling())
            await ended(parent.id)
            await until(all_cancelled)
        # The one that has begun asks for the tests' names first, and may not have come further.
        called = {call.test_id for call in simulator.calls if call.test_id}
        assert len(called) <= 1 + beyond(machines, 1)
    async with get_client() as client:
        states = [await client.read_flow_run_states(run.id) for run in await children()]
    begun = sum(any(state.is_running() for state in each) for each in states)
    assert 1 <= begun <= 1 + beyond(machines, 1)
