"""A run's outcomes on a terminal, or in whatever takes its output."""

from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasks.report import counts, failures_first
from thousandeyes.outcomes import GOOD, OPEN, Ending, Outcome
from thousandeyes.record import Record
from thousandeyes.terminal import words

LARGEST_TABLE: Final = 200
"""Rows on the terminal; tests that need a look are the last to be left out."""
_NARROWEST_NAME: Final = 20
_NAME_OF_WIDTH: Final = 4
"""A name gets at most one part in this many of the width; the rest wraps to the next line."""


def show(records: Sequence[Record], console: Console, *, every: bool = True) -> None:
    """Print the outcomes as a table, the worst last: the eye is there when the command ends.

    Args:
        records: One record per test.
        console: Where to.
        every: Whether to show tests that need no attention too; else they are counted.
    """
    worst_first = failures_first(records)
    shown = [record for record in worst_first if every or _needs_a_look(record)]
    folded = [record for record in worst_first if not every and not _needs_a_look(record)]
    rest = shown[LARGEST_TABLE:]
    if rest:
        console.print(f"\n{len(rest)} more: {counts(rest)}. Prefect's artifacts list each.")
    if folded:
        console.print(f"\n{counts(folded)}: not listed here; --all lists them.")
    if shown:
        console.print(_table(shown[LARGEST_TABLE - 1 :: -1], console.width))


def _needs_a_look(record: Record) -> bool:
    return record.ending not in GOOD or record.maybe_duplicate


def _table(records: Sequence[Record], width: int) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("outcome", no_wrap=True)
    table.add_column("test", no_wrap=True, overflow="fold")
    longest = max(_NARROWEST_NAME, width // _NAME_OF_WIDTH)
    table.add_column("name", overflow="fold", max_width=longest)
    table.add_column("detail", overflow="fold")
    for record in records:
        table.add_row(
            Text(record.ending, _colour(record.ending)),
            words(record.test_id),
            words(record.test_name),
            words(_detail(record)),
        )
    return table


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
    detail = f"{detail} ({', '.join(notes)})".strip() if notes else detail
    return ". ".join(filter(None, (detail, record.paths)))
