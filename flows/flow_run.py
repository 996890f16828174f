"""How a flow run ends: reported in every case, and with a sentence of its own."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext, get_run_context
from prefect.states import Completed, Failed

from flows.ownership import OwnRun
from tasks.summary import RunReport
from thousandeyes.errors import ThousandEyesError
from thousandeyes.rerun import Rerun


class Cuttable(Protocol):
    """What has to know when the run ends before its time."""

    def cut_short(self, error: BaseException) -> None:
        """Note that the run ends here, and why."""


async def to_its_end(
    work: Awaitable[None],
    run: Cuttable,
    own_run: OwnRun,
    conclude: Callable[[], Awaitable[RunReport]],
) -> RunReport:
    """Do a run's work, and report it in every ending in which the process is told.

    Args:
        work: All that is sent.
        run: Is told when the work was cut short.
        own_run: A run that is another process's by now is that one's to report.
        conclude: Judges the run and publishes its report.

    Raises:
        BaseException: Whatever cut the work short, after the report.
    """
    try:
        await work
        await own_run.confirm_or_abort()
        return await conclude()
    except BaseException as error:
        if not own_run.lost:
            run.cut_short(error)
            await conclude()
        raise


def ended(records: list[Rerun], sentence: str, failure: Exception | None) -> list[Rerun]:
    """Return what a flow returns, so that its state says in a sentence how it ended.

    The caller of the flow gets the records, or is raised the failure.

    Raises:
        Exception: The failure, where Prefect has to see it.
    """
    if _prefect_retries():
        if failure:
            raise failure
        return records
    # The caller gets, or is raised, what the state holds.
    state: State[Any] = (
        Failed(message=sentence, data=failure)
        if failure
        else Completed(message=sentence, data=records)
    )
    return cast("list[Rerun]", state)


def _prefect_retries() -> bool:
    """Tell whether this flow was given retries, so that Prefect may run it again in this process.

    Prefect 3.8.8 does so after a raised error alone, and raises that error at the end in spite of
    a state that a later attempt returned. A state's own words are for runs without retries.
    """
    context = get_run_context()
    return isinstance(context, FlowRunContext) and bool(context.flow and context.flow.retries)


def why_cut_short(error: BaseException) -> str:
    """Return the words for what ended a run before its time."""
    if isinstance(error, ThousandEyesError):
        return str(error)
    if isinstance(error, Exception):
        return f"unexpected {type(error).__name__}, see the log"
    return "cancelled"
