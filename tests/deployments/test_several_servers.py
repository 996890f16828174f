"""Two API servers behind one address: each may die while runs go on, and nothing is lost."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State
from prefect.deployments import arun_deployment

from tasks.artifacts import read_outcomes
from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tests.deployments.cluster import Cluster
from tests.deployments.scene import client_of, runs_of, simulated, until
from thousandeyes.outcomes import Outcome

pytestmark = pytest.mark.servers

ON_DEMAND: Final = "rerun-endpoint-tests/on-demand"
LIMITED: Final = "rerun-endpoint-tests/scheduled"
ORGANIZATIONS: Final = ("berlin", "lisbon", "oslo")
TESTS: Final = 16
LONGEST: Final = 600.0  # seconds, on a machine that has no time for it
ONE_BY_ONE: Final = {"max_in_flight": 1}


@pytest.fixture
def cluster(several_servers: Cluster) -> Iterator[Cluster]:
    with client_of(several_servers):
        yield several_servers


def ids_of(organization: str) -> list[str]:
    return [f"{organization}-{number}" for number in range(TESTS)]


async def save(organization: str, env: dict[str, str]) -> str:
    """Save an organization's credentials and tests, and return its group's name."""
    block = {"token": env["TE_TOKEN"], "base_url": env["TE_BASE_URL"]}
    await ThousandEyesCredentials.model_validate(block).save(organization)
    tests = EndpointTestGroup(test_ids=ids_of(organization), credentials=organization)
    await tests.save(group := f"{organization}-tests")
    return group


async def ended(flow_run_id: UUID) -> str:
    """Wait for the end of a flow run and return its sentence."""

    async def over() -> State | None:
        async with get_client() as client:
            state = (await client.read_flow_run(flow_run_id)).state
        return state if state and state.is_final() else None

    return str((await until(over, LONGEST)).message)


async def test_what_a_run_tells_reaches_the_services_through_the_one_address(
    cluster: Cluster,
) -> None:
    async def recorded() -> bool:
        ours = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        async with get_client() as client:
            tasks = await client.read_task_runs(flow_run_filter=ours)
        return [task.state_name for task in tasks] == ["Completed"]

    with simulated(tests=["1"]) as (_, env), cluster.worker("north", **env):
        run = await arun_deployment(ON_DEMAND, parameters={"test_ids": ["1"]}, timeout=0)
        # Task runs are events on a WebSocket, which the services write down.
        await until(recorded, LONGEST)


async def test_one_is_killed_and_then_the_other_and_each_outcome_is_recorded_once(
    cluster: Cluster,
) -> None:
    before = await runs_of(ON_DEMAND)
    with ExitStack() as stack:
        served: dict[str, Any] = {
            name: stack.enter_context(simulated(tests=ids_of(name), latency_seconds=1.5))
            for name in (*ORGANIZATIONS, "madrid")
        }

        def ran(name: str) -> Counter[str]:
            return Counter(call.test_id for call in served[name][0].calls if call.applied)

        async def each_sent(count: int) -> bool:
            return all(len(ran(name)) >= count for name in served)

        groups = [await save(name, served[name][1]) for name in ORGANIZATIONS]
        for worker in ("north", "south"):
            stack.enter_context(cluster.worker(worker, **served["madrid"][1]))
        parent = await arun_deployment(
            "rerun-organizations/organizations",
            parameters={"groups": groups, "options": ONE_BY_ONE},
            timeout=0,
        )
        limited = await arun_deployment(
            LIMITED,
            parameters={"test_ids": ids_of("madrid"), "groups": [], "options": ONE_BY_ONE},
            timeout=0,
        )
        await until(lambda: each_sent(2), LONGEST)
        cluster.kill("first")
        await until(lambda: each_sent(5), LONGEST)
        await asyncio.to_thread(cluster.begin, "first")
        cluster.kill("second")

        assert await ended(parent.id) == "3 of 3 organizations passed."
        assert await ended(limited.id) == f"{TESTS} of {TESTS} tests accepted."
        for name in served:
            assert ran(name) == dict.fromkeys(ids_of(name), 1)

    children = (await runs_of(ON_DEMAND)).keys() - before
    assert len(children) == len(ORGANIZATIONS)
    records = await read_outcomes([*children, limited.id])
    assert Counter(record.test_id for record in records) == {
        test_id: 1 for name in served for test_id in ids_of(name)
    }
    assert {record.outcome for record in records} == {Outcome.ACCEPTED}
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(LIMITED)
        limit = await client.read_global_concurrency_limit_by_name(f"deployment:{deployment.id}")
    assert limit.active_slots == 0
