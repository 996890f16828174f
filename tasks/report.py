"""A run as it ended, as values from which its summary and its table are made. Pure."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tasks.artifact_creation import as_json
from tasks.markdown import cell
from tasks.rows import Row, carried_on, in_run_table, together
from thousandeyes.marks import is_worth_keeping
from thousandeyes.outcomes import GOOD, MEANING, UNTOLD, Ending, in_words
from thousandeyes.record import Record
from thousandeyes.text import counted, cut, with_full_stop
from thousandeyes.verdict_words import agents_isolated

LARGEST_TABLE: Final = 1_000
"""Rows in a run's table. Prefect's list of artifacts loads every table whole."""
FILLED_UP_TO: Final = 125
"""Rows up to which tests that ended well are listed too. Prefect's first UI draws every row, each
text as Markdown: a table of 500 rows takes 19 times as long to open as one of 41."""
LARGEST_TABLE_BYTES: Final = 1_040_000
"""Bytes of a run's table in an event, at some 300 a row: Prefect drops events over 1.5 MB."""

_RANK: Final = {ending: rank for rank, ending in enumerate(MEANING)}
_LONGEST_REASON: Final = 160


@dataclass(frozen=True)
class RunReport:
    """A run as it ended: one record per test, the sentence that says why, and whether it passed.

    `preface` is Markdown to put before the counts. `in_common` says what the failing laptops share,
    if anything is known of them, and `cause` the strongest cause in one sentence. `what_changed` is
    Markdown, with a heading of its own. `word` comes before the sentence; None: Passed or Failed.
    `gone` are tests outside the run, with the histories that it carries on. `stopped` is what made
    the run stop early, if anything did; the sentence says so too. `meaning` tells what each ending
    means to the reader. `organizations` names the organization of each test, by its ID, in a run of
    several.
    """

    records: Sequence[Record]
    passed: bool
    sentence: str
    took: str
    preface: str = ""
    in_common: str = ""
    what_changed: str = ""
    cause: str = ""
    word: str | None = None
    gone: Sequence[Record] = ()
    stopped: str | None = None
    meaning: Mapping[Ending, str] = field(default_factory=lambda: MEANING)
    organizations: Mapping[str, str] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """The sentence, and the cause if one was found: what states and messages carry."""
        return f"{self.sentence} {self.cause}".strip()

    @property
    def ended(self) -> str:
        """How it ended, in a word with its full stop, such as `Failed.`; empty for a dry run."""
        word = ("Passed" if self.passed else "Failed") if self.word is None else self.word
        return word and f"{word}."

    @property
    def first_reason(self) -> str:
        """Why the first test that needs a look needs it, such as `Intranet: 404: Not Found.`."""
        first = min(self.records, key=lambda record: _RANK[record.ending], default=None)
        if first is None or first.ending in GOOD:
            return ""
        reason = f"{first.test_name or first.test_id}: {first.reason or in_words(first.ending)}"
        reason = with_full_stop(cut(reason, _LONGEST_REASON))
        return agents_isolated(reason, first.verdict, first.test_name)


def failures_first(records: Iterable[Record]) -> list[Record]:
    """Sort for reading: tests that need a look first, then in the order asked for."""
    return sorted(records, key=lambda record: _RANK[record.ending])


def counts(records: Iterable[Record]) -> str:
    """Return endings with their counts, such as `2 not found, 85 accepted`."""
    counted = Counter(record.ending for record in records)
    return ", ".join(
        f"{counted[ending]} {in_words(ending)}" for ending in MEANING if counted[ending]
    )


def table(records: Iterable[Record]) -> tuple[list[Row], str]:
    """Return the rows of a run's table, and the words above it, which count what is left out.

    A test that ended well and has an artifact of its own needs no row, but gets one in a short
    table. A row that does not fit is skipped; those after it may still fit.
    """
    ordered = failures_first(records)
    rows: list[Row] = []
    rest, left = ordered[LARGEST_TABLE:], LARGEST_TABLE_BYTES
    for record in ordered[:LARGEST_TABLE]:
        values = in_run_table(record)
        # An event holds the table as a text: quotes and letters beyond ASCII are escaped twice.
        size = len(json.dumps(as_json([values])))
        told_elsewhere = record.ending in GOOD and record.attempts > 0
        if size > left or (told_elsewhere and len(rows) >= FILLED_UP_TO):
            rest.append(record)
            continue
        rows.append(values)
        left -= size
    words = f"{counted(len(ordered), 'test')}, those that need a look first"
    if rest:
        words += f"; not shown: {counts(rest)}"
    return rows, words


def not_sent(report: RunReport, shown: Iterable[Row]) -> list[Row]:
    """Return a row for each test with a history but no artifact of its own to hold it.

    If there are more than a table holds, tests of the run come first. Tests of the run that are
    also left out of its table's rows, `shown`, share one row per outcome.
    """
    untold = [record for record in report.records if record.outcome in UNTOLD]
    known = [
        record
        for record in (*untold, *report.gone)
        if record.standing and is_worth_keeping(record.standing.history)
    ]
    rows = [carried_on(record) for record in known[:LARGEST_TABLE]]
    told = {values["test_id"] for values in (*shown, *rows)}
    for outcome in sorted(UNTOLD):
        left = [record.test_id for record in untold if record.outcome is outcome]
        if left := [test_id for test_id in left if cell(test_id) not in told]:
            rows.append(together(outcome, left))
    return rows
