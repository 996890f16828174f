"""How a flow run ends: always reported, and with a sentence of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial, wraps
from typing import Any, Final, ParamSpec, cast

import anyio
from prefect import Flow
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import Abort, PrefectSignal
from prefect.states import Cancelled, Completed, Failed

from flows.runs.cut_short import CANCELLED, in_a_sentence, why_cut_short
from flows.runs.ownership import SUSPENDED, OwnRun, RunCancelled
from flows.runs.termination import ended_by_sigterm
from tasks.deployment import deployment_slug
from tasks.loading import without_known_tokens
from tasks.markdown import plain
from tasks.publication import RERUNS, Place, publish, write_markdown
from tasks.report import RunReport
from tasks.server_calls import NoAccess
from thousandeyes.errors import ThousandEyesError
from thousandeyes.record import Record

P = ParamSpec("P")
Work = Coroutine[Any, Any, list[Record]]

_WORDS: Final = {CANCELLED: "Cancelled", SUSPENDED: "Suspended"}
_LONGEST_WORD: Final = 10.0  # seconds that the summary may take when somebody ends the run


class RunFailed(Exception):
    """A run failed; raised in the flow that called it.

    The message is the run's sentence; `outcomes` holds one record per test.
    """

    def __init__(self, message: str, outcomes: Sequence[Record] = ()) -> None:
        super().__init__(message)
        self.outcomes = list(outcomes)


def telling_mistakes(flow: Flow[P, Work]) -> Flow[P, Work]:
    """Let a flow that can't do what it is asked end with the reason as its state's sentence.

    If raised, the reason would be in the log below a traceback, as if the flow had a fault. The
    caller of the flow gets it raised all the same.

    Args:
        flow: The flow, changed in place: with a function around it Prefect would take this module's
            version.
    """
    work = flow.fn

    @wraps(work)
    async def call(*args: P.args, **kwargs: P.kwargs) -> list[Record]:
        try:
            return await work(*args, **kwargs)
        except RunCancelled as error:
            return cast("list[Record]", Cancelled(message=in_a_sentence(error)))
        except ThousandEyesError as error:
            if (told := without_known_tokens(str(error))) != str(error):
                error.args = (told,)  # Prefect logs what is raised
            if _to_be_raised():
                raise
            return cast("list[Record]", Failed(message=in_a_sentence(error), data=error))

    flow.fn = call
    return flow


@asynccontextmanager
async def reporting_mistakes(summary: str) -> AsyncIterator[None]:
    """Report why this block ends early in place of the run's report, and raise it.

    So nobody finds an older run's report there, and the attempt is known to have ended by itself
    rather than to have died with calls under way. A run that Prefect takes from this process has
    not ended.

    Args:
        summary: What the key of the run's summary begins with; the deployment's slug follows.
    """
    try:
        with ended_by_sigterm():
            yield
    except PrefectSignal:
        raise
    except BaseException as error:
        if FlowRunContext.get():  # else a flow's function is called by itself
            why = why_cut_short(error)
            cancelled = why == CANCELLED or isinstance(error, RunCancelled)
            word = "Cancelled" if cancelled else "Failed"
            ended, reason = (f"{word}.", "") if why == CANCELLED else (f"{word}:", why)
            # Also while it is being cancelled; but that never waits for an unreachable server.
            seconds = None if isinstance(error, Exception) else _LONGEST_WORD
            with anyio.move_on_after(seconds, shield=True):
                text, key = f"**{ended}** {plain(reason)}", summary + await deployment_slug()
                await write_markdown("the summary", key, text.strip() + "\n", f"{ended} {reason}")
        raise


async def _nothing() -> None: ...


async def to_its_end(
    work: Awaitable[None],
    *,
    own_run: OwnRun,
    cut_short: Callable[[str], None],
    report: Callable[[], RunReport],
    failure: type[RunFailed],
    close: Callable[[], Awaitable[None]] = _nothing,
    place: Place = RERUNS,
) -> list[Record]:
    """Do a run's work, and report it however it ends, unless the process is killed.

    If judging an ended run again is cut short, that run's report stays as it was.

    Args:
        work: All that the run does.
        own_run: If another process has taken the run over, that one reports it.
        cut_short: Called with why the work was cut short, if it was.
        report: Returns how the run ended.
        failure: What is raised in the caller of the flow if the run did not pass.
        close: Called after the report is published.
        place: Where the report goes.

    Returns:
        What the flow should return: its state then holds the report's sentence, and the caller of
        the flow gets the records, or the failure is raised there.

    Raises:
        RunFailed: The run did not pass, and Prefect has to see it.
        Abort: The run was suspended, or another process has taken it over: Prefect's engine leaves
            its state as it is.
        BaseException: Whatever cut the work short, after the report.
    """
    try:
        with ended_by_sigterm():
            await work
        await own_run.confirm_or_abort()
        why = CANCELLED if own_run.cancelled else SUSPENDED if own_run.suspended else ""
        word = _WORDS.get(why)
        ended = await _publish(report(), close, place, word, own_run, cut_short=bool(why))
    except BaseException as error:
        if not await _is_lost(own_run):
            why = CANCELLED if own_run.cancelled else why_cut_short(error)
            cut_short(why)
            with suppress(Abort):  # if it was lost only now
                await _publish(report(), close, place, _WORDS.get(why), own_run, cut_short=True)
        if own_run.lost and isinstance(error, Exception):  # which would be the run's final state
            raise Abort(str(error)) from error
        raise
    with suppress(NoAccess):  # then Prefect's engine can't set the state either
        await own_run.confirm_or_abort()  # the report may have waited for the server for long
    if own_run.cancelled:
        # Prefect accepts no other ending of a run that somebody cancels.
        return cast("list[Record]", Cancelled(message=ended.message))
    if why == SUSPENDED:  # it stays so until somebody resumes it
        raise Abort("Suspended: what is left is sent when the run is resumed")
    return as_state(ended, failure)


def as_state(report: RunReport, failure: type[RunFailed]) -> list[Record]:
    """Return what a flow returns, so that its state says in a sentence how it ended.

    Raises:
        RunFailed: The run did not pass, and Prefect has to see it.
    """
    records = list(report.records)
    failed = None if report.passed else failure(report.message, records)
    if _to_be_raised():
        if failed:
            raise failed
        return records
    # The caller gets what the state holds, returned or raised.
    state: State[Any] = (
        Failed(message=report.message, data=failed)
        if failed
        else Completed(message=report.message, data=records)
    )
    return cast("list[Record]", state)


async def _publish(
    report: RunReport,
    close: Callable[[], Awaitable[None]],
    place: Place,
    word: str | None,
    own_run: OwnRun,
    *,
    cut_short: bool,
) -> RunReport:
    # If this run is cancelled or cut short, the run that ended before was not.
    own = place.ended_run is None
    if word and own:
        report = replace(report, word=word)
    with anyio.CancelScope(shield=True):  # also while it is being cancelled
        try:
            if own or not cut_short:
                deployment = place.deployment or await deployment_slug()
                await publish(report, deployment, place, partial(_confirm, own_run))
        finally:
            await close()
    return report


async def _confirm(own_run: OwnRun) -> None:
    if await _is_lost(own_run):
        raise Abort("Prefect presumed this process dead; the run may continue elsewhere")


async def _is_lost(own_run: OwnRun) -> bool:
    """Return whether another process continued the run: its report would be overwritten."""
    with anyio.CancelScope(shield=True), suppress(Exception):  # the error that ended it counts
        await own_run.confirm(trusted=0)
    return own_run.lost


def _to_be_raised() -> bool:
    """Tell whether the flow has to raise what it ends with.

    It has to if it was given retries: Prefect 3.8.8 runs it again in this process only after a
    raised error, and raises that error at the end even if a later attempt returned a state. So our
    flows don't take PREFECT_FLOWS_DEFAULT_RETRIES. Outside a run there is no state to return.
    """
    context = FlowRunContext.get()
    return context is None or bool(context.flow and context.flow.retries)
