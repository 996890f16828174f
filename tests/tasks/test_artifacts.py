"""The record of a run, and the way back from it."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
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

from tasks.artifacts import (
    NOT_SENT_KEY,
    OUTCOMES_KEY,
    artifact_key,
    description,
    newest_artifact,
    read_outcomes,
    record_outcome,
)
from tasks.rows import carried_on, fields_of, in_run_table
from tests.flows.scene import artifacts_of
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.standing import Change, Standing

server = pytest.mark.usefixtures("prefect_server")

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
    assert json.loads(str(artifact.data)) == fields_of(record)
    assert artifact.description == "A name: accepted. fine"


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
    assert stored == [json.dumps(fields_of(record), separators=(",", ":"))] * 2


@server
async def test_an_artifact_that_somebody_deleted_is_written_anew() -> None:
    async def work() -> None:
        known = await record_outcome(Record("deleted", outcome=Outcome.UNKNOWN))
        async with get_client() as client:
            await client.delete_artifact(known)
        assert await record_outcome(Record("deleted", outcome=Outcome.ACCEPTED), known) != known

    flow_run_id = await in_a_flow(work)
    [record] = await read_outcomes([flow_run_id])
    assert record.outcome is Outcome.ACCEPTED
    judged_again = Record("judged again", outcome=Outcome.ACCEPTED)
    known = await record_outcome(judged_again, ended_run=flow_run_id)
    async with get_client() as client:
        await client.delete_artifact(known)
    await record_outcome(judged_again, known, ended_run=flow_run_id)
    assert len(await read_outcomes([flow_run_id])) == 2, "it is still the run's"


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
@pytest.mark.parametrize(
    ("earlier", "late"),
    [
        (Record("6", outcome=Outcome.ACCEPTED, attempts=1), Record("6")),
        (
            Record("6", outcome=Outcome.ACCEPTED, attempts=1),
            Record("6", outcome=Outcome.UNKNOWN, attempts=1),
        ),
        (
            Record("6", outcome=Outcome.ACCEPTED, attempts=2),
            Record("6", outcome=Outcome.FORBIDDEN, attempts=3),
        ),
        (
            Record("6", outcome=Outcome.UNKNOWN, attempts=2),
            Record("6", outcome=Outcome.FORBIDDEN, attempts=1),
        ),
    ],
    ids=["suspended meanwhile", "written ahead", "sent all the same", "a clock set back"],
)
async def test_an_artifact_that_comes_late_overrules_none_that_says_more(
    earlier: Record, late: Record
) -> None:
    async def both() -> None:
        await record_outcome(earlier)
        await record_outcome(late)

    [found] = await read_outcomes([await in_a_flow(both)])
    assert (found.outcome, found.attempts) == (earlier.outcome, earlier.attempts)


def test_a_description_tells_the_ending_the_reason_and_the_last_runs() -> None:
    record = Record("1", "VPN (Berlin)", Outcome.NOT_FOUND, "404: Not Found")
    assert description(record) == "VPN (Berlin): not found. 404: Not Found"
    record.stands(Standing(history="✓✓✗"))
    assert description(record) == ("VPN (Berlin): not found. 404: Not Found. Last 3 runs: ✓✓✗")
    record.stands(Standing(history="✗"))
    assert description(record) == "VPN (Berlin): not found. 404: Not Found", "its only run"
    assert description(Record("1", outcome=Outcome.ACCEPTED)) == "1: accepted"
    assert len(description(Record("1", detail="x" * 999))) < 200


@server
async def test_of_what_says_as_much_that_counts_which_was_written_last() -> None:
    async def work() -> None:
        record = Record("7", outcome=Outcome.UNKNOWN)
        known = await record_outcome(record)
        await record_outcome(replace(record, detail="between"))
        await record_outcome(replace(record, detail="last"), known)
        for text in ("first", "last"):
            await acreate_markdown_artifact(text, key="endpoint-reruns-local")

    flow_run_id = await in_a_flow(work)
    [found] = await read_outcomes([flow_run_id])
    summary = await newest_artifact([flow_run_id], "endpoint-reruns-")
    assert found.detail == "last"
    assert summary
    assert summary.data == "last"


@server
async def test_what_a_dry_run_plans_and_tests_outside_the_run_are_not_taken_for_its_own() -> None:
    gone = Record("2", outcome=Outcome.ACCEPTED)
    gone.stands(Standing(history="✓·", change=Change.GONE))

    async def work() -> None:
        planned = [in_run_table(Record("1"))]
        await acreate_table_artifact(planned, key="endpoint-rerun-plan-local")
        await acreate_table_artifact([carried_on(gone)], key=f"{NOT_SENT_KEY}local")

    flow_run_id = await in_a_flow(work)
    assert await read_outcomes([flow_run_id]) == []
    [found] = await read_outcomes([flow_run_id], gone_too=True)
    assert found.test_id == "2"


@server
async def test_what_has_no_artifact_of_its_own_comes_from_the_table() -> None:
    async def work() -> None:
        rows = [in_run_table(Record(test_id)) for test_id in ("1", "2")]
        await record_outcome(Record("1", outcome=Outcome.ACCEPTED))
        await acreate_table_artifact(table=rows, key=f"{OUTCOMES_KEY}local")

    found = {
        record.test_id: record.outcome for record in await read_outcomes([await in_a_flow(work)])
    }
    assert found == {"1": "accepted", "2": "not_attempted"}


@server
async def test_more_artifacts_than_a_page_holds_are_all_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A page of the server's own, of 200, takes seconds to fill; it refuses to give a larger one.
    monkeypatch.setattr("tasks.pages.PAGE", 4)
    flow_run_id = await in_a_flow(lambda: asyncio.sleep(0))
    names = [str(number) for number in range(9)]
    async with get_client() as client:
        for name in names:
            data = json.dumps(fields_of(Record(name)))
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
            in_run_table(Record("2")),
            {"test_id": "3", "attempts": "many"},
        ]
        await acreate_table_artifact(mixed, key=f"{OUTCOMES_KEY}x")
        await record_outcome(Record("1", outcome=Outcome.ACCEPTED))

    found = await read_outcomes([await in_a_flow(work)])
    assert {record.test_id for record in found} == {"1", "2"}
    assert "2 rows of artifact endpoint-rerun-outcomes-x can't be read" in caplog.text
    assert "1 rows of artifact endpoint-test-markdown can't be read" in caplog.text
