"""The three ways of use, on real servers: SQLite alone, and PostgreSQL with two workers."""

import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import IntervalSchedule

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
    assert run.auto_scheduled
    assert run.state
    assert run.state.message == "2 of 2 tests accepted."


@contextlib.contextmanager
def two_workers(machines: Topology, **env: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for name in ("north", "south")[: 2 if machines.auth else 1]:
            stack.enter_context(machines.worker(name, **env))
        yield


def tell_of_a_change(topology: Topology, payload: dict[str, Any]) -> None:
    command = ("prefect", "event", "emit", "network.change.finished")
    details = ("--resource-id", "network.change.CHG0042", "--payload", json.dumps(payload))
    done = topology.run(*command, *details, cwd=topology.directory)
    assert done.returncode == 0, done.stderr


async def test_an_event_starts_the_after_change_deployment_with_its_payload(
    machines: Topology,
) -> None:
    known = await runs_of(AFTER_CHANGE)
    payload = {"test_ids": [202701, "202702"]}  # a system of changes may keep them as numbers
    with simulated(tests=TEST_IDS) as (_, env), two_workers(machines, **env):
        async with switched_on("thousandeyes-rerun-after-change"):
            tell_of_a_change(machines, payload)
            run = await next_run_of(AFTER_CHANGE, known)
    assert run.state
    assert run.state.message == "2 of 2 tests accepted."
    assert {one.test_id for one in await read_outcomes([run.id])} == set(TEST_IDS)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"test_ids": [202701.5]}, "test_ids, item 1: line 1, column 1 is not a test ID"),
        ({"groups": ["Göteborg \U0001f3e2"]}, "no Endpoint Test Group block named 'Göteborg'"),
        ({"test_ids": None, "groups": None}, "no tests given"),
    ],
)
async def test_an_event_that_names_no_tests_becomes_a_run_that_fails_with_the_reason(
    one_machine: Topology, payload: dict[str, Any], said: str
) -> None:
    with client_of(one_machine), simulated(tests=TEST_IDS) as (simulator, env):
        known = await runs_of(AFTER_CHANGE)
        with one_machine.worker("refuses", **env):
            async with switched_on("thousandeyes-rerun-after-change"):
                tell_of_a_change(one_machine, payload)
                run = await next_run_of(AFTER_CHANGE, known)
    assert run.state
    assert run.state.is_failed()
    assert str(run.state.message).startswith(said)
    assert not simulator.calls


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
