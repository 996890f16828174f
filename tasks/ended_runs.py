"""New versions of an ended run's artifacts, which another run writes."""

from typing import Final, Literal
from uuid import UUID

import prefect.runtime
from prefect import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import Artifact

_WRITTEN_BY: Final = "written_by_flow_run"


async def create_of_ended_run(
    flow_run_id: UUID, kind: Literal["table", "markdown"], key: str, data: str, description: str
) -> UUID:
    """Create an artifact that belongs to a run which has ended, and return its ID.

    Args:
        flow_run_id: The run that it belongs to.
        kind: The artifact's type.
        key: Its key.
        data: Rows as JSON, or Markdown.
        description: Markdown of one line.
    """
    artifact = ArtifactCreate(
        key=key,
        type=kind,
        description=description,
        data=data,
        metadata_={_WRITTEN_BY: str(prefect.runtime.flow_run.id)},
        flow_run_id=flow_run_id,
    )
    async with get_client() as client:
        return (await client.create_artifact(artifact)).id


def is_by_its_own_run(artifact: Artifact) -> bool:
    """Tell whether an artifact was written by the run that it belongs to."""
    return _WRITTEN_BY not in (artifact.metadata_ or {})
