"""The deployments on a real Prefect server, run by a real worker."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.deployments import arun_deployment
from prefect.settings import get_current_settings

from tasks.artifacts import read_outcomes
from thousandeyes.errors import Outcome
from thousandeyes.simulator import create_app, serve

PROJECT = Path(__file__).parents[2]
TOKEN = "tkn-of-the-worker-alone"
TEST_IDS = ["202701", "202702"]


@asynccontextmanager
async def prefect_command(
    *arguments: str, cwd: Path, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run Prefect's command line against the tests' server; it is gone at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "prefect", *arguments),
        cwd=cwd,
        env=os.environ | {"PREFECT_API_URL": str(get_current_settings().api.url)} | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@pytest.mark.usefixtures("prefect_server")
async def test_a_worker_runs_the_on_demand_deployment_with_the_token_of_its_environment(
    tmp_path: Path,
) -> None:
    async with get_client() as client:
        await client.create_work_pool(WorkPoolCreate(name="thousandeyes", type="process"))
    async with prefect_command("--no-prompt", "deploy", "--all", cwd=PROJECT) as deploying:
        output, _ = await deploying.communicate()
    assert deploying.returncode == 0, output.decode()

    with serve(create_app(token=TOKEN, tests=TEST_IDS), port=0) as simulator:
        worker = prefect_command(
            *("worker", "start", "--pool", "thousandeyes"),
            cwd=tmp_path,
            TE_TOKEN=TOKEN,
            TE_BASE_URL=simulator.url,
            PREFECT_WORKER_QUERY_SECONDS="1",
        )
        async with worker:
            flow_run = await arun_deployment(
                "rerun-endpoint-tests/on-demand",
                parameters={"test_ids": TEST_IDS},
                poll_interval=0.5,
                timeout=120,
            )
    assert flow_run.state
    assert flow_run.state.is_completed(), flow_run.state
    assert flow_run.state.message == "2 of 2 tests accepted."
    outcomes = await read_outcomes([flow_run.id])
    assert {record.outcome for record in outcomes} == {Outcome.ACCEPTED}
