"""A run around a change on real servers: resumed in the UI, by an event, by nobody."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import arun_deployment

from tests.deployments import browser
from tests.deployments.scene import client_of, simulated, switched_on, until
from tests.deployments.topology import Topology, on_sqlite
from thousandeyes.simulator import Behaviour

pytestmark = pytest.mark.servers

DEPLOYMENT: Final = "rerun-around-change/around-change"
MADE, NOBODY = "thousandeyes-change-is-made", "thousandeyes-nobody-resumed"
TEST_IDS: Final = ["202701", "202702", "202703"]
WELL: Final[dict[str, Any]] = {
    "tests": TEST_IDS,
    "healthy": True,
    "agents": 3,
    "results_after_seconds": 0.1,
}
BROKEN: Final = WELL | {"agents_of": {"202702": [Behaviour(loss=100)]}}
ONE_BROKE: Final = "1 of 3 tests broke with the change: Intranet (Gdansk); 2 are unchanged."


def change(worker: Path, env: dict[str, str]) -> None:
    """Let the runs of a worker see another network: they read this file when they begin."""
    (worker / "thousandeyes.env").write_text("".join(f"{k}={v}\n" for k, v in env.items()))


async def started(**parameters: Any) -> FlowRun:
    return await arun_deployment(
        DEPLOYMENT, parameters={"test_ids": TEST_IDS} | parameters, timeout=0
    )


async def read(flow_run_id: UUID) -> FlowRun:
    async with get_client() as client:
        return await client.read_flow_run(flow_run_id)


async def in_state(flow_run: FlowRun, name: str, words: str = "") -> FlowRun:
    async def there() -> FlowRun | None:
        now = await read(flow_run.id)
        state = now.state
        return now if state and state.name == name and words in (state.message or "") else None

    found: FlowRun = await until(there, 180)
    return found


@pytest.mark.usefixtures("chromium")
def test_a_person_resumes_it_in_the_ui_and_reads_what_broke(
    one_machine: Topology,
) -> None:
    with (
        simulated(**WELL) as (before, env),
        simulated(**BROKEN) as (after, changed),
        one_machine.worker("around-change", **env) as worker,
        client_of(one_machine),
    ):
        run = asyncio.run(started())
        with browser.page() as page:
            _resume_and_read(page, one_machine.url, run, lambda: change(worker, changed))
    for simulator in (before, after):
        assert [call.test_id for call in simulator.calls if call.applied] == TEST_IDS


def _resume_and_read(page: Page, url: str, run: FlowRun, change: Callable[[], None]) -> None:
    page.goto(f"{url}/runs/flow-run/{run.id}")
    expect(page.get_by_text("Suspended", exact=True).first).to_be_visible()
    change()
    page.get_by_role("button", name="Resume").click()
    for _ in range(10):  # a busy SQLite answers 503 at times, and people press again
        with page.expect_response("**/resume") as resumed:
            page.get_by_role("button", name="Submit").click()
        if resumed.value.ok:
            break
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
    page.goto(f"{url}/artifacts/key/endpoint-changes-around-change")
    expect(page.get_by_text(ONE_BROKE).first).to_be_visible()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Topology]:
    with on_sqlite(tmp_path) as topology, client_of(topology):
        done = topology.run("deployments.bootstrap", cwd=topology.directory)
        assert done.returncode == 0, done.stderr
        yield topology


async def test_server_and_worker_restart_while_it_waits_and_an_event_resumes_it(
    server: Topology,
) -> None:
    with simulated(**WELL) as (before, env), simulated(**BROKEN) as (after, changed):
        with server.worker("first", **env):
            run = await started()
            await in_state(run, "Suspended", "3 of 3 tests passed")
        server.stop()
        server.start()
        async with switched_on(MADE):
            with server.worker("second", **changed):
                emit = ("event", "emit", "network.change.made")
                resource = ("--resource-id", f"prefect.flow-run.{run.id}")
                done = server.run("prefect", *emit, *resource, cwd=server.directory)
                assert done.returncode == 0, done.stderr
                await in_state(run, "Failed", ONE_BROKE)
    for simulator in (before, after):
        assert [call.test_id for call in simulator.calls if call.applied] == TEST_IDS


async def test_a_run_that_nobody_resumes_fails_and_an_automation_says_what_to_do(
    server: Topology,
) -> None:
    with simulated(**WELL) as (_, env), server.worker("only", **env):
        async with switched_on(NOBODY):
            run = await started(longest_wait_hours=1 / 3600)
            await in_state(run, "Failed", "Nobody resumed this run in time. Retry it")


async def test_when_the_time_has_come_a_worker_measures_again_with_nobody_there(
    server: Topology,
) -> None:
    with (
        simulated(**WELL) as (_, env),
        simulated(**BROKEN) as (after, changed),
        server.worker("only", **env) as worker,
    ):
        time = datetime.now(UTC) + timedelta(seconds=60)
        run = await started(until=time.isoformat())
        await in_state(run, "Scheduled", "All tests are measured again at ")
        change(worker, changed)
        await in_state(run, "Failed", ONE_BROKE)
    assert datetime.now(UTC) >= time
    assert [call.test_id for call in after.calls if call.applied] == TEST_IDS
