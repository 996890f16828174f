"""The command line of the flow: arguments in, a table of outcomes and an exit status out."""

import asyncio
import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import TextIO

from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from flows.rerun.arguments import parameters
from flows.rerun.flow import RerunFailed, rerun_endpoint_tests
from flows.rerun.parameters import Parameters
from tasks.server import ServerNotStarted, start_temporary_server
from tasks.summary import counts, failures_first
from thousandeyes.errors import InvalidTestIds, SettingsError
from thousandeyes.outcomes import GOOD, OPEN, Ending, Outcome
from thousandeyes.proxies import prepare
from thousandeyes.record import Record
from thousandeyes.terminal import LONGEST_SENTENCE, words
from thousandeyes.text import cut

LARGEST_TABLE = 200
"""Rows on the terminal; what needs a look comes first."""
_LONGEST_NAME = 20


class ExitStatus(IntEnum):
    """What the process tells its caller."""

    PASSED = 0
    FAILED = 1
    NOT_STARTED = 2
    BROKEN = 3
    INTERRUPTED = 130
    TERMINATED = 143


def main(arguments: Sequence[str] | None = None, stdin: TextIO | None = None) -> ExitStatus:
    """Run the flow as the arguments say, print its outcomes, return the exit status."""
    try:
        asked = parameters(arguments, stdin or sys.stdin)
        prepare(os.environ)
        return _run(asked)
    except (InvalidTestIds, SettingsError) as error:
        return _error(str(error), ExitStatus.NOT_STARTED)
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except TerminationSignal:
        return ExitStatus.TERMINATED
    except ServerNotStarted as error:
        return _error(str(error), ExitStatus.BROKEN)
    except Exception as error:  # noqa: BLE001 - Prefect has logged it
        return _error(f"the run broke: {type(error).__name__}: {error}", ExitStatus.BROKEN)


async def _executed(asked: Parameters) -> State[list[Record]]:
    return await rerun_endpoint_tests(**dict(asked), return_state=True)


def _run(asked: Parameters) -> ExitStatus:
    console = Console()
    start_temporary_server(_say)
    try:
        state = asyncio.run(_executed(asked))
        outcomes = state.result()
    except RerunFailed as failed:
        show(failed.outcomes, console)
        console.print(f"[bold red]Failed.[/] {words(str(failed))}", soft_wrap=True)
        return ExitStatus.FAILED
    show(outcomes, console)
    console.print(f"[bold green]Passed.[/] {words(state.message or '')}", soft_wrap=True)
    return ExitStatus.PASSED


def show(outcomes: Sequence[Record], console: Console) -> None:
    """Print the outcomes as a table, what needs a look first."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("outcome", no_wrap=True)
    table.add_column("test", no_wrap=True, overflow="fold")
    table.add_column("name", no_wrap=True, max_width=_LONGEST_NAME)
    table.add_column("detail", overflow="fold")
    ordered = failures_first(outcomes)
    for record in ordered[:LARGEST_TABLE]:
        table.add_row(
            f"[{_colour(record.ending)}]{record.ending}[/]",
            words(record.test_id),
            words(record.test_name),
            words(_detail(record)),
        )
    console.print(table)
    if rest := ordered[LARGEST_TABLE:]:
        console.print(f"and {len(rest)} more: {counts(rest)}. Prefect's artifacts tell each.\n")


def _colour(ending: Ending) -> str:
    if ending in GOOD:
        return "dim" if ending is Outcome.SKIPPED else "green"
    return "yellow" if ending in OPEN else "red"


def _detail(record: Record) -> str:
    notes = []
    if record.attempts > 1:
        notes.append(f"{record.attempts} attempts")
    if record.maybe_duplicate:
        notes.append("may have run twice")
    if record.quota_wait_seconds >= 1:
        notes.append(f"waited {record.quota_wait_seconds:.0f} s for quota")
    detail = "" if record.ending is Outcome.ACCEPTED else record.why
    return f"{detail} ({', '.join(notes)})".strip() if notes else detail


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201


def _error(message: str, status: ExitStatus) -> ExitStatus:
    print(f"error: {cut(message, LONGEST_SENTENCE)}", file=sys.stderr)  # noqa: T201
    return status
