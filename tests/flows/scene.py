"""What the flows' tests look at: artifacts, outcomes, and what reached the simulator."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
)
from prefect.client.schemas.objects import Artifact, FlowRun, State
from prefect.client.schemas.sorting import ArtifactSort, FlowRunSort
from prefect.flow_engine import run_flow_async
from prefect.settings import get_current_settings

from flows.rerun import rerun_endpoint_tests
from thousandeyes.simulator import Simulator

PROJECT = Path(__file__).parents[2]

Simulate = Callable[..., Simulator]
Scene = Callable[[], AbstractContextManager[Simulate]]

NO_RUN = "0d0e0f00-0000-4000-8000-000000000000"
"""ID of a flow run that no server has. The names of tests must be the same in each process."""
WHERE_IT_IS = [{"prefect.deployments.steps.set_working_directory": {"directory": "."}}]
"""How a process gets at a deployment's code. Without a step, Prefect copies all that lies in the
working directory to another one, `.venv` too."""
SUMMARY, TABLE = "endpoint-reruns-local", "endpoint-rerun-outcomes-local"


async def artifacts_of(flow_run_id: UUID) -> dict[str, Artifact]:
    """Return the newest artifact of each key of a flow run."""
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id])),
            sort=ArtifactSort.CREATED_DESC,
        )
    return {str(artifact.key): artifact for artifact in reversed(found)}


def id_of(state: State[Any]) -> UUID:
    assert state.state_details.flow_run_id
    return state.state_details.flow_run_id


def sent(simulator: Simulator) -> Counter[str | None]:
    return Counter(call.test_id for call in simulator.calls if call.path.endswith("/run"))


def ids(count: int) -> list[str]:
    return [str(202_701 + number) for number in range(count)]


async def work_off(group: str) -> UUID:
    """Execute the run that is started for a group, as a worker does; returns its ID."""
    async with asyncio.timeout(300), get_client() as client:
        while not (runs := await runs_for(group)):  # noqa: ASYNC110 - the server's
            await asyncio.sleep(0.05)
        flow_run = await client.read_flow_run(runs[0])
    flow: Any = rerun_endpoint_tests
    given = flow.validate_parameters(flow_run.parameters)
    await run_flow_async(flow, flow_run=flow_run, parameters=given, return_type="state")
    return runs[0]


async def runs_for(group: str) -> list[UUID]:
    """Return the runs of deployments that were started for this group."""
    of_deployments = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(is_null_=False))
    async with get_client() as client:
        # The newest: a page holds 200, and other tests have left many.
        runs = await client.read_flow_runs(
            flow_run_filter=of_deployments, sort=FlowRunSort.EXPECTED_START_TIME_DESC
        )
    return [run.id for run in runs if run.parameters.get("groups") == [group]]


async def deploy(name: str, **parameters: Any) -> None:
    """Make a deployment of reruns without a work pool: its runs wait to be worked off."""
    async with get_client() as client:
        flow_id = await client.create_flow(rerun_endpoint_tests)
        await client.create_deployment(flow_id, name, parameters=parameters)


async def deployed_run_in(state: State[Any]) -> FlowRun:
    """Make a run of a deployment that is in this state; nobody executes it."""
    await deploy("alone", test_ids=["202701"])
    async with get_client() as client:
        deployment = await client.read_deployment_by_name("rerun-endpoint-tests/alone")
        made = await client.create_flow_run_from_deployment(deployment.id)
        await client.set_flow_run_state(made.id, state, force=True)
        return await client.read_flow_run(made.id)


async def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for a condition; the time only bounds a test that would hang."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition is another process's
            await asyncio.sleep(0.02)


def rows(artifact: Any) -> list[dict[str, Any]]:
    return list(json.loads(str(artifact.data)))


def fields(artifact: Any) -> dict[str, Any]:
    """Return what a test's own artifact holds."""
    return {one["field"]: one["value"] for one in rows(artifact)}


@asynccontextmanager
async def process(*arguments: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run Python in a process group of its own; what is left of it is killed at the end."""
    api = get_current_settings().api.url
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        cwd=PROJECT,
        env=os.environ | {"PREFECT_API_URL": str(api)} | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            os.killpg(started.pid, signal.SIGKILL)
            await started.wait()
