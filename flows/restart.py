"""The flow `restart-crashed-run`: a run that died resumes, on any worker that is there."""

from functools import partial
from typing import Final
from uuid import UUID

from prefect import flow, get_client, get_run_logger
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import SetStateStatus
from prefect.states import AwaitingRetry, Completed

from tasks.server_calls import until_taken

RESTARTS: Final = 3
"""How often one run is started again. What kills it that often will do so again."""
OURS: Final = frozenset(
    {
        "rerun-endpoint-tests",
        "rerun-around-change",
        "judge-run-again",
        "create-endpoint-tests",
        "rerun-organizations",
    }
)
"""The flows whose runs resume where they left off, the only ones whose runs upkeep touches."""


def why_not(flow_run: FlowRun, flow_name: str, state_id: UUID) -> str | None:
    """Return why a run is not started again; None when it is.

    Args:
        flow_run: The run as it is now.
        flow_name: The name of its flow. Who may start this flow may not start any other by it.
        state_id: The crash that was reported, which is the run's state if nothing came after it.
    """
    if flow_name not in OURS:
        return f"it is a run of {flow_name}, which is not a flow of this project"
    state = flow_run.state
    if not state or not state.is_crashed():
        return f"its state is now {state.name if state else 'gone'}"
    if state.id != state_id:
        return "a newer report of the same crash will restart it"
    if flow_run.run_count > RESTARTS:
        often = f"{flow_run.run_count} times already"
        return f"it has been started {often}, too often to be restarted automatically"
    return None


@flow(name="restart-crashed-run", persist_result=False, retries=0)
async def restart_crashed_run(flow_run_id: UUID, state_id: UUID) -> State[None]:
    """Start a crashed run again; it resumes where it left off. Automations call this.

    Prefect may report one crash twice within seconds. Only the last report counts: each one asks
    for a restart some time later, which does nothing unless the run is still in exactly the state
    that was reported. The deployment runs one of these at a time.

    Args:
        flow_run_id: The run that crashed.
        state_id: The state that the report was about; the ID of Prefect's event is the same.
    """
    return done(await until_taken(partial(_start_again, flow_run_id, state_id)))


async def _start_again(flow_run_id: UUID, state_id: UUID) -> str:
    """Start the run again unless something speaks against it; return which it was, in words."""
    async with get_client() as client:
        flow_run = await client.read_flow_run(flow_run_id)
        flow_name = (await client.read_flow(flow_run.flow_id)).name
        started = f"Run {flow_run.name!r} is started again."
        state: State[None] = AwaitingRetry(
            message=f"Crashed, and started again ({flow_run.run_count} before)"
        )
        if _is_in(flow_run, state):  # by a call whose answer was lost
            return started
        if reason := why_not(flow_run, flow_name, state_id):
            return f"Run {flow_run.name!r} is not started again: {reason}."
        # Prefect refuses a second transition with the same ID.
        state.state_details.transition_id = state_id
        answer = await client.set_flow_run_state(flow_run_id, state)
        accepted = answer.status is SetStateStatus.ACCEPT
        if accepted or _is_in(await client.read_flow_run(flow_run_id), state):
            return started
    why = getattr(answer.details, "reason", None) or f"Prefect answers {answer.status.value}."
    return f"Run {flow_run.name!r} is not started again: {why}"


def _is_in(flow_run: FlowRun, state: State[None]) -> bool:
    return bool(flow_run.state and flow_run.state.message == state.message)


def done(words: str) -> State[None]:
    """Log what was done, and return it as the state of the run that did it."""
    get_run_logger().info(words)
    return Completed(message=words)
