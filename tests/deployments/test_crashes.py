"""Runs that die, on a real server: each goes on by itself, and never are two copies under way."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Crashed, Pending, Running, Scheduled, Suspended

from tasks.artifacts import read_outcomes
from tests.deployments.scene import client_of, runs_of, simulated, start, switched_on, until
from tests.deployments.topology import Topology

TEST_IDS: Final = [str(202_701 + number) for number in range(12)]
ON_DEMAND: Final = "rerun-endpoint-tests/on-demand"
RESTART: Final = "restart-crashed-run/restart"
GOES_ON, SILENT = "thousandeyes-crashed-run-goes-on", "thousandeyes-silent-run-is-dead"
NEVER_BEGAN: Final = "thousandeyes-run-never-began"
PARAMETERS: Final = {"test_ids": TEST_IDS, "options": {"max_in_flight": 1}}
SLOW: Final = {"tests": TEST_IDS, "latency_seconds": 1.0}

pytestmark = pytest.mark.servers


@pytest.fixture
def machines(machines: Topology) -> Iterator[Topology]:
    with client_of(machines):
        yield machines


async def read(flow_run_id: UUID) -> FlowRun:
    async with get_client() as client:
        return await client.read_flow_run(flow_run_id)


async def started() -> FlowRun:
    return await start(ON_DEMAND, PARAMETERS)


async def brought_to(*states: State[Any]) -> FlowRun:
    """Return a run that was brought to one state after another, and that nothing executes."""
    flow_run = await started()
    async with get_client() as client:
        for state in states:
            await client.set_flow_run_state(flow_run.id, state)
    return flow_run


async def sent(simulator: Any, count: int) -> None:
    async def reached() -> bool:
        return len(runs(simulator)) >= count

    await until(reached)


def runs(simulator: Any) -> list[str]:
    return [call.test_id for call in simulator.calls if call.path.endswith("/run")]


async def state_of(flow_run: FlowRun) -> State[Any]:
    state = (await read(flow_run.id)).state
    assert state
    return state


async def crashed(flow_run: FlowRun) -> bool:
    return (await state_of(flow_run)).is_crashed()


async def gone(process: int) -> bool:
    return not Path(f"/proc/{process}").exists()  # noqa: ASYNC240 - no real file


def process_of(flow_run_id: UUID) -> int:
    """Return the process that executes a flow run."""
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            environment = (directory / "environ").read_bytes()
        except OSError:
            continue
        if f"PREFECT__FLOW_RUN_ID={flow_run_id}".encode() in environment.split(b"\0"):
            return int(directory.name)
    raise AssertionError("no process executes the run")


async def completed(flow_run: FlowRun, seconds: float = 300) -> FlowRun:
    async def over() -> FlowRun | None:
        now = await read(flow_run.id)
        return now if now.state and now.state.is_completed() else None

    found: FlowRun = await until(over, seconds)
    return found


async def test_a_crash_that_is_reported_twice_is_followed_by_one_restart(
    machines: Topology,
) -> None:
    known = await runs_of(RESTART)
    async with switched_on(GOES_ON, schedule_after=6):
        with simulated(**SLOW) as (simulator, env), machines.worker("kills", **env):
            run = await started()
            await sent(simulator, 3)
            os.kill(process_of(run.id), signal.SIGKILL)

            await until(lambda: crashed(run))
            await asyncio.sleep(1.7)  # as Prefect was seen to
            async with get_client() as client:
                await client.set_flow_run_state(run.id, Crashed(message="Again"), force=True)
            ended = await completed(run)

            async def both() -> list[FlowRun] | None:
                ours = [one for id_, one in (await runs_of(RESTART)).items() if id_ not in known]
                over = all(one.state and one.state.is_final() for one in ours)
                return ours if len(ours) == 2 and over else None

            words = [one.state.message for one in await until(both)]
    assert ended.run_count == 2
    assert sorted(word.endswith("is started again.") for word in words) == [False, True]
    # The one under way when the process died may have run twice.
    assert sum(Counter(runs(simulator)).values()) <= len(TEST_IDS) + 1
    assert {record.outcome.value for record in await read_outcomes([run.id])} == {"accepted"}


async def test_a_silent_process_whose_run_goes_on_elsewhere_sends_nothing_when_it_wakes_up(
    machines: Topology,
) -> None:
    with (
        simulated(**SLOW) as (simulator, env),
        machines.worker("sleepy", PREFECT_FLOWS_HEARTBEAT_FREQUENCY="30", **env),
    ):
        async with switched_on(GOES_ON, schedule_after=0):
            # Sooner than the next heartbeat, so that this is over before it.
            async with switched_on(SILENT, within=10):
                run = await started()
                await sent(simulator, 2)
                process = process_of(run.id)
                os.kill(process, signal.SIGSTOP)
                await until(lambda: crashed(run))
            try:
                with machines.worker("awake", **env):
                    ended = await completed(run)
                    of_the_other = len(runs(simulator))
            finally:
                os.kill(process, signal.SIGCONT)
        await until(lambda: gone(process))
        after = await read(run.id)
    assert ended.run_count == 2
    assert len(runs(simulator)) == of_the_other
    assert after.state
    assert ended.state
    assert after.state.id == ended.state.id


async def test_a_run_that_dies_before_its_first_heartbeat_is_crashed_and_one_that_waits_is_not(
    machines: Topology,
) -> None:
    assert machines
    began: list[State[Any]] = [Pending(), Running()]
    async with switched_on(NEVER_BEGAN, within=10), switched_on(SILENT, within=10):
        # As a worker and a run do, until their machine dies.
        waits = await brought_to(*began, Suspended(timeout_seconds=3600))
        taken = await brought_to(Pending())
        first = await brought_to(*began)
        again = await brought_to(*began, Crashed(), Scheduled(), *began)
        for run in (taken, first, again):
            await until(partial(crashed, run))
    assert [(await state_of(run)).message for run in (taken, first, again)] == [
        "A worker took it, and it did not begin within ten minutes.",
        *["Sent no heartbeat for ten minutes, so it counts as crashed."] * 2,
    ]
    assert (await state_of(waits)).name == "Suspended"
