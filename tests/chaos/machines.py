"""Faults of workers and of the database, and a run that is long: with the parts of a real site."""

import asyncio
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.deployments import arun_deployment
from prefect.states import Scheduled

from tests.chaos.judge import Judgement
from tests.chaos.kills import Fault
from tests.chaos.scene import Stage, until
from tests.deployments.scene import client_of
from tests.deployments.topology import TOKEN, Database, Topology, on_postgresql

_HOURS_DOWN: Final = 3
_MANY: Final = 2_000
_SHORT_WINDOWS: Final = {"instant_limit": 400, "window_seconds": 5.0}
_MEGABYTE: Final = 1024


async def worker_down_over_a_schedule(stage: Stage) -> Judgement:
    """No worker for hours, in which a schedule came due each hour; then one comes back.

    One run goes, and each that found it under way says so.
    """
    _bootstrapped(stage.topology)
    async with stage.trial(tests=20) as trial, get_client() as client:
        deployment = await client.read_deployment_by_name("rerun-endpoint-tests/scheduled")
        parameters = {"test_ids": trial.test_ids, "groups": []}
        due = [datetime.now(UTC) - timedelta(hours=hours) for hours in reversed(range(_HOURS_DOWN))]
        runs = [
            await client.create_flow_run_from_deployment(
                deployment.id, parameters=parameters, state=Scheduled(scheduled_time=at)
            )
            for at in due
        ]
        env = {"TE_TOKEN": TOKEN, "TE_BASE_URL": trial.api.url}
        with stage.topology.worker("late", **env):
            states = [await _final_state(client, run.id) for run in runs]
        completed = [run for run, state in zip(runs, states, strict=True) if state == "Completed"]
        trial.flow_run_id = completed[0].id
        judged = (await trial.judge(f"{len(completed)} of {len(runs)} went")).to_the_last()
        others = set(states) - {"Completed", "Cancelled"}
        return replace(judged, broken=f"ended {', '.join(others)}") if others else judged


async def worker_terminated(stage: Stage) -> Judgement:
    """SIGTERM of a worker in the middle of a run; another one takes the run up again."""
    _bootstrapped(stage.topology)
    async with stage.trial() as trial, get_client() as client:
        env = {"TE_TOKEN": TOKEN, "TE_BASE_URL": trial.api.url}
        with stage.topology.worker("ended", **env):
            run = await arun_deployment(
                "rerun-endpoint-tests/on-demand",
                parameters={"test_ids": trial.test_ids, "options": {"max_in_flight": 4}},
                timeout=0,
            )
            trial.flow_run_id = run.id
            await until(lambda: trial.ran >= stage.moment(), "calls carried out")
        await client.set_flow_run_state(run.id, Scheduled(), force=True)
        trial.mended()
        with stage.topology.worker("next", **env):
            await _final_state(client, run.id)
        return (await trial.judge()).to_the_last()


async def database_restarted(stage: Stage) -> Judgement:
    """PostgreSQL is ended in the middle of a run and started again."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory, Database() as database:
        with on_postgresql(Path(directory), database) as topology, client_of(topology):
            stage = Stage(topology, stage.random)
            async with stage.trial() as trial:
                await trial.begin()
                await trial.after(stage.moment())
                await asyncio.to_thread(database.stop)
                await asyncio.sleep(2)
                await asyncio.to_thread(database.start)
                trial.mended()
                await trial.ended()
                return (await trial.judge()).to_the_last()


async def many_tests(stage: Stage) -> Judgement:
    """2,000 tests under a quota of short windows: what the run takes of everything."""
    async with stage.trial(
        tests=_MANY, latency_seconds=0.02, simulator=_SHORT_WINDOWS, max_in_flight=20
    ) as trial:
        await trial.begin()
        peak = 0

        def over() -> bool:
            nonlocal peak
            peak = max(peak, _peak_of(trial.newest.pid))
            return trial.newest.returncode is not None

        await until(over, "the end of the run's process", 1_200)
        lines = len(trial.log.read_text().splitlines())
        calls = trial.prefect.passed
        note = f"{peak / _MEGABYTE:.0f} MB, {lines} lines, {calls} Prefect calls"
        return (await trial.judge(note)).to_the_last()


def _peak_of(process_id: int) -> int:
    try:
        status = Path(f"/proc/{process_id}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line), 0)


def _bootstrapped(topology: Topology) -> None:
    done = topology.run("deployments.bootstrap", cwd=topology.directory)
    if done.returncode:
        raise RuntimeError(done.stderr)


async def _final_state(client: PrefectClient, flow_run_id: Any) -> str:
    async with asyncio.timeout(300):
        while True:
            state = (await client.read_flow_run(flow_run_id)).state
            if state and state.is_final():
                return state.type.value.title()
            await asyncio.sleep(0.5)


FAULTS: Final[dict[str, Fault]] = {
    "worker-down-over-schedule": worker_down_over_a_schedule,
    "worker-terminated": worker_terminated,
    "postgresql-restarted": database_restarted,
    "2000-tests": many_tests,
}
