"""The wait between the halves: for a time, or until somebody resumes the run in Prefect.

A run of a deployment leaves its process meanwhile, and so frees its worker's place and its own
under a concurrency limit. Later a worker executes it again from the top, and it continues from what
the server knows of it. A run that Prefect can't start again (a subflow, or one without a
deployment) waits where it is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any, Final
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import Abort, Pause
from prefect.states import Paused, Scheduled, Suspended
from pydantic import (
    AwareDatetime,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from flows.runs.ownership import RunCancelled
from tasks.server_calls import until_answered, until_taken
from thousandeyes.errors import SettingsError
from thousandeyes.text import clock

KEY: Final = "around-change"
"""What tells this wait from one that somebody orders in the UI."""
POLL: Final = 5.0
"""Seconds between two checks of a run that waits where it is."""
_LONGEST: Final = timedelta(days=365)


def _in_words(given: object, read: ValidatorFunctionWrapHandler) -> Any:  # noqa: ANN401
    try:
        return read(given)
    except ValidationError:
        raise ValueError(
            "must be a date and time with a time zone, such as 2026-11-28T22:00+01:00. "
            "Nothing was sent."
        ) from None


Until = Annotated[AwareDatetime | None, WrapValidator(_in_words)]
"""When to measure again; None: when somebody resumes the run."""


class NobodyResumed(Exception):
    """The time in which somebody could have resumed the run is over."""


def check_until(until: datetime | None, now: datetime, sent: str = "Nothing was sent") -> None:
    """Refuse a time that can't be waited for, before the first half is measured. Pure.

    Args:
        until: The time to wait for, if any.
        now: The time, with its zone.
        sent: What was sent so far, in words.

    Raises:
        SettingsError: It is in the past, or more than a year away.
    """
    if until and not now < until <= now + _LONGEST:
        wrong = "is in the past" if until <= now else "is more than a year away"
        raise SettingsError(f"until: {until.isoformat()} {wrong}, it is now {clock(now)}. {sent}.")


def is_over(states: Sequence[State], until: datetime | None, now: datetime) -> bool:
    """Tell whether the wait is over: its time has come, or somebody resumed the run. Pure.

    Args:
        states: All states of the run.
        until: The time to wait for, if any.
        now: The time, with its zone.
    """
    if until and until <= now:
        return True
    in_turn = sorted(states, key=lambda state: state.timestamp)
    return any(_is_ours(first) and _resumes(second) for first, second in pairwise(in_turn))


def _is_ours(state: State) -> bool:
    return state.is_paused() and state.state_details.pause_key == KEY


def _resumes(state: State) -> bool:
    return state.is_running() or (state.is_scheduled() and state.name == "Resuming")


async def wait_for_change(
    flow_run: FlowRun,
    until: datetime | None,
    longest: timedelta,
    tell: Callable[[datetime], Awaitable[str]],
) -> None:
    """Return when it is time to begin the second half.

    Args:
        flow_run: This run.
        until: The time to wait for, with its zone; None: somebody resumes the run.
        longest: How long to wait for somebody to resume it.
        tell: Called with the end of the wait before it begins; returns the words for the run's
            state.

    Raises:
        Abort: The run has ended, or goes on elsewhere.
        NobodyResumed: Nobody resumed a run that waits where it is.
        Pause: The process should end; a worker starts the run again.
        RunCancelled: Somebody cancels a run that waits where it is.
    """
    now = datetime.now(UTC)
    if is_over(await _states(flow_run.id), until, now):
        return
    end = until or now + longest
    said = await tell(end)
    if flow_run.deployment_id and not flow_run.parent_task_run_id:
        await _leave(flow_run.id, until, end, said)
    else:
        await _stay(flow_run.id, until, end, said)


async def _leave(flow_run_id: UUID, until: datetime | None, end: datetime, said: str) -> None:
    state: State[None] = (
        Scheduled(scheduled_time=until, message=said)
        if until
        else Suspended(pause_expiration_time=end, pause_key=KEY, message=said)
    )
    await _enter(flow_run_id, state)
    raise Pause(state=state)


async def _stay(flow_run_id: UUID, until: datetime | None, end: datetime, said: str) -> None:
    # Without a timeout of Prefect's own, which would fail the run in other words.
    await _enter(flow_run_id, Paused(pause_key=KEY, message=said))
    while not (state := await _state(flow_run_id)).is_running():
        left = (end - datetime.now(UTC)).total_seconds()
        if state.is_cancelling():  # no worker ends this process
            raise RunCancelled("It waited for the change, and nothing was measured after it.")
        if not state.is_paused():
            raise Abort(f"the run is now {state.name}")
        if left > 0:
            await asyncio.sleep(min(left, POLL))
        elif until:
            await _resume(flow_run_id)
        else:
            raise NobodyResumed


async def _enter(flow_run_id: UUID, state: State[None]) -> None:
    async def enter() -> None:
        async with get_client() as client:
            answer = await client.set_flow_run_state(flow_run_id, state)
        # If an earlier answer was lost, the run is in this state already.
        refused = answer.status is not SetStateStatus.ACCEPT
        if refused and (await _state(flow_run_id)).message != state.message:
            raise Abort(f"Prefect does not let this run wait: {answer.details}")

    await until_taken(enter)


async def _resume(flow_run_id: UUID) -> None:
    async def resume() -> None:
        async with get_client() as client:
            await client.resume_flow_run(flow_run_id)

    await until_taken(resume)


@until_answered
async def _states(flow_run_id: UUID) -> list[State]:
    async with get_client() as client:
        return await client.read_flow_run_states(flow_run_id)


async def _state(flow_run_id: UUID) -> State:
    return max(await _states(flow_run_id), key=lambda state: state.timestamp)
