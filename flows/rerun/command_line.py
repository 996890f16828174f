"""The command line of the flow: arguments in, a table of outcomes and an exit status out."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TextIO

from prefect.exceptions import TerminationSignal
from prefect.settings import get_current_settings
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.rerun.flow import rerun_endpoint_tests
from flows.rerun.options import RerunOptions
from flows.rerun.selection import select
from flows.rerun.verdict import RerunFailed, judge
from tasks.summary import counts, failures_first
from thousandeyes.errors import InvalidTestIds, Outcome, SettingsError
from thousandeyes.rerun import Delivery, Ending, Rerun, listed
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.thresholds import Thresholds
from thousandeyes.verdict import VerdictName

LARGEST_TABLE = 200
"""Rows on the terminal; what needs a look comes first."""
_LONGEST_NAME = 20
_NAMES = f" Names: {', '.join(Thresholds.model_fields)}."

_COLOURS: dict[Ending, str] = {
    Outcome.ACCEPTED: "green",
    VerdictName.PASSED: "green",
    Outcome.SKIPPED: "dim",
    Outcome.NOT_ATTEMPTED: "yellow",
    VerdictName.NO_DATA: "yellow",
    VerdictName.TIMED_OUT: "yellow",
}


class ExitStatus(IntEnum):
    """What the process tells its caller."""

    PASSED = 0
    FAILED = 1
    NOT_STARTED = 2
    BROKEN = 3
    INTERRUPTED = 130
    TERMINATED = 143


def parser() -> argparse.ArgumentParser:
    """Return the parser; its help is the command's documentation."""
    options = RerunOptions.model_fields
    parser = argparse.ArgumentParser(
        prog="python -m flows.rerun",
        description="Run ThousandEyes endpoint instant tests again and show what became of each.",
        epilog=(
            "settings: TE_TOKEN, and as needed TE_AID, TE_BASE_URL and others, from the "
            "environment or .env. exit status: 0 the run passed; 1 it ran and failed by --fail-on; "
            "2 wrong arguments or settings, nothing was sent; 3 it broke, see the log; 130 "
            "interrupted; 143 terminated."
        ),
    )
    parser.add_argument(
        "test_ids", nargs="*", metavar="ID", help="test IDs; - reads them from standard input"
    )
    parser.add_argument(
        "--group",
        action="append",
        default=[],
        dest="groups",
        metavar="NAME",
        help="an Endpoint Test Group block on the Prefect server; may be given several times",
    )
    parser.add_argument(
        "--credentials",
        metavar="NAME",
        help="a ThousandEyes Credentials block, instead of the groups' or the environment's",
    )
    for name, how in _OPTIONS.items():
        description = f"{options[name].description}{_NAMES if name == 'thresholds' else ''}"
        parser.add_argument(_flag(name), default=argparse.SUPPRESS, help=description, **how)
    return parser


def _words(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _values(text: str) -> dict[str, str]:
    pairs = (word.partition("=") for word in _words(text))
    return {name.strip(): value.strip() for name, _, value in pairs}


# How each of the flow's options is told; its words are the model's.
_OPTIONS: dict[str, dict[str, Any]] = {
    "delivery": {"choices": [str(choice) for choice in Delivery]},
    "fail_on": {"type": _words, "metavar": "ENDING,…"},
    "max_in_flight": {"metavar": "N"},
    "deadline_minutes": {"metavar": "M"},
    "wait_for_results": {"action": argparse.BooleanOptionalAction},
    "results_deadline_minutes": {"metavar": "M"},
    "expected_agents": {"metavar": "N"},
    "thresholds": {"type": _values, "metavar": "NAME=VALUE,…"},
    "link_to_app": {"action": argparse.BooleanOptionalAction},
}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def main(arguments: Sequence[str] | None = None, stdin: TextIO = sys.stdin) -> ExitStatus:
    """Run the flow as the arguments say, print its outcomes, return the exit status."""
    given = vars(parser().parse_args(arguments))
    try:
        return _run(_checked(given, stdin))
    except (InvalidTestIds, SettingsError) as error:
        return _error(str(error), ExitStatus.NOT_STARTED)
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except TerminationSignal:
        return ExitStatus.TERMINATED
    except Exception as error:  # noqa: BLE001 - Prefect has logged it
        return _error(f"the run broke: {type(error).__name__}: {error}", ExitStatus.BROKEN)


@dataclass(frozen=True)
class _Parameters:
    """The flow's parameters, by its own names."""

    test_ids: list[str]
    groups: list[str]
    credentials: str | None
    options: RerunOptions


def _checked(given: dict[str, Any], stdin: TextIO) -> _Parameters:
    """Return the flow's parameters, so that Prefect is asked only if they can be right."""
    groups, credentials = listed(given.pop("groups")), given.pop("credentials")
    try:
        test_ids = _with_stdin(given.pop("test_ids"), stdin)
        options = RerunOptions.model_validate(given)
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(problem) for problem in error.errors())) from None
    except UnicodeDecodeError:
        raise InvalidTestIds("standard input is not text in UTF-8. Nothing was sent.") from None
    if test_ids or not groups:
        test_ids = select(test_ids, {}, credentials).test_ids
    if not (groups or credentials):
        ThousandEyesSettings()
    parameters = _Parameters(test_ids, groups, credentials, options)
    _check_size(parameters)
    return parameters


def _run(parameters: _Parameters) -> ExitStatus:
    console = Console()
    try:
        outcomes = asyncio.run(rerun_endpoint_tests(**vars(parameters)))
    except RerunFailed as failed:
        show(failed.outcomes, console)
        console.print(f"[bold red]Failed.[/] {escape(str(failed))}", soft_wrap=True)
        return ExitStatus.FAILED
    show(outcomes, console)
    sentence = judge(outcomes, parameters.options.fail_on)[1]
    console.print(f"[bold green]Passed.[/] {escape(sentence)}", soft_wrap=True)
    return ExitStatus.PASSED


def show(outcomes: Sequence[Rerun], console: Console) -> None:
    """Print the outcomes as a table, what needs a look first."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("outcome", no_wrap=True)
    table.add_column("test", no_wrap=True, overflow="fold")
    table.add_column("name", no_wrap=True, max_width=_LONGEST_NAME)
    table.add_column("detail", overflow="fold")
    ordered = failures_first(outcomes)
    for record in ordered[:LARGEST_TABLE]:
        table.add_row(
            f"[{_COLOURS.get(record.ending, 'red')}]{record.ending}[/]",
            record.test_id,
            escape(record.test_name),
            escape(_detail(record)),
        )
    console.print(table)
    if rest := ordered[LARGEST_TABLE:]:
        console.print(f"and {len(rest)} more: {counts(rest)}. Prefect's artifacts tell each.\n")


def _detail(record: Rerun) -> str:
    notes = []
    if record.attempts > 1:
        notes.append(f"{record.attempts} attempts")
    if record.maybe_duplicate:
        notes.append("may have run twice")
    if record.quota_wait_seconds >= 1:
        notes.append(f"waited {record.quota_wait_seconds:.0f} s for quota")
    detail = "" if record.ending is Outcome.ACCEPTED else record.why
    return f"{detail} ({', '.join(notes)})".strip() if notes else detail


def _with_stdin(arguments: Sequence[str], stdin: TextIO) -> list[str]:
    return listed(stdin.read() if argument == "-" else argument for argument in arguments)


def _check_size(parameters: _Parameters) -> None:
    limit = get_current_settings().server.api.max_parameter_size
    count = len(parameters.test_ids)
    values = vars(parameters) | {"options": parameters.options.model_dump(mode="json")}
    size = len(json.dumps(values, separators=(",", ":")).encode())
    if size > limit > 0:
        raise InvalidTestIds(
            f"{count:,} test IDs are {size:,} bytes, and Prefect takes {limit:,} bytes of "
            "parameters a run. Split the list into several runs, or raise "
            "PREFECT_SERVER_API_MAX_PARAMETER_SIZE here and on the server. Nothing was sent."
        )


def _explain(problem: ErrorDetails) -> str:
    option, *within = map(str, problem["loc"])
    name = f" {within[0]}" if option == "thresholds" and within else ""
    return f"{_flag(option)}{name}: {problem['msg']}"


def _error(message: str, status: ExitStatus) -> ExitStatus:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201
    return status
