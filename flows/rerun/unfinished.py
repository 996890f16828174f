"""What to say of a run that was started elsewhere and did not finish, and what to do about it."""

from prefect.client.schemas.objects import FlowRun

from thousandeyes.text import counted, isolated


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
