"""Make or update the deployments of `prefect.yaml` on a server."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from deployments.busy_server import ServerBusy, why_gave_up
from deployments.ownership import Plan, own_limit
from deployments.project import FILE, Deployment, problems
from deployments.steps import BootstrapError, Found, Step, left
from deployments.work_pools import job_variables_taken


async def apply_deployments(
    client: PrefectClient, deployments: Sequence[Deployment], *, dry_run: bool, overwrite: bool
) -> AsyncIterator[Step]:
    """Make or update the deployments on the server, and report how each was found.

    Args:
        client: The server.
        deployments: What `read_deployments` returned.
        dry_run: Only report; change nothing.
        overwrite: Also reset what people set in the UI to what the file says.

    Raises:
        BootstrapError: Prefect refuses to make one; the message has Prefect's own words.
        ServerBusy: The server was too busy to make them all; those it made are found next time.
    """
    found = {one.full_name: await _read(client, one.full_name) for one in deployments}
    missing = [one for one in deployments if not found[one.full_name]]
    if missing and not dry_run:
        await asyncio.to_thread(_deploy, missing)
        for one in missing:
            made = await client.read_deployment_by_name(one.full_name)
            update = DeploymentUpdate(parameter_openapi_schema=one.form)
            await client.update_deployment(made.id, update)
    for one in deployments:
        what = f"deployment {one.full_name}"
        there = found[one.full_name]
        if not there:
            yield Step(Found.MISSING, what)
            continue
        plan = Plan.of(one, there, overwrite=overwrite)
        if plan.update:
            if not dry_run:
                await _update(client, one, there, plan.update)
            yield Step(Found.DIFFERENT, what, _told(one, plan.changed))
        if plan.kept or plan.misfits:
            fail = await _failures(client, one, there, plan)
            yield left(what, FILE.name, plan.kept, *fail)
        elif not plan.update:
            yield Step(Found.AS_IT_SHOULD_BE, what)


async def _failures(
    client: PrefectClient, one: Deployment, there: DeploymentResponse, plan: Plan
) -> list[str]:
    """Return what goes wrong because of what is left as it is."""
    fail = [f"its runs fail: {where}: {why}" for where, why in plan.misfits.items()]
    if "entrypoint" in plan.kept:
        fail.append(
            f"its workers have the flow as {there.entrypoint}: run bootstrap where this project is "
            "installed as it is for them"
        )
    if "job_variables" in plan.kept:
        fail += await _refusals(client, one.work_pool.name, there.job_variables)
    return fail


def _told(one: Deployment, changed: Sequence[str]) -> str:
    """Return what changes, and which way a switch is turned."""
    switches = {"paused": "resumed"}
    for schedule in one.schedules:
        name = f"schedule {schedule.slug}"
        switches[f"{name} active"] = f"{name} switched {'on' if schedule.active else 'off'}"
    return ", ".join(switches.get(field, field) for field in changed)


async def _read(client: PrefectClient, full_name: str) -> DeploymentResponse | None:
    with suppress(ObjectNotFound):
        return await client.read_deployment_by_name(full_name)
    return None


async def _refusals(client: PrefectClient, pool: str, variables: Mapping[str, Any]) -> list[str]:
    """Return why the work pool refuses a deployment's job variables, and what to do about it."""
    return [
        f"the work pool doesn't take its job variables ({why}): starts are refused, and scheduled "
        "runs ignore them; remove them in the UI, and set variables in the workers' environment"
        for why in problems(variables, await job_variables_taken(client, pool))
    ]


async def _update(
    client: PrefectClient, one: Deployment, there: DeploymentResponse, fields: Mapping[str, Any]
) -> None:
    if "schedules" in fields:
        # The server leaves schedules that the update doesn't name.
        slugs = {schedule.slug for schedule in one.schedules}
        for schedule in there.schedules:
            if schedule.slug not in slugs:
                await client.delete_deployment_schedule(there.id, schedule.id)
    if "concurrency_limit" in fields:
        await _make_room_for_its_limit(client, there)
    await client.update_deployment(there.id, DeploymentUpdate(version=one.flow.version, **fields))


async def _make_room_for_its_limit(client: PrefectClient, there: DeploymentResponse) -> None:
    """Remove a limit that the deployment shares; the server would change it for all that have it.

    Also delete its own limit if that was removed in the UI: the server can't make a second one of
    the same name.
    """
    limit = there.global_concurrency_limit
    if limit and limit.name == own_limit(there):
        return
    await client.request(
        "PATCH",
        "/deployments/{id}",
        path_params={"id": there.id},
        json={"global_concurrency_limit_id": None},
    )
    with suppress(ObjectNotFound):
        await client.delete_global_concurrency_limit_by_name(own_limit(there))


def _deploy(deployments: Sequence[Deployment]) -> None:
    names = [word for one in deployments for word in ("--name", one.name)]
    # It runs in the project's directory, so it is given what a `.env` or `prefect.toml` in ours
    # sets, and our few tries, because we report each wait.
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    done = subprocess.run(  # noqa: S603 - our own command, and names from our file
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", *names],
        cwd=FILE.parent,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = f"{done.stdout}{done.stderr}"
        if why := why_gave_up(said):
            raise ServerBusy(why)
        raise BootstrapError(f"prefect deploy failed:\n{said}")
