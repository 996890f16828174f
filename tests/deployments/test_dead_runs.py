"""Runs without a process: each is crashed where that can be told, and its place is free again."""

import contextlib
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import flow, get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import arun_deployment
from prefect.states import Cancelling, Completed, Pending, Running

from deployments import dead_runs
from deployments.dead_runs import Processes, crash_dead_runs, runs_with_a_process
from deployments.steps import BootstrapError, Found, Step
from tests.benchmarks.processes import free_port
from tests.deployments.scene import client_of, simulated, switched_on, until
from tests.deployments.topology import Topology

SCHEDULED = "rerun-endpoint-tests/scheduled"
SAYS_WHY = "thousandeyes-cancelled-run-says-why"


def process(directory: Path, number: int, command: str = "sh", **environment: str) -> None:
    (directory / str(number)).mkdir()
    (directory / str(number) / "cmdline").write_text(command.replace(" ", "\0"))
    lines = [f"{name}={value}" for name, value in environment.items()]
    (directory / str(number) / "environ").write_bytes("\0".join(lines).encode())


def test_the_runs_of_this_machines_processes_are_found(tmp_path: Path) -> None:
    run = uuid4()
    (tmp_path / "self").symlink_to("1")
    process(tmp_path, 1, PATH="/bin")
    process(tmp_path, 2, PATH="/bin", PREFECT__FLOW_RUN_ID=str(run))
    (tmp_path / "3").mkdir()  # it ended while we looked
    process(tmp_path, 4, PREFECT__FLOW_RUN_ID="none")
    assert runs_with_a_process(tmp_path) == Processes(frozenset({run}))


def test_processes_of_another_user_that_may_execute_a_run_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = (
        "/bin/bash",
        "python -m prefect server start",
        "python -m prefect worker start --pool thousandeyes",
        "python -m prefect.engine",
        "python /venv/prefect/runner/_workspace_supervisor.py",
    )
    (tmp_path / "self").symlink_to("1")
    for number, command in enumerate(commands, 1):
        process(tmp_path, number, command)
    read, hidden = Path.read_bytes, {"environ"}

    def as_another_user(path: Path) -> bytes:
        if path.name in hidden:
            raise PermissionError
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", as_another_user)
    assert runs_with_a_process(tmp_path) == Processes(frozenset(), (4, 5), take_runs=True)
    hidden.add("cmdline")  # as /proc may be mounted
    assert runs_with_a_process(tmp_path).of_others == (1, 2, 3, 4, 5)


def test_a_system_that_tells_no_processes_is_told_and_no_run_is_touched(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match="only on Linux"):
        runs_with_a_process(tmp_path)


async def of(
    name: str, client: PrefectClient, processes: Processes, noted: str | None = None
) -> list[Step]:
    """Return what would become of a run whose state has this name, and no process that is seen."""
    deployment = await client.read_deployment_by_name("rerun-endpoint-tests/on-demand")
    states: dict[str, State[None]] = {"Pending": Pending(), "Running": Running()}
    run = await client.create_flow_run_from_deployment(
        deployment.id, parameters={"test_ids": ["1"]}, state=states[name]
    )
    await client.update_flow_run(run.id, infrastructure_pid=noted)
    steps = crash_dead_runs(client, ["thousandeyes"], lambda: processes, dry_run=True)
    try:
        return [step async for step in steps if str(run.id) in step.what]
    finally:
        await client.delete_flow_run(run.id)


async def test_a_run_that_another_user_may_execute_is_left_and_told(one_machine: Topology) -> None:
    with client_of(one_machine):
        async with get_client() as client:
            processes = Processes(of_others=(12, 4711))
            [step] = await of("Running", client, processes, "4711")
            [unknown] = await of("Running", client, processes)
            [others] = await of("Running", client, processes, "machine:815")
    assert (step.found, unknown.found) == (Found.KEPT, Found.KEPT)
    assert step.detail == (
        "process 4711 of another user may execute it: run this as the workers' user"
    )
    assert others.found is Found.DIFFERENT, "these execute runs that are no concern of ours"
    assert others.detail == "was Running without a process: crashed"


async def test_a_run_that_a_worker_has_just_taken_is_left_time_to_begin(
    one_machine: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client_of(one_machine):
        async with get_client() as client:
            [step] = await of("Pending", client, Processes(take_runs=True))
            [nobodys] = await of("Pending", client, Processes())
            [began] = await of("Running", client, Processes(take_runs=True))
            monkeypatch.setattr(dead_runs, "_TIME_TO_BEGIN", timedelta())
            [late] = await of("Pending", client, Processes(take_runs=True))
    assert (step.found, step.detail) == (Found.KEPT, "a worker has just taken it")
    assert {nobodys.found, began.found, late.found} == {Found.DIFFERENT}


async def test_a_run_that_is_not_in_the_projects_work_pools_may_have_its_process_elsewhere(
    one_machine: Topology,
) -> None:
    with client_of(one_machine):
        async with get_client() as client:
            theirs = await client.create_flow_run(flow(lambda: None), state=Running())
            steps = crash_dead_runs(client, ["thousandeyes"], Processes, dry_run=True)
            assert not [step async for step in steps if str(theirs.id) in step.what]
            await client.delete_flow_run(theirs.id)


async def test_one_that_was_being_cancelled_is_cancelled_and_one_that_has_ended_is_told(
    one_machine: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client_of(one_machine):
        async with get_client() as client:
            there = await client.read_deployment_by_name("rerun-endpoint-tests/on-demand")
            under_way: list[State[None]] = [Cancelling(), Running(), Running()]
            runs = [
                await client.create_flow_run_from_deployment(
                    there.id, parameters={"test_ids": ["1"]}, state=state
                )
                for state in under_way
            ]
            ended = runs[-1].id
            monkeypatch.setattr("tasks.pages.PAGE", 2)
            steps = {}
            set_state = client.set_flow_run_state

            async def after_its_end(flow_run_id: UUID, state: State[None]) -> Any:
                if flow_run_id == ended:
                    await set_state(ended, Completed())
                return await set_state(flow_run_id, state)

            monkeypatch.setattr(client, "set_flow_run_state", after_its_end)
            async for step in crash_dead_runs(client, ["thousandeyes"], Processes, dry_run=False):
                steps[step.what.rpartition(" ")[2]] = step
            states = [await name_of_state(run.id) for run in runs]
            for run in runs:
                await client.delete_flow_run(run.id)
    assert states == ["Cancelled", "Crashed", "Completed"]
    assert [steps[str(run.id)].detail for run in runs] == [
        "was Cancelling without a process: cancelled",
        "was Running without a process: crashed",
        "Prefect leaves it as it is: Run is already in terminal state COMPLETED.",
    ]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Topology]:
    with Topology(tmp_path, free_port()) as topology:
        bootstrap(topology)
        with client_of(topology):
            yield topology


def bootstrap(topology: Topology, *arguments: str) -> str:
    done = topology.run("deployments.bootstrap", *arguments, cwd=topology.directory)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def started(*test_ids: str) -> FlowRun:
    parameters = {"test_ids": test_ids, "groups": [], "options": {"max_in_flight": 1}}
    return await arun_deployment(SCHEDULED, parameters=parameters, timeout=0)


async def name_of_state(flow_run_id: UUID) -> str:
    async with get_client() as client:
        state = (await client.read_flow_run(flow_run_id)).state
    return state.name or "" if state else ""


@pytest.mark.servers
async def test_a_dead_run_is_named_by_the_one_it_keeps_out_until_its_place_is_free_again(
    server: Topology,
) -> None:
    test_ids = [str(202_900 + number) for number in range(60)]
    with simulated(tests=test_ids, latency_seconds=1.0) as (simulator, env):
        with server.worker("killed", **env):
            dead = await started(*test_ids)

            async def sends() -> bool:
                return len(simulator.calls) > 2

            await until(sends)
            async with get_client() as client:
                dead = await client.read_flow_run(dead.id)  # it has a name of its own by now
            # One that is alive is left in peace.
            said = bootstrap(server, "--on-this-machine")
            assert "without a process" not in said
            assert await name_of_state(dead.id) == "Running"
            for number in processes_of(server.directory / "killed"):
                os.kill(number, signal.SIGKILL)
        with server.worker("next", **env):
            async with switched_on(SAYS_WHY):
                cancelled = await started(test_ids[0])

                async def says_why() -> bool:
                    async with get_client() as client:
                        state = (await client.read_flow_run(cancelled.id)).state
                    told = f"its place is held by run {dead.name!r} (Running since "
                    return bool(state and state.is_cancelled() and told in (state.message or ""))

                await until(says_why)
            assert await name_of_state(dead.id) == "Running"
            assert f"would be changed flow run {dead.name}" in bootstrap(
                server, "--on-this-machine", "--dry-run"
            )
            said = bootstrap(server, "--on-this-machine")
            assert f"changed          flow run {dead.name} {dead.id} (was Running without" in said
            assert await name_of_state(dead.id) == "Crashed"
            goes_on = await started(test_ids[0])

            async def is_completed() -> bool:
                return await name_of_state(goes_on.id) == "Completed"

            await until(is_completed)


def processes_of(worker: Path) -> list[int]:
    """Return a worker and its runs, by the home that they have."""
    home = f"PREFECT_HOME={worker / 'home'}".encode()
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if home in (directory / "environ").read_bytes().split(b"\0"):
                found.append(int(directory.name))
    return found
