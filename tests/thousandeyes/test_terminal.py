"""A command's exit status is its own, and what it shows is what was there to show."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from thousandeyes.simulator import create_app, serve
from thousandeyes.terminal import LONGEST_SENTENCE, status_of, verbatim_console, words
from thousandeyes.text import cut

PROJECT = Path(__file__).parents[2]
SAYS = r"""
import logging, subprocess, sys
from rich.console import Console
log = logging.StreamHandler()  # holds on to the stream, as Prefect's do
seen = Console(file=sys.stderr, highlight=False)
from thousandeyes.terminal import status_of
def main():
    # The last is more than a pipe holds, in lines that nobody cuts: who reads no more has gone by
    # the end of it.
    for word in ("B\xfcro \u6771\u4eac", "\ud800", 100 * ("x" * 1_000 + "\n")):
        print(word, flush=True)
        Console(highlight=False).print(word)
        seen.print(word)
        log.emit(logging.makeLogRecord({"msg": word}))
        print(word, file=sys.stderr)
    subprocess.run("echo 1; echo 1 >&2", shell=True, check=True)
    return STATUS
sys.exit(status_of(main, unwritten=UNWRITTEN))
"""

NAMES = [
    *("3C:AB:CD:12:AB:01", "2001:db8:ab::ab:1", "Gate :key: B10:no_entry:", ":ab:", "C:\\"),
    *("a\\[b", "[red]x[/]", "[/]", "\\[bold]x\\", "[link=http://e.com]x[/link]"),
]
names = st.sampled_from(NAMES) | st.text("\\[]/:=#@ abAB_key\U0001f18e") | st.text()


@given(names)
def test_whatever_a_name_is_the_console_shows_it_as_it_is(name: str) -> None:
    console = verbatim_console()
    console.file, console.width = io.StringIO(), 2 * LONGEST_SENTENCE
    shown, table = cut(name, LONGEST_SENTENCE), Table.grid()
    table.add_row(words(name))
    table.add_row(shown)
    console.print(table)
    console.print(Text.assemble(("Failed.", "bold red"), " ", words(name), "!"), soft_wrap=True)
    console.print(f"{shown}!", soft_wrap=True)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines == [shown, shown, f"Failed. {shown}!", f"{shown}!"]


def ended(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of bash's, `$python` in it, in which all of a pipeline must end well."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=PROJECT,
        env=os.environ | {"python": sys.executable} | environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )


def says(status: int, unwritten: int | None = None) -> str:
    return SAYS.replace("UNWRITTEN", str(unwritten)).replace("STATUS", str(status))


# 130 is what neither Python gives by itself for output that it can't write, nor a broken pipe.
@pytest.mark.parametrize(
    "streams",
    [
        "",
        "> /dev/full",
        "2> /dev/full",
        "> /dev/full 2>&1",
        "| true",
        "| head -1",
        "2> >(true)",
        "2>&1 | head -1",
        "3>&1 1>&2 2>&3 | true",
        ">&-",
        "2>&-",
        "<&- >&- 2>&-",
    ],
)
def test_the_status_is_the_commands_wherever_its_output_goes(streams: str) -> None:
    done = ended(f'"$python" -c "$says" {streams}', says=says(130))
    assert done.returncode == 130, done.stderr


def test_a_command_that_does_more_than_print_succeeds_though_it_could_not_print() -> None:
    done = ended('"$python" -c "$says" > /dev/full 2>&1', says=says(0))
    assert done.returncode == 0, done.stderr


def test_ctrl_c_ends_a_command_with_its_own_status_and_no_traceback() -> None:
    main = "lambda: signal.raise_signal(signal.SIGINT)"
    code = f"import signal, thousandeyes.terminal as t; raise SystemExit(t.status_of({main}))"
    done = ended('"$python" -c "$code"', code=code)
    assert (done.returncode, done.stderr) == (130, "")


@contextmanager
def standard_streams(stdout: TextIO, errors: Path) -> Iterator[None]:
    """Let a command in this process write there, and read nothing."""
    with (
        errors.open("w") as stderr,
        Path(os.devnull).open() as stdin,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("sys.stdin", stdin)
        patch.setattr("sys.stdout", stdout)
        patch.setattr("sys.stderr", stderr)
        yield


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("buffering", [-1, 0], ids=["buffered", "unbuffered"])
def test_what_a_console_can_not_write_is_written_with_replacement(
    tmp_path: Path, encoding: str, buffering: int
) -> None:
    console = tmp_path / "console"
    with (
        console.open("wb", buffering) as raw,
        io.TextIOWrapper(raw, encoding, write_through=not buffering) as stdout,
        standard_streams(stdout, tmp_path / "errors"),
    ):
        assert status_of(lambda: print("B\u00fcro \ud800 \u6771!") or 0) == 0  # noqa: T201
        shown = console.read_bytes().decode(encoding)
    assert shown == "Büro ? 東!\n".encode(encoding, "replace").decode(encoding)


@pytest.mark.parametrize("buffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_the_encoding_of_the_c_locale_costs_no_status(buffered: str) -> None:
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = ended('"$python" -c "$says"', says=says(0), PYTHONUNBUFFERED=buffered, **locale)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("B?ro ??\n")


@pytest.mark.parametrize(
    ("streams", "status"),
    [("> /dev/full", 4), ("| head -1", 0), (">&-", 0), ("2> /dev/full", 0), ("", 0)],
)
def test_a_command_that_only_prints_says_when_it_could_not(streams: str, status: int) -> None:
    done = ended(f'"$python" -c "$says" {streams}', says=says(0, unwritten=4))
    assert done.returncode == status
    sentence = "error: the output could not be written in full: No space left on device\n"
    assert done.stderr.endswith(sentence) is (status == 4)


def test_a_command_that_failed_anyway_keeps_its_status() -> None:
    assert ended('"$python" -c "$says" > /dev/full', says=says(1, unwritten=4)).returncode == 1


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    app = create_app(token="tkn", tests=40)
    with serve(app) as server:
        yield {"TE_TOKEN": "tkn", "TE_BASE_URL": server.url, "PREFECT_API_URL": ""}


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("thousandeyes tests > /dev/full", 1),
        ("thousandeyes tests --ids > /dev/full", 1),
        ("thousandeyes tests | head -1", 0),
        ("thousandeyes tests --ids | head -1", 0),
        ("thousandeyes tests --ids >&-", 0),
        ("thousandeyes tests --aid 999 2> /dev/full", 1),
        ("thousandeyes --help | true", 0),
        ("flows.rerun - <&- 2>&-", 2),
        ("deployments.bootstrap 2> /dev/full", 1),
        ("deployments.serve --help >&-", 0),
        ("thousandeyes.simulator --port x 2> /dev/full", 2),
        ("thousandeyes.simulator --scenario /nowhere 2> /dev/full", 2),
        ("thousandeyes.simulator --help | true", 0),
    ],
)
def test_every_command_has_this_way_out(
    environment: dict[str, str], command: str, status: int
) -> None:
    done = ended(f'"$python" -m {command}', **environment)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
