"""The command line of the flow: arguments in, outcomes for people and programs, a status out."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum
from functools import partial
from types import FrameType
from typing import NamedTuple, NoReturn, TextIO

from prefect.exceptions import TerminationSignal
from prefect.settings import get_current_settings
from prefect.utilities.urls import url_for
from rich.text import Text

from flows.rerun.account import Account
from flows.rerun.arguments import read_arguments
from flows.rerun.flow import RerunFailed, rerun_endpoint_tests
from flows.rerun.given import Given, parameters
from flows.rerun.interruption import Abandoned, run_until_interrupted
from flows.rerun.judge_again import judge_run_again
from flows.rerun.looking_on import live_line, looked_on
from flows.rerun.options import RerunOptions
from flows.rerun.outcome_table import show
from flows.rerun.output_files import OutputError, OutputFiles
from flows.rerun.parameters import Parameters
from flows.rerun.watched import Watched, watching
from tasks.server import ServerNotStarted, start_temporary_server
from tasks.unreachable import why_unreachable
from thousandeyes.clock import elapsed
from thousandeyes.errors import CallFailed, InvalidTestIds, SettingsError
from thousandeyes.live_line import LiveLine
from thousandeyes.proxies import prepare
from thousandeyes.record import Record
from thousandeyes.terminal import LONGEST_SENTENCE, hangup, verbatim_console, words
from thousandeyes.text import cut, not_isolated, without_userinfo


class ExitStatus(IntEnum):
    """What the process reports to its caller."""

    PASSED = 0
    FAILED = 1
    NOT_STARTED = 2
    BROKEN = 3
    INTERRUPTED = 128 + signal.SIGINT
    TERMINATED = 128 + signal.SIGTERM


class _End(NamedTuple):
    """How it ended; `asked` is None if the arguments are wrong.

    `at_once` says that something is still under way that nobody waits for.
    """

    status: ExitStatus
    sentence: str
    word: str
    asked: Parameters | None = None
    at_once: bool = False


def main(arguments: Sequence[str] | None = None, stdin: TextIO | None = None) -> ExitStatus:
    """Run the flow as the arguments say, show its outcomes, return the exit status."""
    began = elapsed()
    try:
        given, stdin = read_arguments(arguments), stdin or sys.stdin
        opened = OutputFiles.opened(given.json_file, given.junit_file, given.inputs(stdin))
        with opened as files, watching() as seen:
            end = _to_its_end(given, stdin, seen)
            try:
                files.write(_account(end, seen, elapsed() - began))
            except OutputError as error:
                return _error(str(error), end.status or ExitStatus.BROKEN)
    except (SettingsError, OutputError) as error:
        return _error(str(error), ExitStatus.NOT_STARTED)
    if end.at_once:
        _leave(end.status)
    return end.status


def _to_its_end(given: Given, stdin: TextIO, seen: Watched) -> _End:
    """Run the flow and show how it ended, however it did."""
    asked = None
    try:
        with _ended_by_signals():
            asked = None if given.judge_again else parameters(given, stdin)
            prepare(os.environ, get_current_settings().api.url)
            end = _run(asked, given, seen)
            return end._replace(asked=asked or seen.asked)
    except (InvalidTestIds, SettingsError) as error:
        end = _end(ExitStatus.NOT_STARTED, str(error))
    except CallFailed as error:  # a dry run's
        end = _end(ExitStatus.BROKEN, str(error))
    except KeyboardInterrupt:
        end = _stopped(ExitStatus.INTERRUPTED, asked, given, seen)
    except Abandoned as error:
        status = ExitStatus(128 + error.by)
        end = _end(status, _said(seen, f"{status.name.lower()} twice"))._replace(at_once=True)
        _tell_unrecorded(seen)
    except TerminationSignal:
        end = _stopped(ExitStatus.TERMINATED, asked, given, seen)
    except ServerNotStarted as error:
        end = _end(ExitStatus.BROKEN, str(error))
    except Exception as error:  # noqa: BLE001 - Prefect has logged it
        what = why_unreachable(error) or f"the run broke: {type(error).__name__}: {error}"
        end = _end(ExitStatus.BROKEN, without_userinfo(what))
    if end.status in (ExitStatus.NOT_STARTED, ExitStatus.BROKEN):
        _error(end.sentence, end.status)
    return end._replace(asked=asked or seen.asked)


def _run(asked: Parameters | None, given: Given, seen: Watched) -> _End:
    start_temporary_server(_say)
    line = live_line(given.log)
    if asked:
        made = rerun_endpoint_tests(**dict(asked), return_state=True)
    else:
        made = judge_run_again(str(given.judge_again), return_state=True)
    looking = looked_on(made, seen, line, given.log)
    try:
        state = run_until_interrupted(looking, seen, partial(_tell_wait, line))
        if state.is_cancelled():
            outcomes = list(seen.records)
            end = _End(ExitStatus.BROKEN, state.message or "cancelled in Prefect", "cancelled")
        else:
            outcomes = state.result()
            end = _end(ExitStatus.PASSED, state.message or "")
    except RerunFailed as failed:
        outcomes = failed.outcomes
        end = _end(ExitStatus.FAILED, str(failed))
    _tell(end, outcomes, seen, every=_every(asked, given))
    return end


def _stopped(status: ExitStatus, asked: Parameters | None, given: Given, seen: Watched) -> _End:
    """Show how far a run came that a signal ended, if it had begun."""
    end = _end(status, _said(seen, status.name.lower()))
    if seen.report:
        _tell(end, seen.records, seen, every=_every(asked, given))
    return end


def _said(seen: Watched, otherwise: str) -> str:
    return seen.report.sentence if seen.report else otherwise


def _every(asked: Parameters | None, given: Given) -> bool:
    if given.every is not None:
        return given.every
    # What would run is all that a dry run is for.
    return bool(asked and asked.options.dry_run) or not sys.stdout.isatty()


def _tell(end: _End, outcomes: Sequence[Record], seen: Watched, *, every: bool) -> None:
    console = verbatim_console()
    show(outcomes, console, every=every)
    colour = "green" if end.word == "passed" else "red"
    said = words(end.sentence)
    if not (seen.report and seen.report.word == ""):
        said = Text.assemble((f"{end.word.capitalize()}.", f"bold {colour}"), " ", said)
    console.print(said, soft_wrap=True)
    if url := _url(seen):
        console.print(Text.assemble("Run: ", words(url)), soft_wrap=True)


def _tell_wait(line: LiveLine | None, by: signal.Signals) -> None:
    if line:
        line.clear()
    again = "Ctrl-C" if by == signal.SIGINT else by.name
    _say(
        f"{ExitStatus(128 + by).name.capitalize()}: nothing more is sent; waiting for Prefect to "
        f"record what was. {again} again stops at once, unrecorded."
    )


def _tell_unrecorded(seen: Watched) -> None:
    """Show what only the person who interrupted can still note."""
    if unrecorded := seen.unrecorded():
        _say(f"Sent, but not confirmed as recorded in Prefect ({len(unrecorded)}):")
        show(unrecorded, verbatim_console(stderr=True))
    else:
        _say("Everything that was sent is recorded in Prefect; the run's report is not.")


def _leave(status: ExitStatus) -> NoReturn:
    """End without waiting for threads or for what libraries do when a process ends."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


def _account(end: _End, seen: Watched, seconds: float) -> Account:
    options = end.asked.options if end.asked else RerunOptions()
    report = seen.report
    return Account(
        end.word,
        int(end.status),
        not_isolated(end.sentence),
        datetime.now(UTC),
        seconds,
        records=seen.records,
        fail_on=options.fail_on,
        dry_run=options.dry_run,
        flow_run=seen.flow_run,
        url=_url(seen),
        in_common=report.in_common if report else "",
    )


def _url(seen: Watched) -> str | None:
    """Return the run's page in Prefect's UI; that of a temporary server is gone with it."""
    if not seen.flow_run or not get_current_settings().api.url:
        return None
    return url_for("flow-run", obj_id=seen.flow_run.id)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as they end a run, also before it and after it."""

    def end(number: int, _: FrameType | None) -> None:
        raise TerminationSignal(number)

    before = signal.signal(signal.SIGTERM, end)
    hangs_up = hangup()
    if hangs_up:  # the terminal is gone: whoever handles SIGTERM by then ends the run
        signal.signal(hangs_up, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if hangs_up:
            signal.signal(hangs_up, signal.SIG_DFL)


def _end(status: ExitStatus, sentence: str) -> _End:
    return _End(status, sentence, status.name.lower())


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201


def _error(message: str, status: ExitStatus) -> ExitStatus:
    _say(f"error: {cut(message, LONGEST_SENTENCE)}")
    return status
