"""What the deployments' tests look at: a server as its clients see it, and a simulator."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterator
from typing import Any, Final
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import arun_deployment
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    temporary_settings,
)

from deployments.automations import Entry, apply_automations, read_automations
from deployments.bootstrap import main
from tests.deployments.topology import TOKEN, Topology
from thousandeyes.simulator import create_app, serve

PLENTY: Final = {"instant_limit": 100_000, "organization_limit": 1_000_000}


@contextlib.contextmanager
def client_of(topology: Topology) -> Iterator[None]:
    """Make this process a client of a server."""
    with temporary_settings(
        {PREFECT_API_URL: f"{topology.url}/api", PREFECT_API_AUTH_STRING: topology.auth}
    ):
        yield


def bootstrap(*arguments: str) -> str:
    """Run `python -m deployments.bootstrap` in this process, and return what it said.

    A server's own process of it is started where the server is; this one need not import it all.
    """
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(arguments) == 0
    return said.getvalue()


_NEWEST: Final = {
    "flow_runs": {"sort": "START_TIME_DESC"},
    "task_runs": {"sort": "EXPECTED_START_TIME_DESC"},
    "logs": {"sort": "TIMESTAMP_DESC"},
    "artifacts": {"sort": "CREATED_DESC"},
}


def shown(topology: Topology, *kinds: str) -> dict[str, Any]:
    """Return a page of each kind of thing, the newest first, as the API shows it to anybody."""
    auth = httpx.BasicAuth(*topology.auth.split(":")) if topology.auth else None
    with httpx.Client(base_url=f"{topology.url}/api", auth=auth, trust_env=False) as client:
        csrf = client.get("/csrf-token", params={"client": "tests"}).raise_for_status().json()
        client.headers["Prefect-Csrf-Token"] = csrf["token"]
        client.headers["Prefect-Csrf-Client"] = "tests"
        return {
            kind: client.post(f"/{kind}/filter", json=_NEWEST.get(kind, {}))
            .raise_for_status()
            .json()
            for kind in kinds
        }


@contextlib.contextmanager
def simulated(**options: Any) -> Iterator[tuple[Any, dict[str, str]]]:
    """Serve a simulator; yields it, and what a worker needs in its environment to use it."""
    app = create_app(**{"token": TOKEN} | PLENTY | options)
    with serve(app, port=0) as server:
        yield app.state.simulator, {"TE_TOKEN": TOKEN, "TE_BASE_URL": server.url}


@contextlib.asynccontextmanager
async def switched_on(name: str, **action: Any) -> AsyncIterator[None]:
    """Put an automation of the file to work, with changes to its action or `within`."""
    [as_in_the_file] = [one for one in read_automations() if one.name == name]
    trigger = as_in_the_file.trigger | {
        key: action.pop(key) for key in list(action) if key == "within"
    }
    actions = [one | action for one in as_in_the_file.actions]
    entry = as_in_the_file.model_copy(
        update={"enabled": True, "trigger": trigger, "actions": actions}
    )
    await _apply(entry)
    try:
        yield
    finally:
        await _apply(as_in_the_file)


async def _apply(entry: Entry) -> None:
    async with get_client() as client:
        async for _ in apply_automations(client, [entry], [], dry_run=False, overwrite=True):
            pass


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 600) -> Any:
    """Wait until a condition returns something, and return it; the time bounds what would hang."""
    async with asyncio.timeout(seconds):
        while True:
            if found := await condition():
                return found
            await asyncio.sleep(0.3)


async def start(deployment: str, parameters: dict[str, Any]) -> FlowRun:
    """Start a run of a deployment, and close the client that did so, which Prefect leaves open."""
    async with get_client() as client:
        return await arun_deployment(deployment, client, parameters=parameters, timeout=0)


async def runs_of(deployment: str) -> dict[UUID, FlowRun]:
    """Return all runs of a deployment by ID."""
    async with get_client() as client:
        there = await client.read_deployment_by_name(deployment)
        ours = DeploymentFilter(id=DeploymentFilterId(any_=[there.id]))
        found = await client.read_flow_runs(deployment_filter=ours)
    return {run.id: run for run in found}


async def next_run_of(deployment: str, known: Container[UUID]) -> FlowRun:
    """Wait until a run that was not known comes to its own end, and return it."""

    async def ended() -> FlowRun | None:
        for run in (await runs_of(deployment)).values():
            over = run.state and (run.state.is_completed() or run.state.is_failed())
            if over and run.id not in known:
                return run
        return None

    found: FlowRun = await until(ended)
    return found
