"""`python -m deployments.bootstrap` on real servers: once, again, and where it can't."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    DeploymentUpdate,
    GlobalConcurrencyLimitCreate,
)
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.automations import read_automations
from deployments.bootstrap import main
from deployments.deploy import apply_deployments
from deployments.project import FILE, read_deployments
from deployments.steps import Found, Step
from tasks.blocks import EndpointTestGroup
from tests.deployments.scene import bootstrap, client_of, shown
from tests.deployments.test_busy_server import answer, steps
from tests.deployments.topology import TOKEN, Topology

DEPLOYMENTS = [f"deployment {one.full_name}" for one in read_deployments()]
MADE = (
    *("work pool thousandeyes", "work queue thousandeyes/organizations"),
    *("block type thousandeyes-credentials", "block type endpoint-test-group"),
    *DEPLOYMENTS,
    *(f"automation {entry.name}" for entry in read_automations()),
)


@pytest.fixture
def machines(machines: Topology) -> Iterator[Topology]:
    with client_of(machines):
        yield machines


def objects(topology: Topology) -> dict[str, Any]:
    """Return what the API shows of all that bootstrap looks after."""
    blocks = ("block_types", "block_schemas", "block_documents")
    return shown(topology, "work_pools", "deployments", "automations", *blocks)


def stable(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a server changes by itself: whether workers were seen."""
    passing = ("status", "last_polled")
    return {
        kind: [{k: v for k, v in one.items() if k not in passing} for one in many]
        for kind, many in found.items()
    }


async def attach(client: PrefectClient, deployment: UUID, limit: UUID | None) -> None:
    """Give a deployment a limit, or none, as the UI does."""
    changes = {"global_concurrency_limit_id": limit and str(limit)}
    await client.request("PATCH", "/deployments/{id}", path_params={"id": deployment}, json=changes)


def without_times(deployment: dict[str, Any]) -> Any:
    """Leave out what tells when a part was made, and which part that was."""
    passing = ("id", "created", "updated")
    parts = [*deployment["schedules"], deployment["global_concurrency_limit"]]
    deployment["parts"] = [{k: v for k, v in one.items() if k not in passing} for one in parts]
    del deployment["schedules"], deployment["global_concurrency_limit"]
    return deployment


def test_a_second_time_finds_all_as_it_is_and_changes_nothing(
    machines: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TE_TOKEN", TOKEN)
    groups = {"of-the-file": EndpointTestGroup(test_ids=["1"])}
    monkeypatch.setattr("deployments.bootstrap.read_groups", lambda: groups)
    bootstrap()
    before = objects(machines)
    said = bootstrap().splitlines()
    after = objects(machines)
    found = ("found", "off")
    assert all(line.startswith(found) for line in said[1:]), said
    blocks = (
        "block thousandeyes-credentials/thousandeyes",
        "block endpoint-test-group/of-the-file",
    )
    for what in (*MADE, *blocks):
        assert any(line.split(maxsplit=1)[1].startswith(what) for line in said[1:]), what
    # With the times of their last update.
    assert stable(before) == stable(after)
    EndpointTestGroup.delete("of-the-file", _sync=True)  # type: ignore[call-arg]


async def applied(*, dry_run: bool = False, overwrite: bool = False) -> list[str]:
    """Apply the deployments; returns what was told of those that were not just found."""
    async with get_client() as client:
        return [
            step.told(dry_run=dry_run)
            async for step in apply_deployments(
                client, read_deployments(), dry_run=dry_run, overwrite=overwrite
            )
            if step.found is not Found.AS_IT_SHOULD_BE
        ]


@pytest.mark.usefixtures("machines")
async def test_a_schedule_that_was_switched_on_in_the_ui_stays_on() -> None:
    async def active() -> bool:
        there = await client.read_deployment_by_name("rerun-endpoint-tests/scheduled")
        return there.schedules[0].active

    name = "deployment rerun-endpoint-tests/scheduled"
    async with get_client() as client:
        there = await client.read_deployment_by_name("rerun-endpoint-tests/scheduled")
        await client.update_deployment_schedule(there.id, there.schedules[0].id, active=True)
        said = await asyncio.to_thread(bootstrap)
        assert (
            f"left             {name} (differs from prefect.yaml: schedule weekdays-at-10 active; "
            "--overwrite restores the file's value)"
        ) in said
        assert await active()
        said = await asyncio.to_thread(bootstrap, "--overwrite", "--dry-run")
        assert f"would be changed {name} (schedule weekdays-at-10 switched off)" in said
        assert await active()
        assert await applied(overwrite=True) == [
            f"changed          {name} (schedule weekdays-at-10 switched off)"
        ]
        assert not await active()


async def test_what_people_set_stays_and_what_the_file_owns_is_mended(
    machines: Topology,
) -> None:
    assert machines
    name = "deployment rerun-endpoint-tests/scheduled"
    left = (
        f"left             {name} (differs from prefect.yaml: description, tags, paused, "
        "concurrency_limit, parameters, schedule weekdays-at-10 time; --overwrite "
        "restores the file's value)"
    )
    async with get_client() as client:

        async def there() -> dict[str, Any]:
            found = await client.read_deployment_by_name("rerun-endpoint-tests/scheduled")
            return found.model_dump(exclude={"updated", "status", "last_polled", "version"})

        made = await there()
        set_by_people = DeploymentUpdate(
            paused=True, tags=["mine"], description="Mine.", parameters={"groups": ["mine"]}
        )
        await client.update_deployment(made["id"], set_by_people)
        await attach(client, made["id"], None)
        tokyo = CronSchedule(cron="0 7 * * *", timezone="Asia/Tokyo")
        await client.update_deployment_schedule(
            made["id"], made["schedules"][0]["id"], schedule=tokyo
        )
        by_people = await there()
        assert await applied() == [left]
        assert await there() == by_people

        # A worker can't load this one, and the form doesn't know what it takes.
        form = {"type": "object", "properties": {}}
        broken = DeploymentUpdate(entrypoint="flows.gone", parameter_openapi_schema=form)
        await client.update_deployment(made["id"], broken)
        mended = f"{name} (entrypoint, parameter_openapi_schema)"
        assert await applied(dry_run=True) == [f"would be changed {mended}", left]
        assert await applied() == [f"changed          {mended}", left]
        assert await there() == by_people

        [said] = await applied(overwrite=True)
        assert said.startswith(f"changed          {name} (description, tags, resumed, ")
        assert without_times(await there()) == without_times(made)
        assert await applied() == []


@pytest.mark.parametrize("slug", [None, "theirs"])
async def test_a_schedule_that_was_deleted_stays_so_until_the_file_is_to_count(
    machines: Topology, slug: str | None
) -> None:
    assert machines

    async def slugs() -> list[str | None]:
        there = await client.read_deployment_by_name("rerun-endpoint-tests/scheduled")
        return [one.slug for one in there.schedules]

    async with get_client() as client:
        made = await client.read_deployment_by_name("rerun-endpoint-tests/scheduled")
        await client.delete_deployment_schedule(made.id, made.schedules[0].id)
        hourly = IntervalSchedule(interval=timedelta(hours=1))
        another = DeploymentScheduleCreate(schedule=hourly, active=False, slug=slug)
        await client.create_deployment_schedules(made.id, [another])
        [said] = await applied()
        assert "schedule weekdays-at-10 missing, another schedule; --overwrite" in said
        assert await slugs() == [slug]
        await applied(overwrite=True)
        assert await slugs() == ["weekdays-at-10"]


async def test_parameters_that_the_flow_no_longer_takes_are_told_before_a_run_fails(
    machines: Topology,
) -> None:
    assert machines
    async with get_client() as client:
        there = await client.read_deployment_by_name("rerun-endpoint-tests/on-demand")
        older = DeploymentUpdate(
            parameters={"options": {"spelling": "new"}},
            parameter_openapi_schema={"type": "object", "properties": {"options": {}}},
        )
        await client.update_deployment(there.id, older)
        [said] = await applied()
        assert said.startswith("left             deployment rerun-endpoint-tests/on-demand")
        assert "its runs fail: parameters: options: Additional properties are not allowed" in said
        [said] = await applied(overwrite=True)
        assert said.startswith("changed")
        assert await applied() == []


async def test_job_variables_that_the_work_pool_does_not_take_are_told_before_a_run_is_refused(
    machines: Topology,
) -> None:
    assert machines
    name = "deployment rerun-endpoint-tests/on-demand"
    async with get_client() as client:
        there = await client.read_deployment_by_name("rerun-endpoint-tests/on-demand")
        proxy = DeploymentUpdate(job_variables={"env": {"HTTPS_PROXY": "http://127.0.0.1:3128"}})
        await client.update_deployment(there.id, proxy)
        with pytest.raises(PrefectHTTPStatusError, match="'env' was unexpected"):
            await client.create_flow_run_from_deployment(there.id, parameters={"test_ids": ["1"]})
        [said] = await applied()
        assert said == (
            f"left             {name} (differs from prefect.yaml: job_variables; --overwrite "
            "restores the file's value; the work pool doesn't take its job variables (Additional "
            "properties are not allowed ('env' was unexpected)): starts are refused, and scheduled "
            "runs ignore them; remove them in the UI, and set variables in the workers' "
            "environment)"
        )
        assert await applied(overwrite=True) == [f"changed          {name} (job_variables)"]
        assert await applied() == []


async def test_a_limit_that_is_shared_with_others_is_taken_off_and_not_changed(
    machines: Topology,
) -> None:
    assert machines
    async with get_client() as client:
        shared = GlobalConcurrencyLimitCreate(name="shared", limit=5)
        limit_id = await client.create_global_concurrency_limit(shared)
        there = await client.read_deployment_by_name("create-endpoint-tests/create")
        await attach(client, there.id, limit_id)
        await applied(overwrite=True)
        there = await client.read_deployment(there.id)
        assert there.global_concurrency_limit
        assert there.global_concurrency_limit.name == f"deployment:{there.id}"
        assert (await client.read_global_concurrency_limit_by_name("shared")).limit == 5
        await client.delete_global_concurrency_limit_by_name("shared")


async def test_what_is_missing_is_made_on_the_server_that_bootstrap_itself_talks_to(
    machines: Topology,
) -> None:
    assert "PREFECT_API_URL" not in os.environ, "a file in the working directory may say it"
    async with get_client() as client:
        # An automation of the file starts its runs.
        there = await client.read_deployment_by_name("judge-run-again/judge-again")
        await client.delete_deployment(there.id)
    said = await asyncio.to_thread(bootstrap, "--dry-run")
    assert "would be made    deployment judge-run-again/judge-again" in said
    assert await applied() == ["made             deployment judge-run-again/judge-again"]
    assert await applied() == []
    assert machines


def test_prefect_deploy_from_a_clean_clone_makes_the_same_deployments_with_longer_forms(
    machines: Topology, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", FILE.parent, clone], check=True)
    shutil.copy(FILE, clone)  # one that isn't committed yet is tested too
    done = machines.run("prefect", "--no-prompt", "deploy", "--all", cwd=clone)
    assert done.returncode == 0, done.stdout + done.stderr
    deployed = [line for line in bootstrap().splitlines() if " deployment " in line]
    assert len(deployed) == len(DEPLOYMENTS)
    mended = "(parameter_openapi_schema)"
    assert all(line.startswith("found") or line.endswith(mended) for line in deployed), deployed


@pytest.mark.servers
def test_without_the_password_it_tells_what_to_set(several_machines: Topology) -> None:
    done = several_machines.run(
        "deployments.bootstrap", cwd=several_machines.directory, PREFECT_API_AUTH_STRING=""
    )
    assert done.returncode == 1
    assert "set PREFECT_API_AUTH_STRING to user:password" in done.stderr


def test_without_a_server_it_is_an_error_and_starts_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert main([]) == 1
    assert "PREFECT_API_URL is not set" in capsys.readouterr().err


def test_what_the_server_refuses_is_an_error_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object) -> AsyncIterator[Step]:
        return steps([answer(409)])()

    monkeypatch.setattr("deployments.bootstrap._steps", refused)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert main([]) == 1
    assert capsys.readouterr().err.startswith("error: the Prefect server refuses this: ")


def test_a_server_that_does_not_answer_is_an_error_that_tells_no_password_in_its_address(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with temporary_settings({PREFECT_API_URL: "http://me:5ecret@127.0.0.1:9/api"}):
        assert main([]) == 1
    said = capsys.readouterr()
    assert said.out == "Prefect server at http://127.0.0.1:9/api\n"
    assert said.err.startswith("error: no Prefect server answers at http://127.0.0.1:9/api (")
