"""Deployments: that of the run under way (its own or its caller's), and those given by name."""

import asyncio
import re
from contextlib import suppress
from typing import Final
from uuid import UUID

import prefect.runtime
from prefect import get_client
from prefect.client.schemas.responses import DeploymentResponse
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound

from tasks.server_calls import refusals_logged, until_answered, until_taken

_NO_DEPLOYMENT: Final = "local"
_NAME: Final = r"(?!\.\.?(?:/|$))[^/?#%\x00-\x1f\x7f]{1,255}"
_FULL_NAME: Final = re.compile(rf"{_NAME}/{_NAME}")


def deployment_id() -> UUID | None:
    """Return the ID of the run's deployment; None outside one.

    Prefect asks its server for it in the calling thread, so everything waits meanwhile. For a run
    that no other one called, the answer is known.
    """
    context = FlowRunContext.get()
    if context and (run := context.flow_run) and not run.parent_task_run_id:
        return run.deployment_id
    found = prefect.runtime.deployment.id
    return UUID(found) if found else None


async def deployment_slug() -> str:
    """Return what distinguishes the artifacts of the run's deployment; `local` outside one.

    Waits as long as the Prefect server is unreachable. If the server refuses, it is
    `local` too: that costs no report.
    """
    with refusals_logged("which deployment this run is of"):
        return await slug_of(await until_taken(lambda: asyncio.to_thread(deployment_id)))
    return _NO_DEPLOYMENT


async def slug_of(deployment: UUID | None) -> str:
    """Return the same for the deployment with this ID; `local` if it is gone, too."""
    if deployment is None:
        return _NO_DEPLOYMENT

    async def name() -> str:
        async with get_client() as client:
            return (await client.read_deployment(deployment)).name

    try:
        return as_slug(await until_taken(name))
    except ObjectNotFound:
        return _NO_DEPLOYMENT


async def find_deployment(name: str) -> DeploymentResponse | None:
    """Return a deployment; None if there is none of that name, or the name can't be one.

    Waits as long as the Prefect server is unreachable.

    Args:
        name: `<flow>/<deployment>`.
    """
    if not is_deployment_name(name):
        return None
    with suppress(ObjectNotFound):
        return await _read_by_name(name)
    return None


@until_answered
async def _read_by_name(name: str) -> DeploymentResponse:
    async with get_client() as client:
        return await client.read_deployment_by_name(name)


def is_deployment_name(text: str) -> bool:
    """Tell whether a text can be `<flow>/<deployment>`, and Prefect can ask its server for it.

    It puts the name into the address as it is.
    """
    return bool(_FULL_NAME.fullmatch(text))


def as_slug(name: str) -> str:
    """Return a deployment's name as part of an artifact's key."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or _NO_DEPLOYMENT
