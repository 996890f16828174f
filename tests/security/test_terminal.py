"""What the API says moves no cursor of the person's terminal, and fills no screen of it."""

import os
import pty
import re
import subprocess
import sys
import unicodedata
from contextlib import ExitStack, suppress
from itertools import product
from pathlib import Path

import pytest
from prefect.settings import get_current_settings

from tests.security.hostile_api import says_everywhere
from tests.thousandeyes.test_terminal import PROJECT
from thousandeyes.simulator import serve
from thousandeyes.terminal import LONGEST_LINE, clean

TITLE, CLIPBOARD = "\x1b]0;owned\x07", "\x1b]52;c;cm0gLXJm\x1b\\"
CLEARS, UP, HIDES, LINK = "\x1b[2J\x1b[H", "\x1b[9A", "\x1b[8m", "\x1b]8;;http://evil.invalid\x1b\\"
C1 = "\x9b2J\x9d0;owned\x9c"
TURNED, BELL, BACK = "\u202eexe.\u2066", "\x07", "\rPassed.\x08\x08\x7f"
HOSTILE = (
    f"begin {TITLE}{CLIPBOARD}{CLEARS}{UP}{HIDES}{LINK}{C1}{TURNED}{BELL}{BACK}\n\nPassed.\n"
    "[bold]end[/bold]"
)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LISTINGS = ["tests", "agents", "account-groups"]
END = "end of a listing"


def test_what_a_process_of_make_serve_says_is_cleaned(tmp_path: Path) -> None:
    (tmp_path / "says.py").write_text(f"print({HOSTILE!r})", "utf-8")
    serves = (
        "import os\nfrom pathlib import Path\nfrom deployments.serve import _running\n"
        "from thousandeyes.terminal import status_of\n"
        "def main():\n"
        "    with _running(('says',), dict(os.environ), None, Path.cwd()) as process:\n"
        "        return process.wait()\n"
        "raise SystemExit(status_of(main))"
    )
    path = f"{tmp_path}{os.pathsep}{PROJECT}"
    said = subprocess.run(
        [sys.executable, "-c", serves],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
        check=True,
    ).stdout.decode()
    assert said.startswith("begin ")
    assert "[bold]end[/bold]" in said
    assert said == clean(said)


@pytest.mark.parametrize(
    "colour",
    ["30", "30;", "38;5;3;", "38;2;1;1;3;", ";", "\x1b[3", "\x1b]3", "\x1b[30;"],
    ids=ascii,
)
def test_what_is_almost_a_colour_takes_no_long_time(colour: str) -> None:
    # Were there two ways to read a part, the time would double with each: these would take years.
    assert "\x1b" not in clean(f"\x1b[{colour * 5_000}X")


@pytest.mark.parametrize(
    "parameters", ["", "0", "1;31", ";32", "38;5;208;1", "38;2;1;22;255", "39"]
)
def test_colours_stay(parameters: str) -> None:
    colour = f"\x1b[{parameters}m"
    assert clean(f"a{colour}b") == f"a{colour}b"


PRINTS = f"""
import logging, sys
from rich.console import Console
log = logging.StreamHandler()
said = Console(stderr=True)
from thousandeyes.terminal import status_of
TEXT = {HOSTILE!r}
def main():
    print(TEXT)
    print(TEXT, file=sys.stderr)
    print("x" * 50_000)
    sys.stdout.writelines([TEXT, "\\n"])
    said.print(TEXT, style="bold red")
    try:
        raise ValueError(TEXT)
    except ValueError:
        log.emit(logging.makeLogRecord({{"msg": TEXT, "exc_info": sys.exc_info()}}))
    return 0
sys.exit(status_of(main))
"""


def on_a_terminal(*command: str, **environment: str) -> str:
    """Run Python on a terminal of its own; return what it showed there."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=PROJECT,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "200"} | environment,
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    shown = b""
    with suppress(OSError):  # which is how a terminal ends
        while piece := os.read(ours, 65_536):
            shown += piece
    os.close(ours)
    process.wait(60)
    return shown.decode("utf-8").replace("\r\n", "\n")


def unfit(shown: str) -> set[str]:
    """Return the characters that a terminal would obey, or show as something else."""
    return {
        letter
        for letter in COLOUR.sub("", shown)
        if unicodedata.category(letter) in ("Cc", "Cf") and letter != "\n"
    }


def test_whatever_a_command_prints_is_text_and_colours_alone() -> None:
    shown = on_a_terminal("-c", PRINTS)
    assert unfit(shown) == set()
    assert HIDES not in shown
    assert shown.count("begin ") == 6
    assert max(map(len, shown.splitlines())) < LONGEST_LINE
    assert "\x1b[1;31m" in shown, "rich's own colours come through"


# Printed in full, the long one would be more than a command may print here. What makes it long is
# plain, as escapes take long to read, and in lines that are not cut for their length alone.
TEXTS = {"short": HOSTILE, "long": 20 * (HOSTILE + 9_000 * "x")}
FORMS = {"table": (), "ids": ("--ids",), "json": ("--json",)}
EACH = [(listing, *options) for listing in LISTINGS for options in FORMS.values()]
# A reply that can't be read is no confirmation: sent once, it costs no waits for retries.
RUN = ("1", "2", "--delivery", "at_most_once")
DRY_RUN = (*RUN, "--dry-run")
GIVES = f"""
import os, sys
from MODULE import main
from thousandeyes.terminal import status_of
def each_to_each():
    for os.environ["TE_BASE_URL"] in sys.argv[1:]:
        for arguments, status in COMMANDS.items():
            assert main(arguments) == status
            print("{END}")
    return 0
raise SystemExit(status_of(each_to_each))
"""
Shown = dict[tuple[str, tuple[str, ...]], str]


def shown_of_each(module: str, commands: dict[tuple[str, ...], int], **environment: str) -> Shown:
    """Return what each command shows of an API that says each text, and check its exit status.

    One process gives them all, since it takes long to start.
    """
    program = GIVES.replace("MODULE", module).replace("COMMANDS", str(commands))
    with ExitStack() as stack:
        apis = [says_everywhere(text, test_id="1") for text in TEXTS.values()]
        urls = [stack.enter_context(serve(api)).url for api in apis]
        shown = on_a_terminal(
            *("-c", program, *urls),
            **{"TE_TOKEN": "0a1b2c3d-4e5f", "PREFECT_API_URL": ""} | environment,
        )
    *each, after = shown.split(f"{END}\n")
    assert after == ""
    return dict(zip(product(TEXTS, commands), each, strict=True))


@pytest.fixture(scope="module")
def listed() -> Shown:
    return shown_of_each("thousandeyes.__main__", dict.fromkeys(EACH, 0))


@pytest.mark.xdist_group("listings of a hostile API")
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.parametrize("text", TEXTS)
def test_a_listing_is_text_alone(
    listed: Shown, text: str, listing: str, form: tuple[str, ...]
) -> None:
    shown = listed[text, (listing, *form)]
    assert unfit(shown) == set()
    assert len(shown) < 20_000
    assert HIDES not in shown
    if form == ("--ids",):
        assert len(shown.splitlines()) == 1, "an ID is a line"
    else:
        assert "begin" in shown


def test_ids_that_are_none_are_not_printed() -> None:
    with serve(says_everywhere(HOSTILE)) as server:
        environment = {"TE_TOKEN": "0a1b2c3d-4e5f", "TE_BASE_URL": server.url}
        shown = on_a_terminal("-m", "thousandeyes", "tests", "--ids", **environment)
    assert shown.startswith("error: ")
    assert unfit(shown) == set()


@pytest.fixture(scope="module")
def told(prefect_server: None) -> Shown:  # noqa: ARG001 - it is up
    return shown_of_each(
        *("flows.rerun.command_line", {RUN: 1, DRY_RUN: 0}),
        PREFECT_API_URL=str(get_current_settings().api.url),
        PREFECT_LOGGING_LEVEL="DEBUG",
    )


@pytest.mark.parametrize("command", [RUN, DRY_RUN], ids=["run", "dry run"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_run_is_told_in_text_alone(told: Shown, text: str, command: tuple[str, ...]) -> None:
    shown = told[text, command]
    assert unfit(shown) == set()
    assert "begin" in shown
    assert "Passed." not in COLOUR.sub("", shown).splitlines()
    assert HIDES not in shown
    assert max(map(len, shown.splitlines())) < LONGEST_LINE
    assert len(shown) < 60_000


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("a\tb\nB\u00fcro \u6771\u4eac \U0001f468\u200d\U0001f469\n",) * 2,
        ("\x1b[31mred\x1b[0m \x1b[1;38;5;200mbold\x1b[m \x1b[2;38;2;1;22;255mdim\x1b[22;39m",) * 2,
        (f"a{TITLE}b{CLIPBOARD}c{CLEARS}d{UP}e{HIDES}f{LINK}g", "abcdefg"),
        ("\x1b[1;8mhidden\x1b[38;5;8;8m\x1b[5m", "hidden"),
        (C1, "2J0;owned"),
        ("50 %\rPassed.\x08\x7f\x00", "50 %Passed."),
        ("\x1b]0;no end\nnext line\x1b", "]0;no end\nnext line"),
        (TURNED, "exe."),
        ("x" * 20_000 + "\n" + "y" * 20_000, "x" * 9_998 + "…\n" + "y" * 9_998 + "…\n"),
    ],
)
def test_output_is_what_it_says(output: str, shown: str) -> None:
    assert clean(output) == shown


@pytest.mark.parametrize(
    "piece", ["\x1b[", "\x1b]", "\x1b]0", "\x1b[3", "\x1b", "\x1b[38;2;1;1", "\n", "a"]
)
def test_no_output_takes_long(piece: str) -> None:
    clean(piece * (1_000_000 // len(piece)))
