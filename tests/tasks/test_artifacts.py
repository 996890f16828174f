"""The record of a run, and the way back from it."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect import flow, get_client, runtime
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from pydantic import ValidationError

from tasks.artifacts import (
    OUTCOMES_KEY,
    artifact_key,
    from_row,
    read_outcomes,
    record_outcome,
    row,
    rows_of,
)
from tasks.markdown import cell
from tests.flows.scene import artifacts_of
from thousandeyes.app_links import app_link
from thousandeyes.judging import NO_VERDICT
from thousandeyes.outcomes import Outcome, VerdictName
from thousandeyes.record import Record
from thousandeyes.standing import Change, Standing
from thousandeyes.verdict import FailingAgent, Spread, Verdict

server = pytest.mark.usefixtures("prefect_server")

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
    failing=st.just((FailingAgent("a", "laptop", ("100 % loss",)),)),
    provisional=st.booleans(),
)
standings = st.builds(
    Standing,
    change=st.none() | st.sampled_from(Change),
    failing_since=moments,
    failing_runs=st.integers(0, 99),
    moved=st.text(),
    recent=st.dictionaries(
        st.sampled_from(["loss", "latency_ms"]),
        st.lists(st.integers(0, 999).map(float), min_size=1, max_size=20).map(tuple),
    ),
    compared_with=st.none() | st.uuids().map(str),
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


@given(records)
def test_every_row_has_the_same_keys_and_flat_json_values(record: Record) -> None:
    values = row(record)
    assert list(values) == list(row(Record("1")))
    assert {type(value) for value in values.values()} <= {str, int, float, bool, type(None)}


def test_what_a_later_version_adds_is_passed_over() -> None:
    assert from_row(row(Record("1")) | {"verdict": "worse", "begun": True}) == Record("1")


def test_what_people_look_for_stands_first_since_the_ui_cuts_wide_tables() -> None:
    first = ["test_id", "test_name", "outcome", "http_status", "attempts", "detail"]
    [values] = rows_of([Record("1")])
    assert list(values)[: len(first)] == first


@given(verdicts)
def test_where_there_are_verdicts_they_and_the_reasons_stand_early(verdict: Verdict) -> None:
    judged = Record("1", outcome=Outcome.ACCEPTED, verdict=verdict)
    lost = Record("2", outcome=Outcome.UNKNOWN, detail="lost")
    rows = rows_of([lost, judged])
    assert list(rows[0]) == list(rows[1])
    assert list(rows[0])[:5] == ["test_id", "test_name", "outcome", "verdict", "why"]
    assert [values["why"] for values in rows] == ["lost", cell(judged.why)]
    assert [from_row(values) for values in rows] == [lost, judged]


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


ids = st.from_regex(r"[A-Za-z0-9_-]+", fullmatch=True)


@given(ids, ids)
def test_keys_are_valid_for_prefect_and_differ_as_the_ids_do(one: str, other: str) -> None:
    for test_id in (one, other):
        ArtifactCreate(key=artifact_key(test_id))
        assert re.fullmatch(r"endpoint-test-[a-z0-9-]+", artifact_key(test_id))
    assert (artifact_key(one) == artifact_key(other)) is (one == other)


def test_ids_that_differ_in_case_or_underscore_have_keys_of_their_own() -> None:
    alike = ["ab-c", "AB-C", "Ab-c", "ab_c", "AB_C"]
    assert len({artifact_key(test_id) for test_id in alike}) == len(alike)
    assert artifact_key("765231567") == "endpoint-test-765231567"


async def in_a_flow(work: Callable[[], Awaitable[object]]) -> UUID:
    """Do some work in a flow run and return its ID."""

    @flow
    async def recording() -> str:
        await work()
        return str(runtime.flow_run.id)

    return UUID(await recording())


async def versions(key: str) -> int:
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
        )
    return len(found)


@server
async def test_an_outcome_is_created_and_then_updated_in_place() -> None:
    record = Record("once", "A name", Outcome.UNKNOWN)

    async def work() -> None:
        known = await record_outcome(record)
        record.accepted(200, "fine")
        assert await record_outcome(record, known) == known

    artifacts = await artifacts_of(await in_a_flow(work))
    assert await versions("endpoint-test-once") == 1
    artifact = artifacts["endpoint-test-once"]
    assert json.loads(str(artifact.data)) == [row(record)]
    assert artifact.description == "A name: accepted"


@server
async def test_no_space_stands_between_values_as_created_and_as_updated() -> None:
    record = Record("packed", "A name", Outcome.UNKNOWN)
    stored = []

    async def work() -> None:
        known = None
        for _ in range(2):
            known = await record_outcome(record, known)
            artifacts = await artifacts_of(UUID(runtime.flow_run.id))
            stored.append(artifacts["endpoint-test-packed"].data)

    await in_a_flow(work)
    assert stored == [json.dumps([row(record)], separators=(",", ":"))] * 2


@server
async def test_an_artifact_that_somebody_deleted_is_written_anew() -> None:
    async def work() -> None:
        known = await record_outcome(Record("deleted", outcome=Outcome.UNKNOWN))
        async with get_client() as client:
            await client.delete_artifact(known)
        assert await record_outcome(Record("deleted", outcome=Outcome.ACCEPTED), known) != known

    [record] = await read_outcomes([await in_a_flow(work)])
    assert record.outcome is Outcome.ACCEPTED


@server
async def test_of_several_runs_the_newest_record_of_a_test_wins() -> None:
    first = await in_a_flow(lambda: record_outcome(Record("1", outcome=Outcome.UNKNOWN)))
    second = await in_a_flow(lambda: record_outcome(Record("1", outcome=Outcome.ACCEPTED)))
    for runs in ([first, second], [second, first]):
        assert [record.outcome for record in await read_outcomes(runs)] == ["accepted"]
    assert [record.outcome for record in await read_outcomes([first])] == ["unknown"]


@server
@pytest.mark.parametrize("in_one_run", [True, False])
async def test_a_late_artifact_of_one_run_takes_no_mark_of_a_duplicate_away(
    *, in_one_run: bool
) -> None:
    marked = Record("5", outcome=Outcome.ACCEPTED, maybe_duplicate=True)
    late = Record("5", outcome=Outcome.ACCEPTED, detail="late")

    async def both() -> None:
        await record_outcome(marked)
        await record_outcome(late)

    if in_one_run:
        runs = [await in_a_flow(both)]
    else:
        runs = [await in_a_flow(partial(record_outcome, one)) for one in (marked, late)]
    [found] = await read_outcomes(runs)
    assert (found.detail, found.maybe_duplicate) == ("late", in_one_run)


@server
async def test_what_has_no_artifact_of_its_own_comes_from_the_table() -> None:
    async def work() -> None:
        rows = [row(Record("1", outcome=Outcome.UNKNOWN)), row(Record("2"))]
        await record_outcome(Record("1", outcome=Outcome.ACCEPTED))
        await acreate_table_artifact(table=rows, key=f"{OUTCOMES_KEY}local")

    found = {
        record.test_id: record.outcome for record in await read_outcomes([await in_a_flow(work)])
    }
    assert found == {"1": "accepted", "2": "not_attempted"}


@server
async def test_more_artifacts_than_a_page_holds_are_all_read() -> None:
    flow_run_id = await in_a_flow(lambda: asyncio.sleep(0))
    names = [str(number) for number in range(201)]
    async with get_client() as client:
        for name in names:
            data = json.dumps([row(Record(name))])
            await client.create_artifact(
                ArtifactCreate(key=artifact_key(name), data=data, flow_run_id=flow_run_id)
            )
    assert sorted(r.test_id for r in await read_outcomes([flow_run_id])) == sorted(names)


@server
async def test_no_runs_have_no_outcomes() -> None:
    assert await read_outcomes([]) == []
    assert await read_outcomes([uuid4()]) == []


@server
async def test_artifacts_of_other_hands_are_passed_over_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        await acreate_markdown_artifact("by hand", key="endpoint-test-markdown")
        await acreate_table_artifact({"a": [1]}, key="endpoint-test-columns")
        mixed: list[dict[str, Any]] = [
            {"note": "by hand"},
            row(Record("2")),
            {"test_id": "3", "attempts": "many"},
        ]
        await acreate_table_artifact(mixed, key=f"{OUTCOMES_KEY}x")
        await record_outcome(Record("1", outcome=Outcome.ACCEPTED))

    found = await read_outcomes([await in_a_flow(work)])
    assert {record.test_id for record in found} == {"1", "2"}
    assert "2 rows of artifact endpoint-rerun-outcomes-x can't be read" in caplog.text
    assert "1 rows of artifact endpoint-test-markdown can't be read" in caplog.text
