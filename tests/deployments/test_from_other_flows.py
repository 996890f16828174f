"""Used by other flows: as a subflow, and by the deployment, with its result and its failure."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from prefect import flow, get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled

from deployments.examples.prefect_alone import swap_the_router
from flows.rerun import RerunFailed
from flows.rerun.remote import RerunUnfinished, rerun_by_deployment
from tests.deployments.scene import client_of, simulated, until
from tests.deployments.topology import Topology
from thousandeyes.errors import InvalidTestIds, SettingsError
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record

TEST_IDS = ["202701", "202702"]
GONE = "100200300"


@pytest.fixture
def machines(machines: Topology) -> Iterator[Topology]:
    with client_of(machines):
        yield machines


@contextlib.contextmanager
def working(machines: Topology) -> Iterator[None]:
    with simulated(tests=TEST_IDS) as (_, env), machines.worker("of-the-parent", **env):
        yield


@flow
async def parent(test_ids: list[str], **options: Any) -> list[Record]:
    return await rerun_by_deployment(test_ids, poll_interval=0.3, timeout=600, **options)


@pytest.mark.servers
async def test_a_parent_gets_what_the_flow_would_have_returned_or_raised(
    machines: Topology,
) -> None:
    with working(machines):
        outcomes = await parent(TEST_IDS)
        with pytest.raises(RerunFailed) as failed:
            await parent([*TEST_IDS, GONE])
    assert {one.test_id: one.outcome for one in outcomes} == dict.fromkeys(
        TEST_IDS, Outcome.ACCEPTED
    )
    told = str(failed.value)  # in between it says whether that is new
    assert told.startswith("1 of 3 tests failed")
    assert told.endswith(f": {GONE} (not found); 2 accepted.")
    by_id = {one.test_id: one.outcome for one in failed.value.outcomes}
    assert by_id == dict.fromkeys(TEST_IDS, Outcome.ACCEPTED) | {GONE: Outcome.NOT_FOUND}


@pytest.mark.servers
async def test_a_project_with_prefect_alone_is_told_how_the_run_ended(machines: Topology) -> None:
    with working(machines):
        assert await swap_the_router(TEST_IDS) == "2 of 2 tests accepted."
        with pytest.raises(RuntimeError, match=r"ended Failed: 1 of 2 tests failed"):
            await swap_the_router([TEST_IDS[0], GONE])


@pytest.mark.usefixtures("machines")
async def test_a_parent_is_told_what_to_do_when_there_is_no_end_to_report() -> None:
    with pytest.raises(RerunUnfinished, match=r"deployments\.bootstrap"):
        await rerun_by_deployment(TEST_IDS, deployment="rerun-endpoint-tests/nowhere")
    too_many = range(100_000_000, 100_100_000)
    with pytest.raises(RerunUnfinished, match=r"refuses the parameters .* less than 5.* Nothing"):
        await rerun_by_deployment(too_many)
    with pytest.raises(InvalidTestIds, match="no tests given: name test IDs"):
        await rerun_by_deployment([])
    with pytest.raises(InvalidTestIds, match="test_ids, item 2: neither text nor a whole number"):
        await rerun_by_deployment(["1", 1.5])  # type: ignore[list-item]
    with pytest.raises(SettingsError, match="groups, item 1: neither text nor a whole number"):
        await rerun_by_deployment(groups=[True])
    with pytest.raises(RerunUnfinished, match="is a worker running that serves its pool") as late:
        await rerun_by_deployment([202701, "202702"], timeout=0)
    assert late.value.flow_run
    assert late.value.flow_run.parameters["test_ids"] == TEST_IDS
    waits = asyncio.create_task(rerun_by_deployment(TEST_IDS, poll_interval=0.3))
    async with get_client() as client:
        for run in await until(lambda: waiting(client, 2)):
            await client.set_flow_run_state(run.id, Cancelled(message="wrong tests"))
    with pytest.raises(RerunUnfinished, match="was cancelled: wrong tests"):
        await waits


async def waiting(client: PrefectClient, count: int) -> list[FlowRun]:
    runs = await client.read_flow_runs()
    asked = [run for run in runs if run.parameters.get("test_ids") == TEST_IDS]
    found = [
        run for run in asked if run.state and run.state.is_scheduled() and not run.auto_scheduled
    ]
    return found if len(found) == count else []


@pytest.mark.servers
@pytest.mark.parametrize(
    ("example", "said"),
    [("as_subflow", "All 2 tests run again."), ("by_deployment", "2 of 2 tests accepted.")],
)
def test_the_examples_run_as_they_are_written(
    one_machine: Topology, example: str, said: str
) -> None:
    module = f"deployments.examples.{example}"
    with simulated(tests=TEST_IDS) as (_, env), one_machine.worker("of-the-examples", **env):
        # The one by deployment needs no token.
        mine = env if example == "as_subflow" else {}
        good = one_machine.run(module, *TEST_IDS, cwd=one_machine.directory, **mine)
        bad = one_machine.run(module, *TEST_IDS, GONE, cwd=one_machine.directory, **mine)
    assert good.stdout.strip().endswith(said), good.stderr
    assert f"Check {GONE}: 1 of 3 tests failed" in bad.stdout, bad.stderr
