"""Which runs a run of several organizations continues if an earlier attempt started some."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterIdempotencyKey
from prefect.client.schemas.objects import FlowRun

from flows.rerun.remote import RerunUnfinished
from tasks.server_calls import until_answered

_ENVIRONMENT: Final = "the worker's environment"
"""What the organization without a credentials block is called. Names of blocks hold no blanks."""


def called(organization: str | None) -> str:
    """Return what people call an organization: its credentials block, or the environment."""
    return organization or _ENVIRONMENT


async def runs_for(organization: str | None, attempts: Sequence[UUID]) -> list[FlowRun]:
    """Return the runs that these attempts of a run started for an organization, newest first."""
    runs = await _runs([_key(attempt, organization) for attempt in attempts])
    return sorted(runs, key=lambda run: str(run.created), reverse=True)


async def key_of(
    organization: str | None,
    groups: Sequence[str],
    attempts: Sequence[UUID],
    cancelled: Sequence[UUID],
) -> str:
    """Return the idempotency key of an organization's run, which finds it if there is one.

    Prefect cancels, for ever, whatever is started again below a cancelled attempt: of the runs
    that it started, only one that completed is of use.

    Args:
        organization: The name of its credentials block; None: the worker's environment.
        groups: Its groups, as they are now.
        attempts: All attempts of the run, the oldest first; this one is among them.
        cancelled: Those among them that were cancelled.

    Raises:
        RerunUnfinished: There is one, but it was started with other groups.
    """
    key = _key(next(one for one in attempts if one not in cancelled), organization)
    of_cancelled = [_key(one, organization) for one in cancelled]
    found = {str(run.idempotency_key): run for run in await _runs([key, *of_cancelled])}
    for one in of_cancelled:
        if one in found and (state := found[one].state) and state.is_completed():
            key = one
    if key in found and set(begun := found[key].parameters.get("groups") or []) != set(groups):
        raise RerunUnfinished(
            f"it was started with the groups {', '.join(begun)}, and now has {', '.join(groups)}: "
            "start a new run for these. Nothing more was sent.",
            found[key],
        )
    return key


def _key(attempt: UUID, organization: str | None) -> str:
    # The key of the worker's environment stays as it was in earlier versions: with another, a run
    # begun before an update and retried after it would send those tests again. So the block of
    # that name gets another key. No other block has it, because names of blocks hold no blanks.
    names = {None: "environment", "environment": "block environment"}
    return f"{attempt} {names.get(organization, organization)}"


@until_answered
async def _runs(keys: list[str]) -> list[FlowRun]:
    wanted = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=keys))
    async with get_client() as client:
        return await client.read_flow_runs(flow_run_filter=wanted)
