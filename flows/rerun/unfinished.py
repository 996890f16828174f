"""What to say of a run that was started elsewhere and did not finish, and what to do about it."""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect.client.schemas.objects import FlowRun

from thousandeyes.record import Record
from thousandeyes.text import counted, isolated, listed


class RerunUnfinished(Exception):
    """A run did not finish: not started, crashed, cancelled, or not over in time.

    The message says which, and what to do. `flow_run` is the run as it was seen last, if there
    is one; `outcomes` holds what it had recorded until then, one record per test.
    """

    def __init__(
        self, message: str, flow_run: FlowRun | None = None, outcomes: Sequence[Record] = ()
    ) -> None:
        super().__init__(message)
        self.flow_run = flow_run
        self.outcomes = list(outcomes)


def started_with_other(asked: Mapping[str, Any], flow_run: FlowRun) -> str | None:
    """Return why an idempotency key found no run of what is asked for, and what to do. Pure.

    Args:
        asked: The parameters given now. In which order they name tests and groups doesn't matter.
        flow_run: The run that the key found. It has those of its deployment, too.

    Returns:
        None if the run was started with these parameters.
    """
    begun = flow_run.parameters
    other = [name for name in asked if _in_any_order(asked[name]) != _in_any_order(begun.get(name))]
    if not other:
        return None
    return (
        f"This idempotency_key has started a run with other {listed(other)} before: "
        f"{isolated(repr(flow_run.name))} ({flow_run.id}). Give another key to start a run of "
        "these, or the same parameters as then to continue that one. Nothing was sent."
    )


def _in_any_order(value: object) -> object:
    return sorted(map(str, value)) if isinstance(value, list) else value


def why_unfinished(flow_run: FlowRun, timeout: float | None, recorded: int | None) -> str:
    """Return what became of it, what to do, and how much it has recorded. Pure.

    Args:
        flow_run: The run as it was seen last.
        timeout: How many seconds it was waited for.
        recorded: How many outcomes it has recorded; None if that is not known.
    """
    state = flow_run.state
    run = f"The run {isolated(repr(flow_run.name))} ({flow_run.id})"
    if state and state.is_crashed():
        what = (
            f"crashed: {state.message or 'no reason is known'}. Retry it in Prefect: it "
            "continues where it left off"
        )
    elif state and state.is_cancelled():
        what = (
            f"was cancelled: {state.message or 'no reason is given'}. Retry it in Prefect, if that "
            "was a mistake: it continues where it left off"
        )
    elif state and state.is_final():
        what = f"is over: {(state.message or state.name or '').rstrip('.')}"
    elif state and (state.is_running() or state.is_cancelling()):
        what = f"is still going after {timeout:g} s: wait longer, or cancel it in Prefect"
    else:
        what = (
            f"has not begun after {timeout:g} s: is a worker running that serves its pool? It will "
            "still start once one is, unless you cancel it"
        )
    if recorded is None:
        return f"{run} {what}. The Prefect server is unreachable: its outcomes can't be read now."
    return f"{run} {what}. It has recorded {counted(recorded, 'outcome')} so far."
