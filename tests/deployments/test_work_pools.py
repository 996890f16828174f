"""What whoever may start a run can't set, on a real server: what its process is and knows."""

import json
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from importlib.resources import files
from typing import Any, Final

import prefect.server.api
import pytest
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import PrefectHTTPStatusError
from prefect.workers.process import ProcessWorker

from deployments.steps import Found
from deployments.work_pools import (
    TEMPLATE,
    _is_prefects_own,
    apply_work_pool,
    apply_work_queue,
    job_variables_taken,
)
from flows.organizations.work_queue import QUEUE
from tests.deployments.scene import client_of
from tests.deployments.topology import Topology

POOL: Final = "another-pool"
OWN: Final = ProcessWorker.get_default_base_job_template()


@pytest.fixture
async def client(machines: Topology) -> AsyncIterator[PrefectClient]:
    with client_of(machines):
        async with get_client() as client:
            yield client


@pytest.fixture
async def pool(client: PrefectClient) -> AsyncIterator[str]:
    """Make a pool as `prefect work-pool create` does."""
    await client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=OWN))
    yield POOL
    await client.delete_work_pool(POOL)


async def template_of(client: PrefectClient, pool: str) -> dict[str, Any]:
    return (await client.read_work_pool(pool)).base_job_template


@pytest.mark.parametrize(
    "job_variables",
    [
        {"env": {"TE_BASE_URL": "http://127.0.0.1:1/v7"}},
        {"command": "id"},
        {"working_dir": "/"},
        {"anything": "else"},
    ],
)
async def test_a_run_can_not_set_command_or_environment_of_its_process(
    client: PrefectClient, job_variables: dict[str, Any]
) -> None:
    deployment = await client.read_deployment_by_name("rerun-endpoint-tests/on-demand")
    with pytest.raises(PrefectHTTPStatusError) as refused:
        await client.create_flow_run_from_deployment(
            deployment.id, parameters={"test_ids": ["1"]}, job_variables=job_variables
        )
    assert "Additional properties are not allowed" in str(refused.value)
    runs = await client.read_flow_runs(limit=200)
    assert not [run for run in runs if run.job_variables]


async def test_the_template_that_prefect_gives_a_pool_is_closed(
    client: PrefectClient, pool: str
) -> None:
    step = await apply_work_pool(client, pool, dry_run=True, overwrite=False)
    assert step.found is Found.DIFFERENT
    assert await template_of(client, pool) != TEMPLATE
    assert await job_variables_taken(client, pool) == TEMPLATE["variables"], "it will be closed"
    step = await apply_work_pool(client, pool, dry_run=False, overwrite=False)
    assert step.found is Found.DIFFERENT
    assert await template_of(client, pool) == TEMPLATE
    step = await apply_work_pool(client, pool, dry_run=False, overwrite=False)
    assert step.found is Found.AS_IT_SHOULD_BE


async def test_a_pool_that_is_missing_is_made_with_the_closed_template_but_not_by_a_dry_run(
    client: PrefectClient,
) -> None:
    assert await job_variables_taken(client, POOL) == TEMPLATE["variables"]
    for dry_run in (True, False):
        step = await apply_work_pool(client, POOL, dry_run=dry_run, overwrite=False)
        assert step.found is Found.MISSING
    assert await template_of(client, POOL) == TEMPLATE
    await client.delete_work_pool(POOL)


async def test_a_template_that_people_wrote_is_told_and_left_until_they_ask(
    client: PrefectClient, pool: str
) -> None:
    written = await template_of(client, pool)
    written["variables"]["properties"]["working_dir"]["default"] = "/srv"
    await client.update_work_pool(pool, WorkPoolUpdate(base_job_template=written))
    step = await apply_work_pool(client, pool, dry_run=False, overwrite=False)
    assert step.found is Found.KEPT
    assert "--overwrite closes it" in step.detail
    assert await template_of(client, pool) == written
    assert await job_variables_taken(client, pool) == written["variables"]
    step = await apply_work_pool(client, pool, dry_run=False, overwrite=True)
    assert step.found is Found.DIFFERENT
    assert await template_of(client, pool) == TEMPLATE


def without_environment_and_command(template: dict[str, Any]) -> None:
    for name in ("env", "command"):
        del template["job_configuration"][name], template["variables"]["properties"][name]


def with_one_folder(template: dict[str, Any]) -> None:
    template["variables"]["properties"]["working_dir"]["enum"] = ["/srv"]


def with_a_required_name(template: dict[str, Any]) -> None:
    template["variables"]["required"] = ["name"]


def with_a_fixed_command(template: dict[str, Any]) -> None:
    template["job_configuration"]["command"] = "python -m flows"


@pytest.mark.parametrize(
    "changed",
    [without_environment_and_command, with_one_folder, with_a_required_name, with_a_fixed_command],
)
def test_a_template_in_which_people_changed_a_part_is_not_taken_for_prefects(
    changed: Callable[[dict[str, Any]], None],
) -> None:
    template = deepcopy(OWN)
    changed(template)
    assert not _is_prefects_own(template)


def test_a_template_is_known_as_prefects_by_whichever_of_its_parts_made_the_pool() -> None:
    views = files(prefect.server.api) / "collections_data" / "views"
    of_the_ui = json.loads((views / "aggregate-worker-metadata.json").read_text())
    for template in ({}, OWN, of_the_ui["prefect"]["process"]["default_base_job_configuration"]):
        assert _is_prefects_own(template), template


async def test_the_queue_of_the_organizations_is_made_once_and_then_peoples(
    client: PrefectClient, pool: str
) -> None:
    async def apply(*, dry_run: bool = False, overwrite: bool = False) -> str:
        step = await apply_work_queue(client, pool, dry_run=dry_run, overwrite=overwrite)
        return step.told(dry_run=dry_run)

    async def limit() -> int | None:
        return (await client.read_work_queue_by_name(QUEUE, pool)).concurrency_limit

    name = f"work queue {pool}/organizations"
    assert await apply(dry_run=True) == f"would be made    {name} (at most 8 at once)"
    assert await apply() == f"made             {name} (at most 8 at once)"
    assert await limit() == 8
    assert await apply() == f"found            {name} (at most 8 at once)"
    there = await client.read_work_queue_by_name(QUEUE, pool)
    await client.update_work_queue(there.id, concurrency_limit=3)
    assert await apply() == (
        f"left             {name} (differs from this project's default: concurrency_limit; "
        "--overwrite restores it; at most 3 at once)"
    )
    assert await limit() == 3
    await apply(dry_run=True, overwrite=True)
    assert await limit() == 3
    assert await apply(overwrite=True) == f"changed          {name} (concurrency_limit)"
    assert await limit() == 8
