"""A record as a row of a table, and the way back from it."""

import json
from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.rows import carried_on, fields_of, from_row, in_run_table, row, stored_rows
from thousandeyes.app_links import app_link
from thousandeyes.judging import NO_VERDICT, judge
from thousandeyes.outcomes import Outcome, VerdictName
from thousandeyes.record import Record
from thousandeyes.rounds import NetworkRound
from thousandeyes.standing import Change, Standing
from thousandeyes.thresholds import Reason, Thresholds
from thousandeyes.verdict import FailingAgent, Spread, Verdict

moments = st.none() | st.datetimes(timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
spreads = st.builds(Spread, *[st.none() | st.integers(0, 100).map(float)] * 2)
verdicts = st.builds(
    Verdict,
    name=st.sampled_from(VerdictName),
    reason=st.text(),
    agents_expected=st.none() | st.integers(0, 99),
    agents_answered=st.integers(0, 99),
    agents_passed=st.integers(0, 99),
    agents_icmp_blocked=st.integers(0, 99),
    agents_failed=st.none() | st.text(min_size=1),
    loss=spreads,
    latency_ms=spreads,
    jitter_ms=spreads,
    response_time_ms=spreads,
    total_time_ms=spreads,
    http_status_worst=st.none() | st.integers(200, 599),
    error_types=st.lists(st.sampled_from(["dns", "ssl", "http"]), unique=True).map(tuple),
    failing=st.just((FailingAgent("a", "laptop", (Reason(1, "100 % loss"),)),)),
    provisional=st.booleans(),
    unread=st.booleans(),
    thresholds=st.none() | st.text(min_size=1),
)
standings = st.builds(
    Standing,
    change=st.none() | st.sampled_from(Change),
    failing_since=moments,
    failing_runs=st.integers(0, 99),
    moved=st.text(),
    history=st.text("✓✗○·", max_size=30),
    recent=st.dictionaries(
        st.sampled_from(["loss", "latency_ms"]),
        st.lists(st.integers(0, 999).map(float), min_size=1, max_size=20).map(tuple),
    ),
    compared_with=st.none() | st.uuids().map(str),
    last_measured=st.sampled_from([None, VerdictName.PASSED, VerdictName.FAILED]),
    last_heard=st.sampled_from([None, *Outcome, *VerdictName]),
)
records = st.builds(
    Record,
    test_id=st.text("abcXYZ019-_", min_size=1),
    test_name=st.text(),
    outcome=st.sampled_from(Outcome),
    detail=st.text(),
    http_status=st.none() | st.integers(200, 599),
    attempts=st.integers(0, 9),
    maybe_duplicate=st.booleans(),
    quota_wait_seconds=st.integers(0, 6000).map(lambda tenths: tenths / 10),
    started_at=moments,
    finished_at=moments,
    aid=st.none() | st.text("0123456789", min_size=1),
    verdict=st.none() | verdicts,
    app_link=st.none() | st.just("https://app.thousandeyes.com/view"),
    rounds_after=st.none() | st.integers(0, 2_000_000_000),
    standing=st.none() | standings,
)


@given(records)
def test_a_record_survives_its_row(record: Record) -> None:
    assert from_row(json.loads(json.dumps(row(record)))) == record


def test_a_row_of_version_0_1_0_reads_as_it_was_written() -> None:
    """It knew no escape: its texts stand as they are, Markdown or not."""
    written = row(Record("1")) | {
        "test_name": "VPN *primary* DE",
        "detail": "400: <b>[a](b)</b> \\\\server",
        "why": "# of agents",
    }
    read = from_row(written)
    assert (read.test_name, read.detail) == (written["test_name"], written["detail"])


def test_a_link_can_be_followed_from_the_table() -> None:
    link = app_link("1", aid="2")
    assert row(Record("1", app_link=link))["app_link"] == link
    of_others = row(Record("1", test_name=link, detail=link))
    assert of_others["test_name"] == of_others["detail"] == f"\t{link}"


@given(records)
def test_every_row_has_the_same_keys_and_flat_json_values(record: Record) -> None:
    values = row(record)
    assert list(values) == list(row(Record("1")))
    assert {type(value) for value in values.values()} <= {str, int, float, bool, type(None)}


def test_what_a_later_version_adds_is_passed_over() -> None:
    assert from_row(row(Record("1")) | {"verdict": "worse", "begun": True}) == Record("1")


def test_a_metric_without_values_counts_as_none() -> None:
    values = row(Record("1", standing=Standing())) | {"recent": "agents; loss 1"}
    [known] = [read.standing for read in [from_row(values)] if read.standing]
    assert known.recent == {"loss": (1.0,)}


def test_words_of_a_later_version_cost_a_test_nothing_else_of_how_it_stands() -> None:
    known = Standing(Change.GONE, failing_runs=3, history="✗✗✗", last_heard=Outcome.NOT_FOUND)
    values = row(Record("1", standing=known)) | {"change": "worse", "last_heard": "vanished"}
    assert from_row(values).standing == replace(known, change=None, last_heard=None)


@given(records)
def test_a_record_survives_the_table_of_its_own_artifact(record: Record) -> None:
    [values] = stored_rows(json.loads(json.dumps(fields_of(record))))
    assert from_row(values) == record


@given(records)
def test_its_own_table_has_only_what_has_a_value_and_what_people_look_for_first(
    record: Record,
) -> None:
    fields = fields_of(record)
    names = [one["field"] for one in fields]
    early = [
        name
        for name in ("test_id", "test_name", "outcome", "verdict", "why", "change", "history")
        if name in names
    ]
    assert names[: len(early)] == early
    assert len(set(names)) == len(names)
    assert all(one["value"] is not None for one in fields)


@given(records)
def test_a_row_of_the_runs_table_tells_what_was_not_sent_without_an_artifact(
    record: Record,
) -> None:
    values = in_run_table(record)
    assert list(values) == list(in_run_table(Record("1")))
    assert len(values) <= 10
    read = from_row(json.loads(json.dumps(values)))
    kept = (record.test_id, record.outcome, record.attempts, record.maybe_duplicate)
    assert (read.test_id, read.outcome, read.attempts, read.maybe_duplicate) == kept
    assert (read.test_name, read.detail) == (record.test_name, record.why)


@given(records)
def test_a_row_of_what_was_not_sent_tells_how_the_test_stands(record: Record) -> None:
    read = from_row(json.loads(json.dumps(carried_on(record))))
    assert list(carried_on(record)) == list(carried_on(Record("1")))
    assert (read.test_id, read.outcome, read.standing) == (
        record.test_id,
        record.outcome,
        record.standing,
    )


def test_what_late_laptops_may_change_is_called_provisional_in_the_runs_table() -> None:
    rounds = [NetworkRound(test_id="1", agent_id="a", round_id=60, loss=0)]
    early, late = (
        judge(rounds, Thresholds(), expected=2, complete=True, too_early=too_early)
        for too_early in (True, False)
    )
    told = [
        in_run_table(Record("1", outcome=Outcome.ACCEPTED, verdict=verdict))["agents"]
        for verdict in (early, late, None)
    ]
    assert told == ["1 of 1 passed, provisional", "1 of 1 passed", None]


def test_the_wait_for_quota_is_told_in_tenths_of_a_second() -> None:
    assert row(Record("1", quota_wait_seconds=1.26))["quota_wait_seconds"] == 1.3


def test_an_empty_table_has_no_rows() -> None:
    assert stored_rows([]) == []


def test_without_results_the_columns_of_a_verdict_are_empty() -> None:
    values = row(Record("1"))
    assert {values[name] for name in NO_VERDICT} == {None}


def test_an_outcome_of_a_later_version_counts_as_sent() -> None:
    """So that at_most_once sends nothing twice."""
    assert from_row(row(Record("1")) | {"outcome": "throttled"}).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("values", [None, [], "1", {}, {"outcome": "unknown"}, {"test_id": [1]}])
def test_what_is_no_row_is_refused(values: object) -> None:
    with pytest.raises(ValidationError):
        from_row(values)
