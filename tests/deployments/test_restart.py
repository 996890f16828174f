"""Crashes that real servers record, and which of them are answered by a restart."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import arun_deployment
from prefect.states import Cancelled, Crashed, Pending, Running

from flows.restart import RESTARTS, restart_crashed_run
from tests.deployments.scene import client_of
from tests.deployments.topology import Topology


async def crash(client: PrefectClient, flow_run_id: UUID) -> UUID:
    """Let a run begin and crash, as its process and its worker would say; return that state."""
    states: list[State[None]] = [Pending(), Running(), Crashed()]
    for state in states:
        await client.set_flow_run_state(flow_run_id, state)
    flow_run = await client.read_flow_run(flow_run_id)
    assert flow_run.state
    assert flow_run.state.is_crashed()
    return flow_run.state.id


@asynccontextmanager
async def run_of(machines: Topology) -> AsyncIterator[tuple[PrefectClient, FlowRun]]:
    with client_of(machines):
        run = await arun_deployment(
            "rerun-endpoint-tests/on-demand", parameters={"test_ids": ["1"]}, timeout=0
        )
        async with get_client() as client:
            yield client, run


async def state_name(client: PrefectClient, flow_run_id: UUID) -> str | None:
    return (await client.read_flow_run(flow_run_id)).state_name


async def test_a_run_is_started_again_three_times_and_once_for_each_crash(
    machines: Topology,
) -> None:
    async with run_of(machines) as (client, run):
        for _ in range(RESTARTS):
            crashed = await crash(client, run.id)
            await restart_crashed_run(run.id, crashed)
            assert await state_name(client, run.id) == "AwaitingRetry"
            # The same report once more, before the run begins and while it goes on.
            await restart_crashed_run(run.id, crashed)
            assert await state_name(client, run.id) == "AwaitingRetry"
        crashed = await crash(client, run.id)
        await restart_crashed_run(run.id, crashed)
        ended = await client.read_flow_run(run.id)
        assert ended.state
        assert ended.state.id == crashed
        assert ended.run_count == RESTARTS + 1


async def test_a_report_that_comes_when_the_run_is_under_way_again_changes_nothing(
    machines: Topology,
) -> None:
    async with run_of(machines) as (client, run):
        first = await crash(client, run.id)
        await restart_crashed_run(run.id, first)
        under_way: list[State[None]] = [Pending(), Running()]
        for state in under_way:
            await client.set_flow_run_state(run.id, state)
            await restart_crashed_run(run.id, first)
            assert await state_name(client, run.id) == state.name
        await client.set_flow_run_state(run.id, Cancelled(), force=True)
