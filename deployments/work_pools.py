"""The deployments' work pools: of type process, with a job template that takes no variables.

Prefect's own template lets everybody who may start a run set the command and the environment of its
process (`job_variables`), and so send the worker's token elsewhere. The template's format is from
https://docs.prefect.io/v3/concepts/work-pools#base-job-template.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

from deployments.steps import Found, Step, left
from flows.organizations.work_queue import QUEUE, at_once

TEMPLATE: Final[dict[str, Any]] = {
    "job_configuration": {"stream_output": True},  # Prefect refuses an empty one
    "variables": {"type": "object", "properties": {}, "additionalProperties": False},
}
"""A job template without variables: a run's process has the worker's environment and command."""

_QUEUE: Final[dict[str, Any]] = {
    "description": (
        "The runs that rerun-organizations starts, one for each organization. The concurrency "
        "limit says how many run at once. Not for rerun-organizations itself."
    ),
    "is_paused": False,
    "concurrency_limit": 8,
}
"""Limits how many organizations' runs are on the workers at once."""


async def apply_work_pool(
    client: PrefectClient, name: str, *, dry_run: bool, overwrite: bool
) -> Step:
    """Make or update a work pool on the server, and report how it was found.

    Prefect's own template is replaced. One that people wrote is reported and left, unless
    `overwrite`.
    """
    what = f"work pool {name}"
    try:
        pool = await client.read_work_pool(name)
    except ObjectNotFound:
        if not dry_run:
            await client.create_work_pool(
                WorkPoolCreate(name=name, type=ProcessWorker.type, base_job_template=TEMPLATE)
            )
        return Step(Found.MISSING, what, "of type process")
    if pool.base_job_template == TEMPLATE:
        return Step(Found.AS_IT_SHOULD_BE, what)
    if not (overwrite or _is_prefects_own(pool.base_job_template)):
        return Step(
            Found.KEPT,
            what,
            "its job template was written by hand: people who start runs may set what it leaves "
            "open; --overwrite closes it",
        )
    if not dry_run:
        await client.update_work_pool(name, WorkPoolUpdate(base_job_template=TEMPLATE))
    return Step(Found.DIFFERENT, what, "runs can no longer set job variables")


async def apply_work_queue(
    client: PrefectClient, pool: str, *, dry_run: bool, overwrite: bool
) -> Step:
    """Make or update the work queue of `rerun-organizations`, and report how it was found.

    Once made it is people's: what they set is reported and left, unless `overwrite`.
    """
    what = f"work queue {pool}/{QUEUE}"
    try:
        there = await client.read_work_queue_by_name(QUEUE, pool)
    except ObjectNotFound:
        if not dry_run:
            await client.create_work_queue(QUEUE, work_pool_name=pool, **_QUEUE)
        return Step(Found.MISSING, what, at_once(_QUEUE["concurrency_limit"]))
    different = [field for field in _QUEUE if getattr(there, field) != _QUEUE[field]]
    if not different:
        return Step(Found.AS_IT_SHOULD_BE, what, at_once(there.concurrency_limit))
    if not overwrite:
        return left(what, None, different, at_once(there.concurrency_limit))
    if not dry_run:
        await client.update_work_queue(there.id, **_QUEUE)
    return Step(Found.DIFFERENT, what, ", ".join(different))


async def job_variables_taken(client: PrefectClient, pool: str) -> Mapping[str, Any]:
    """Return the schema of the job variables that a pool takes once bootstrap has applied it."""
    template = TEMPLATE
    with suppress(ObjectNotFound):  # it will be made
        there = (await client.read_work_pool(pool)).base_job_template
        template = TEMPLATE if _is_prefects_own(there) else there
    taken: Mapping[str, Any] = template.get("variables", {})
    return taken


def _is_prefects_own(template: Mapping[str, Any]) -> bool:
    """Return whether nobody chose the template: it is empty, or as Prefect makes it. Pure."""
    own = ProcessWorker.get_default_base_job_template()
    return not template or _limits(template) == _limits(own)


def _limits(schema: object) -> object:
    """Return what a template says without titles, descriptions and null. Pure.

    Prefect's UI makes a pool with `str` where a worker makes it with `Optional[str]`.
    """
    match schema:
        case {"anyOf": [kind, {"type": "null"}], **others}:
            return _limits(others | kind)
        case dict():
            return {
                key: _limits(value)
                for key, value in schema.items()
                if key not in ("title", "description") and value is not None
            }
    return schema
