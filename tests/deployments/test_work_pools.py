"""What whoever may start a run can't set, on a real server: what its process is and knows."""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import PrefectHTTPStatusError
from prefect.workers.process import ProcessWorker

from deployments.steps import Found
from deployments.work_pools import TEMPLATE, apply_work_pool, apply_work_queue
from flows.organizations.work_queue import QUEUE
from tests.deployments.scene import client_of
from tests.deployments.topology import Topology

POOL: Final = "another-pool"


@pytest.fixture
async def client(machines: Topology) -> AsyncIterator[PrefectClient]:
    with client_of(machines):
        async with get_client() as client:
            yield client


@pytest.fixture
async def pool(client: PrefectClient) -> AsyncIterator[str]:
    """Make a pool as `prefect work-pool create` does."""
    own = ProcessWorker.get_default_base_job_template()
    await client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=own))
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
        await client.create_flow_run_from_deployment(deployment.id, job_variables=job_variables)
    assert refused.value.response.status_code in (409, 422)
    runs = await client.read_flow_runs(limit=200)
    assert not [run for run in runs if run.job_variables]


async def test_the_template_that_prefect_gives_a_pool_is_closed(
    client: PrefectClient, pool: str
) -> None:
    step = await apply_work_pool(client, pool, dry_run=True, overwrite=False)
    assert step.found is Found.DIFFERENT
    assert await template_of(client, pool) != TEMPLATE
    step = await apply_work_pool(client, pool, dry_run=False, overwrite=False)
    assert step.found is Found.DIFFERENT
    assert await template_of(client, pool) == TEMPLATE
    step = await apply_work_pool(client, pool, dry_run=False, overwrite=False)
    assert step.found is Found.AS_IT_SHOULD_BE


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
    step = await apply_work_pool(client, pool, dry_run=False, overwrite=True)
    assert step.found is Found.DIFFERENT
    assert await template_of(client, pool) == TEMPLATE


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
