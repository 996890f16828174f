"""The three ways of use, on real servers: SQLite alone, and PostgreSQL with two workers."""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.events import Event, Resource
from prefect.events.clients import get_events_client

from tasks.artifacts import read_outcomes
from tests.deployments.scene import (
    client_of,
    next_run_of,
    runs_of,
    simulated,
    start,
    switched_on,
    until,
)
from tests.deployments.topology import Topology

TEST_IDS = ["202701", "202702"]
SCHEDULED, ON_DEMAND, AFTER_CHANGE = (
    f"rerun-endpoint-tests/{name}" for name in ("scheduled", "on-demand", "after-change")
)


@pytest.fixture
def machines(machines: Topology) -> Iterator[Topology]:
    with client_of(machines):
        yield machines


@pytest.mark.servers
async def test_the_schedule_starts_the_scheduled_deployment(machines: Topology) -> None:
    known = await runs_of(SCHEDULED)
    async with get_client() as client:
        there = await client.read_deployment_by_name(SCHEDULED)
        schedule = DeploymentScheduleCreate(
            schedule=IntervalSchedule(interval=timedelta(seconds=10)),
            active=True,
            parameters={"test_ids": TEST_IDS, "groups": []},
        )
        [made] = await client.create_deployment_schedules(there.id, [schedule])
        try:
            with simulated(tests=TEST_IDS) as (_, env), two_workers(machines, **env):
                run = await next_run_of(SCHEDULED, known)
        finally:
            await client.delete_deployment_schedule(there.id, made.id)
            # Those that wait for their turn stay, and the next worker would run them.
            for left in (await runs_of(SCHEDULED)).values():
                if left.state and not left.state.is_final():
                    await client.delete_flow_run(left.id)
    assert run.auto_scheduled
    assert run.state
    assert run.state.message == "2 of 2 tests accepted."


@contextlib.contextmanager
def two_workers(machines: Topology, **env: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for name in ("north", "south")[: 2 if machines.auth else 1]:
            stack.enter_context(machines.worker(name, **env))
        yield


async def tell_of_a_change(payload: dict[str, Any]) -> None:
    change = {"prefect.resource.id": "network.change.CHG0042"}
    async with get_events_client() as events:
        told = Event(event="network.change.finished", resource=Resource(change), payload=payload)
        await events.emit(told)


async def test_an_event_starts_the_after_change_deployment_with_its_payload(
    machines: Topology,
) -> None:
    """And one that names no group that there is becomes a run that fails with the reason."""
    known = await runs_of(AFTER_CHANGE)
    group = "Göteborg \U0001f3e2"

    async def heard() -> FlowRun | None:
        # Prefect knows an automation a moment after it is switched on, and no call tells when.
        await tell_of_a_change({"groups": [group]})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                return await next_run_of(AFTER_CHANGE, known)
        return None

    with simulated(tests=TEST_IDS) as (simulator, env), two_workers(machines, **env):
        async with switched_on("thousandeyes-rerun-after-change"):
            refused: FlowRun = await until(heard)
            assert not simulator.calls
            known = await runs_of(AFTER_CHANGE)
            # A system of changes may keep IDs as numbers.
            await tell_of_a_change({"test_ids": [202701, "202702"]})
            run = await next_run_of(AFTER_CHANGE, known)
    assert run.state
    assert run.state.message == "2 of 2 tests accepted."
    assert {one.test_id for one in await read_outcomes([run.id])} == set(TEST_IDS)
    assert refused.state
    assert refused.state.is_failed()
    said = "no Endpoint Test Group block named 'Göteborg'"
    assert str(refused.state.message).startswith(said)
    assert sorted(call.test_id for call in simulator.calls if call.applied) == TEST_IDS


@pytest.mark.servers
async def test_a_run_outlives_a_restart_of_the_prefect_server(machines: Topology) -> None:
    tests = [str(202_701 + number) for number in range(20)]
    parameters = {"test_ids": tests, "options": {"max_in_flight": 1}}
    with simulated(tests=tests, latency_seconds=0.5) as (simulator, env):
        with machines.worker("patient", PREFECT_CLIENT_MAX_RETRIES="8", **env):
            run = await start(ON_DEMAND, parameters)

            async def under_way() -> bool:
                return bool(simulator.calls)

            async def over() -> FlowRun | None:
                async with get_client() as client:
                    now = await client.read_flow_run(run.id)
                return now if now.state and now.state.is_final() else None

            await until(under_way)
            machines.stop()
            machines.start()
            ended: FlowRun = await until(over)
    assert ended.state
    assert ended.state.message == "20 of 20 tests accepted."
    assert ended.run_count == 1
    assert len(await read_outcomes([run.id])) == len(tests)
