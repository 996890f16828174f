"""The outcomes on a terminal, at every usual width."""

import io

import pytest
from rich.console import Console

from flows.rerun.outcome_table import LARGEST_TABLE, show
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record

RECORDS = [
    Record("765231567", "Berlin VPN gateway reachability", Outcome.ACCEPTED, "fine", 200, 1),
    Record(
        *("765231568", "Paris", Outcome.SERVER_ERROR, "503: [red]Service[/] Unavailable", 503, 4),
        maybe_duplicate=True,
        quota_wait_seconds=131,
    ),
    Record("765231569", "", Outcome.QUOTA_EXHAUSTED, "waited 600 s for quota " * 5, 429, 3),
    Record("765231570", "a [bold]name[/]", Outcome.NOT_ATTEMPTED, "the token was refused"),
]


def shown(records: list[Record], width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    show(records, console)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines() if line.strip()]


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_can_be_read_at_every_usual_width(width: int) -> None:
    lines = shown(RECORDS, width)
    assert max(map(len, lines)) <= width
    begins = [line for line in lines[2:] if not line.startswith("  ")]
    order = [line.split()[:2] for line in begins]
    assert order == [
        ["accepted", "765231567"],
        ["not_attempted", "765231570"],
        ["quota_exhausted", "765231569"],
        ["server_error", "765231568"],
    ]
    text = " ".join(" ".join(lines).split())
    assert "a [bold]name[/]" in text
    assert "503: [red]Service[/]" in text
    assert "Berlin VPN gateway " in text
    assert "fine" not in text
    assert len(lines) <= {80: 15, 120: 10}[width]


def test_the_table_says_what_an_outcome_does_not() -> None:
    [*_, line] = shown([RECORDS[1]], 200)
    assert line.endswith(
        "503: [red]Service[/] Unavailable (4 attempts, may have run twice, waited 131 s for quota)"
    )


@pytest.mark.parametrize("text", ["3C:AB:CD:12:AB:01", "Gate :key: [b]", "2001:db8::ab:1", "C:\\"])
def test_a_name_and_a_reason_are_shown_as_they_are(text: str) -> None:
    record = Record("1", text, Outcome.NOT_FOUND, text)
    [*_, line] = shown([record], 200)
    assert line.split()[2:] == [*text.split(), *text.split()]


def test_where_paths_end_stands_behind_the_reason() -> None:
    record = Record("1", outcome=Outcome.NOT_FOUND, detail="gone", paths="The path of a ends")
    [*_, line] = shown([record], 200)
    assert line.endswith("gone. The path of a ends")


def test_a_long_table_is_capped_and_the_rest_counted() -> None:
    records = [Record(str(number), outcome=Outcome.ACCEPTED) for number in range(LARGEST_TABLE + 3)]
    lines = shown([*records, Record("x", outcome=Outcome.UNKNOWN)], 80)
    assert lines[-1].split() == ["unknown", "x"]
    assert lines[0] == "4 more: 4 accepted. Prefect's artifacts list each."
    endings = [line.split()[0] for line in lines]
    assert endings.count("accepted") + endings.count("unknown") == LARGEST_TABLE


def test_a_wait_of_less_than_a_second_is_none() -> None:
    [*_, line] = shown([Record("1", outcome=Outcome.NOT_FOUND, quota_wait_seconds=0.9)], 200)
    assert line.split() == ["not_found", "1"]


@pytest.mark.parametrize(
    ("outcome", "colour"),
    [
        (Outcome.ACCEPTED, "32"),
        (Outcome.SKIPPED, "2"),
        (Outcome.NOT_ATTEMPTED, "33"),
        (Outcome.NOT_FOUND, "31"),
    ],
)
def test_a_colour_tells_good_from_open_and_bad(outcome: Outcome, colour: str) -> None:
    console = Console(
        width=80, file=io.StringIO(), force_terminal=True, color_system="standard", _environ={}
    )
    show([Record("1", outcome=outcome)], console)
    assert isinstance(console.file, io.StringIO)
    assert f"\x1b[{colour}m{outcome}\x1b[0m" in console.file.getvalue()


def test_tests_that_need_nobody_are_counted_unless_asked_for() -> None:
    console = Console(width=80, file=io.StringIO())
    twice = Record("765231571", outcome=Outcome.ACCEPTED, maybe_duplicate=True)
    show([*RECORDS, twice], console, every=False)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "1 accepted: not listed here; --all lists them." in text
    assert "765231567" not in text
    assert "765231568" in text
    assert "765231571" in text, "it may have run twice"
