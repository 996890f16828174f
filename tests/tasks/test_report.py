"""A run as it ended: its order of reading, its counts and its table."""

import json
from dataclasses import replace

import pytest

from tasks.artifact_creation import as_json
from tasks.report import (
    FILLED_UP_TO,
    LARGEST_TABLE,
    LARGEST_TABLE_BYTES,
    counts,
    failures_first,
    not_sent,
    table,
)
from tasks.rows import from_row, in_run_table, stored_rows
from tasks.summary import markdown
from tests.tasks.reports import record, report
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.standing import Standing

EVENT_LIMIT = 1_500_000


def test_failures_come_first_and_otherwise_the_order_asked_for() -> None:
    records = [
        record("1", Outcome.ACCEPTED),
        record("2", Outcome.NOT_ATTEMPTED),
        record("3", Outcome.UNKNOWN),
        record("4", Outcome.ACCEPTED),
        record("5", Outcome.UNKNOWN),
    ]
    assert [one.test_id for one in failures_first(records)] == ["3", "5", "2", "1", "4"]
    assert [values["test_id"] for values in table(records)[0]] == ["3", "5", "2", "1", "4"]
    assert counts(records) == "2 unknown, 1 not attempted, 2 accepted"


def test_what_was_not_sent_and_has_a_history_is_carried_on_in_rows_of_its_own() -> None:
    def stood(test_id: str, outcome: Outcome, history: str) -> Record:
        made = record(test_id, outcome)
        made.stands(Standing(history=history))
        return made

    records = [
        stood("sent", Outcome.NOT_FOUND, "✓✗"),
        stood("stopped", Outcome.NOT_ATTEMPTED, "✗·"),
        stood("left out", Outcome.SKIPPED, "✓·"),
        stood("never sent", Outcome.NOT_ATTEMPTED, "··"),
        record("not compared", Outcome.NOT_ATTEMPTED),
    ]
    gone = [stood("gone", Outcome.NOT_ATTEMPTED, "✓··")]
    rows = not_sent(replace(report(*records), gone=gone), map(in_run_table, records))
    assert [row["test_id"] for row in rows] == ["stopped", "left out", "gone"]
    many = [stood(str(n), Outcome.NOT_ATTEMPTED, "✓·") for n in range(LARGEST_TABLE)]
    assert len(not_sent(replace(report(*many), gone=gone), ())) == LARGEST_TABLE


def test_those_that_stand_in_no_table_are_told_together_by_their_outcome() -> None:
    skipped, stopped, shown = (
        record(test_id, outcome)
        for test_id, outcome in (
            ("1_", Outcome.SKIPPED),
            ("2", Outcome.NOT_ATTEMPTED),
            ("3_", Outcome.SKIPPED),
        )
    )
    sent = record("4", Outcome.NOT_FOUND)
    rows = not_sent(report(sent, skipped, stopped, shown), [in_run_table(shown)])
    assert rows == [
        {"outcome": "not_attempted", "test_ids": "2"},
        {"outcome": "skipped", "test_ids": "\t1_"},
    ]
    assert [from_row(one).test_id for one in stored_rows(rows)] == ["2", "1_"]


def test_the_first_reason_is_that_of_the_worst_test_cut_short() -> None:
    well = record("1", Outcome.ACCEPTED, detail="fine")
    assert report().first_reason == report(well).first_reason == ""
    lost = record("2", Outcome.NOT_FOUND, test_name="Intranet", detail="404: Not Found")
    assert report(well, lost).first_reason == "Intranet: 404: Not Found."
    unsent = record("3", Outcome.NOT_ATTEMPTED)
    assert report(unsent).first_reason == "3: not attempted."
    assert report(unsent, replace(lost, detail="x" * 400)).first_reason.endswith("xx…")


def test_a_run_has_passed_or_failed_unless_another_word_or_none_is_set() -> None:
    well = report(record("1", Outcome.ACCEPTED), passed=True)
    assert (well.ended, replace(well, passed=False).ended) == ("Passed.", "Failed.")
    assert [replace(well, word=word).ended for word in ("Judged", "")] == ["Judged.", ""]


def test_what_ended_well_fills_up_the_table_unless_it_has_no_artifact_of_its_own() -> None:
    well = [record(str(n), Outcome.ACCEPTED, attempts=1) for n in range(200)]
    bad = [record(f"bad {n}", Outcome.UNKNOWN, attempts=1) for n in range(130)]
    skipped = record("skipped", Outcome.SKIPPED, attempts=0)
    for some in ([], bad[:3], bad):
        rows, words = table([*well, skipped, *some])
        room = max(0, FILLED_UP_TO - len(some))
        shown = [one["test_id"] for one in rows]
        assert shown[: len(some)] == [one.test_id for one in some]
        assert "skipped" in shown
        assert words.endswith(
            f"not shown: {200 - sum(str(one).isdigit() for one in shown)} accepted"
        )
        assert room - 1 <= len(shown) - len(some) <= room + 1


def test_the_table_is_capped_and_the_rest_counted() -> None:
    records = [record(str(n), Outcome.NOT_ATTEMPTED) for n in range(LARGEST_TABLE)]
    assert table(records) == (
        [in_run_table(one) for one in records],
        "1000 tests, those that need a look first",
    )
    rows, words = table([*records, record("x", Outcome.UNKNOWN)])
    assert (len(rows), rows[0]["test_id"]) == (LARGEST_TABLE, "x")
    assert words == "1001 tests, those that need a look first; not shown: 1 not attempted"


def test_a_row_that_is_too_large_is_passed_over_and_counted() -> None:
    large = record("1", Outcome.UNKNOWN, detail="x" * LARGEST_TABLE_BYTES)
    rows, words = table([large, *(record(f"{n}", Outcome.ACCEPTED) for n in range(2, 9))])
    assert [values["test_id"] for values in rows] == [f"{n}" for n in range(2, 9)]
    assert words == "8 tests, those that need a look first; not shown: 1 unknown"


@pytest.mark.parametrize("letter", ["x", '"', "ü", "\U0001f600"], ids=ascii)
def test_ten_thousand_records_fit_into_an_event(letter: str) -> None:
    longest = {"test_name": letter * 100, "detail": letter * 400}
    records = [record(str(n), Outcome.INVALID, **longest) for n in range(10_000)]
    rows, words = table(records)
    # As Prefect sends it: the artifact's data is a text within the event's JSON.
    assert len(json.dumps({"data": as_json(rows)}).encode()) < 0.7 * EVENT_LIMIT
    assert words.endswith(f"not shown: {10_000 - len(rows)} invalid")
    assert len(json.dumps({"data": markdown(report(*records), "/t")})) < 0.7 * EVENT_LIMIT
