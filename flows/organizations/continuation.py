"""Which runs a run of several organizations goes on with, where an earlier attempt started some."""

from collections.abc import Sequence
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterIdempotencyKey,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType

from tasks.server_calls import until_answered


async def key_of(organization: str, attempts: Sequence[UUID], cancelled: Sequence[UUID]) -> str:
    """Return the idempotency key of an organization's run, which finds it if there is one.

    Below a cancelled attempt Prefect cancels, for ever, whatever is started again: of what that
    one started, only a run that completed is of use.

    Args:
        organization: Its name.
        attempts: All attempts of the run, the oldest first; this one is among them.
        cancelled: Those among them that were cancelled.
    """
    if completed := await _completed([f"{one} {organization}" for one in cancelled]):
        return completed
    return f"{next(one for one in attempts if one not in cancelled)} {organization}"


@until_answered
async def _completed(keys: list[str]) -> str | None:
    if not keys:
        return None
    wanted = FlowRunFilter(
        idempotency_key=FlowRunFilterIdempotencyKey(any_=keys),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.COMPLETED])),
    )
    async with get_client() as client:
        found = await client.read_flow_runs(flow_run_filter=wanted, limit=1)
    return found[0].idempotency_key if found else None
