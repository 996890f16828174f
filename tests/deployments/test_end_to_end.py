"""The three ways of use, on real servers: SQLite alone, and PostgreSQL with two workers."""

import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from prefect import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import IntervalSchedule

from tests.deployments.scene import client_of, run_of, simulated, switched_on
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
                run = await run_of(SCHEDULED)
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


async def test_an_event_starts_the_after_change_deployment_with_its_payload(
    machines: Topology,
) -> None:
    payload = {"test_ids": TEST_IDS}
    command = ("prefect", "event", "emit", "network.change.finished")
    details = ("--resource-id", "network.change.CHG0042", "--payload", json.dumps(payload))
    with simulated(tests=TEST_IDS) as (_, env), two_workers(machines, **env):
        async with switched_on("thousandeyes-rerun-after-change"):
            done = machines.run(*command, *details, cwd=machines.directory)
            assert done.returncode == 0, done.stderr
            run = await run_of(AFTER_CHANGE)
    assert run.state
    assert run.state.message == "2 of 2 tests accepted."
    assert run.parameters["test_ids"] == TEST_IDS
