"""The commands of the pages that need a Prefect server, typed as a page tells them."""

import asyncio
import contextlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from prefect import get_client
from prefect.blocks.system import Secret
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Running

from tasks.blocks import EndpointTestGroup
from tests.benchmarks.processes import free_port
from tests.deployments.scene import PLENTY, client_of, shown, until
from tests.deployments.topology import Database, Topology
from tests.docs.commands import IDS, PASSWORD, TOKEN, parameters, told
from tests.docs.pages import ROOT, Script, scripts
from tests.docs.shell import begun, run, stays
from thousandeyes.simulator import create_app, serve

SCRIPTS = [one for one in scripts() if any(each.on_server for each in told(one))]
SEVERAL_MACHINES = [one for one in SCRIPTS if one.page == "several-machines"]
ON_SERVER = [one for one in SCRIPTS if one not in SEVERAL_MACHINES]
DATABASE, SERVER, WORKER = SEVERAL_MACHINES
POOL, PASSWORD_BLOCK = "of-other-runs", "thousandeyes-intranet"
AT_ONCE = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_WORKER_PREFETCH_SECONDS": "0"}
SCHEDULED = "rerun-endpoint-tests/scheduled"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begun(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    options: dict[str, Any] = PLENTY | {"healthy": True, "results_after_seconds": 0.1}
    with serve(create_app(tests=IDS, token=TOKEN, **options)) as server:
        yield server.url


@pytest.fixture(scope="module")
def server(one_machine: Topology, project: Path, api: str) -> Iterator[Topology]:
    """A server with a worker that is started as a page tells it, with the readers' `.env`."""
    known = {"env_file": str(project / ".env")}
    variables = {"PREFECT_API_URL": f"{one_machine.url}/api", "TE_BASE_URL": api} | AT_ONCE
    with stays(WORKER, project, known, **variables):
        yield one_machine
    with client_of(one_machine):
        asyncio.run(forget())


async def forget() -> None:
    """Delete what other tests on this server did not make."""
    async with get_client() as client:
        for block in await client.read_block_documents():
            if block.name in {"thousandeyes", "morning-checks", "branch-offices", PASSWORD_BLOCK}:
                await client.delete_block_document(block.id)
        with contextlib.suppress(ObjectNotFound):
            await client.delete_work_pool(POOL)


async def ids(project: Path, _: PrefectClient) -> str:
    (project / "ids.txt").write_text(IDS[0])
    return ""


async def groups(project: Path, client: PrefectClient) -> str:
    await EndpointTestGroup(test_ids=IDS[:2]).save("branch-offices", overwrite=True, client=client)
    (project / "deployments/groups.yaml").write_text("morning-checks:\n  test_ids: [765231567]\n")
    return ""


async def definitions(project: Path, client: PrefectClient) -> str:
    page = (ROOT / "docs/create-tests.md").read_text()
    (project / "tests.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    await Secret(value="s3cret").save(PASSWORD_BLOCK, overwrite=True, client=client)
    await EndpointTestGroup(test_ids=[]).save("branch-offices", overwrite=True, client=client)
    return ""


async def scheduled_run(_: Path, client: PrefectClient) -> str:
    given = {"test_ids": IDS[:1], "groups": [], "options": {"wait_for_results": True}}
    run = await arun_deployment(SCHEDULED, parameters=given, poll_interval=0.5, client=client)
    assert run.state
    assert run.state.is_completed(), run.state
    return ""


async def dead_run(_: Path, client: PrefectClient) -> str:
    """Make a run of which no process is there."""
    deployment = await client.read_deployment_by_name("rerun-endpoint-tests/on-demand")
    run = await client.create_flow_run_from_deployment(
        deployment.id, parameters={"test_ids": IDS[:1]}, state=Running()
    )
    return str(run.id)


async def pool(_: Path, client: PrefectClient) -> str:
    await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    return POOL


GIVEN: Final = {
    one.__name__: one for one in (ids, groups, definitions, scheduled_run, dead_run, pool)
}


@pytest.mark.parametrize("script", parameters(ON_SERVER))
async def test_a_command_does_on_a_server_what_its_page_says(
    script: Script, project: Path, api: str, server: Topology
) -> None:
    with client_of(server):
        async with get_client() as client:
            given = [await GIVEN[one.given](project, client) for one in told(script) if one.given]
            known = {"server": server.url, "given": "".join(given)}
            variables = {"TE_BASE_URL": api, "PREFECT_API_URL": f"{server.url}/api"}
            said = await asyncio.to_thread(run, script, project, known, **variables)
            for one in told(script):
                if one.emits:
                    await until(partial(emitted, server, one.emits))
                if one.comes_to:
                    [started] = re.findall(r"UUID: (\S+)", said)
                    ended = await until(partial(over, client, UUID(started)))
                    await client.delete_flow_run(ended.id)
                    words = f"{ended.state.name}: {ended.state.message}"
                    assert re.match(one.comes_to, words), words


async def emitted(server: Topology, event: str) -> bool:
    return any(one["event"] == event for one in shown(server, "events")["events"]["events"])


async def over(client: PrefectClient, flow_run_id: UUID) -> FlowRun | None:
    """Return a run once it has ended, or waits for somebody."""
    run = await client.read_flow_run(flow_run_id)
    return run if run.state and (run.state.is_final() or run.state.is_paused()) else None


@pytest.mark.servers
async def test_a_server_for_several_machines_starts_as_its_page_tells(
    project: Path, database: Database
) -> None:
    [(user, host, port)] = re.findall(r"(\w+)@([\d.]+):(\d+)", database.url)
    run(DATABASE, project, {}, PGUSER=user, PGHOST=host, PGPORT=port)
    known = {"database": f"prefect@{host}:{port}", "port": str(free_port())}
    url = f"http://127.0.0.1:{known['port']}/api"
    reader = {"PREFECT_API_URL": url, "PREFECT_API_AUTH_STRING": f"prefect:{PASSWORD}"}
    bootstrap = Script(SERVER.page, (".venv/bin/python -m deployments.bootstrap",))
    (project / "deployments/groups.yaml").write_text("morning-checks: {test_ids: [1]}")
    with stays(SERVER, project, known):
        await until(partial(ready, url))
        said = await asyncio.to_thread(run, bootstrap, project, {}, **reader)
    assert "left             setting" not in said


async def ready(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        with contextlib.suppress(httpx.TransportError):
            return (await client.get(f"{url}/ready")).is_success
    return False
