"""The flow `explain-cancelled-run`: a run that found its place taken says by which run."""

from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID

from prefect import flow, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
)
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Cancelled

from flows.restart import OURS, done
from tasks.server_calls import until_answered, until_taken
from tasks.under_way import UNDER_WAY
from thousandeyes.text import clock

PLACE_TAKEN: Final = "Deployment concurrency limit reached"
"""How the message of Prefect's server begins when it cancels a run for another one."""


def is_to_be_explained(flow_run: FlowRun, flow_name: str) -> bool:
    """Tell whether Prefect cancelled a run for another one, and nothing explains it yet.

    Args:
        flow_run: The run as it is now.
        flow_name: The name of its flow. Who may start this flow may not change another's runs.
    """
    state = flow_run.state
    cancelled_so = state and state.is_cancelled() and (state.message or "").startswith(PLACE_TAKEN)
    return bool(flow_name in OURS and cancelled_so)


def explanation(holders: Sequence[FlowRun]) -> str:
    """Return why a run was cancelled, and what to do.

    Args:
        holders: The runs of its deployment that are under way.
    """
    if not holders:
        return "Not started: another run held its place, and has since ended. Start it again."
    told = " and ".join(_told(one) for one in holders)
    first = holders[0].id
    return (
        f"Not started: its place is held by {told}. Start this one again once that ends. "
        f"If nothing is executing that run, free the place: `prefect flow-run cancel {first}`, "
        f"and where it stays Cancelling `prefect flow-run delete {first}`."
    )


def _told(holder: FlowRun) -> str:
    state = holder.state
    assert state  # noqa: S101 - they were chosen by it
    return f"run {holder.name!r} ({state.name} since {clock(state.timestamp)})"


@flow(name="explain-cancelled-run", persist_result=False, retries=0)
async def explain_cancelled_run(flow_run_id: UUID) -> State[None]:
    """Let a run that was cancelled for another one say which, and what to do. Automations call it.

    Prefect's server cancels it before any process of ours begins, and says only that a limit was
    reached. A run that was cancelled for another reason is left as it is.

    Args:
        flow_run_id: The run that was cancelled.
    """
    flow_run, words = await _explained(flow_run_id)
    if not words:
        return done(f"Run {flow_run.name!r} is left as it is: no run took its place.")
    state: State[None] = Cancelled(message=words)
    async with get_client() as client:
        await until_taken(partial(client.set_flow_run_state, flow_run_id, state, force=True))
    return done(f"Run {flow_run.name!r}: {words}")


@until_answered
async def _explained(flow_run_id: UUID) -> tuple[FlowRun, str]:
    """Return the run, and why another took its place; empty where none did."""
    async with get_client() as client:
        flow_run = await client.read_flow_run(flow_run_id)
        flow_name = (await client.read_flow(flow_run.flow_id)).name
        if not is_to_be_explained(flow_run, flow_name):
            return flow_run, ""
        holders = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=UNDER_WAY),
            deployment_filter=DeploymentFilter(
                id=DeploymentFilterId(any_=[flow_run.deployment_id])
            ),
        )
    return flow_run, explanation(holders)
