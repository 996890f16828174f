"""How an artifact is created: for the run under way, or for one that has ended."""

import json
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import prefect.runtime
from prefect import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import Artifact

_WRITTEN_BY: Final = "written_by_flow_run"
_STOPPED: Final = "stopped_early"


def as_json(rows: object) -> str:
    """Return a table's rows as they are stored, without the spaces that Prefect would add.

    A server stores each table three times: as an artifact, as the newest of its key, as an event.
    """
    return json.dumps(rows, separators=(",", ":"))


async def create_table(
    table: Sequence[Mapping[str, object]], key: str, description: str, ended_run: UUID | None = None
) -> UUID:
    """Create a table, and return its ID.

    Args:
        table: One mapping per row.
        key: The artifact's key.
        description: Markdown of one line.
        ended_run: The flow run that it belongs to, if not the one under way.
    """
    return await _create("table", key, as_json(table), description, ended_run)


async def create_markdown(
    markdown: str,
    key: str,
    description: str,
    ended_run: UUID | None = None,
    stopped: str | None = None,
) -> UUID:
    """Create a text, and return its ID; the arguments are those of `create_table`.

    `stopped` is what made the run stop early, if anything did: `why_stopped` returns it.
    """
    return await _create("markdown", key, markdown, description, ended_run, stopped)


def why_stopped(artifact: Artifact) -> str | None:
    """Return what made the run stop early that an artifact reports, if anything did."""
    return (artifact.metadata_ or {}).get(_STOPPED)


def is_by_its_own_run(artifact: Artifact) -> bool:
    """Tell whether an artifact was written by the run that it belongs to."""
    return _WRITTEN_BY not in (artifact.metadata_ or {})


async def _create(
    kind: str,
    key: str,
    data: str,
    description: str,
    ended_run: UUID | None,
    stopped: str | None = None,
) -> UUID:
    own_run = prefect.runtime.flow_run.id
    metadata = {_WRITTEN_BY: str(own_run)} if ended_run else {}
    if stopped:
        metadata[_STOPPED] = stopped
    artifact = ArtifactCreate(
        key=key,
        type=kind,
        description=description,
        data=data,
        metadata_=metadata or None,
        flow_run_id=ended_run or own_run,
    )
    async with get_client() as client:
        return (await client.create_artifact(artifact)).id
