"""A run's report in Prefect."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prefect import flow, get_client, runtime
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_UI_URL, temporary_settings

import tasks.publication
from tasks.artifacts import NOT_SENT_KEY, read_outcomes
from tasks.markdown import plain
from tasks.publication import CREATIONS, DRY_RUNS, RERUNS, Place, described, publish
from tasks.report import LARGEST_TABLE
from tests.flows.scene import SUMMARY, TABLE, artifacts_of
from tests.tasks.reports import UI, record, report
from thousandeyes.outcomes import GOOD, Outcome
from thousandeyes.standing import Standing
from thousandeyes.text import shown


@example(".. : .", Outcome.NOT_FOUND)
@given(st.text("ab.?!…: ", max_size=9), st.sampled_from(list(Outcome)))
def test_a_description_tells_the_ending_and_one_reason_without_doubled_punctuation(
    reason: str, outcome: Outcome
) -> None:
    one = record("1", outcome, detail=shown(reason).rstrip(". ") or "cut")
    told = described(report(one, sentence="1 of 1 tests failed."), "1 of 1 tests failed.", "Rest")
    assert told.startswith("Failed. 1 of 1 tests failed. ")
    assert told.endswith("Rest")
    assert ".. " not in told.replace(one.detail, "")
    assert (f"1: {plain(one.detail)}" in told) is (outcome not in GOOD)


def test_where_the_tests_that_failed_share_a_cause_no_reason_of_a_single_one_is_told() -> None:
    failed = report(record("1", Outcome.NOT_FOUND, detail="404: Not Found"))
    assert described(failed, "S.") == "Failed. S. 1: 404: Not Found."
    assert described(replace(failed, cause="All share a network."), "S.") == "Failed. S."


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("written", range(4))
async def test_a_report_that_may_no_longer_be_written_ends_with_what_was_written(
    written: int,
) -> None:
    class Lost(BaseException): ...

    asked: list[int] = []

    async def confirm() -> None:
        asked.append(1)
        if len(asked) > written:
            raise Lost

    left_out = record("1", Outcome.SKIPPED, attempts=0)
    left_out.stands(Standing(history="✓·"))
    async with get_client() as client:
        ended = await client.create_flow_run(flow(lambda: None))
    with suppress(Lost):
        await publish(report(left_out), "local", replace(RERUNS, ended_run=ended.id), confirm)
    parts = [TABLE, f"{NOT_SENT_KEY}local", SUMMARY][:written]
    assert set(await artifacts_of(ended.id)) == set(parts)


@pytest.mark.usefixtures("prefect_server")
async def test_a_summary_that_prefect_refuses_costs_neither_the_table_nor_the_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tasks.publication, "create_markdown", refusing(422))

    @flow
    async def publishing() -> str:
        await publish(report(record("1", Outcome.ACCEPTED)), "local")
        return str(runtime.flow_run.id)

    assert set(await artifacts_of(UUID(await publishing()))) == {TABLE}
    assert "Prefect refuses the summary: PrefectHTTPStatusError: 422" in caplog.text


@pytest.mark.parametrize("ui", [UI, "http://me:5ecret@prefect.test"])
@pytest.mark.usefixtures("prefect_server")
async def test_the_last_line_of_the_log_leads_to_the_summary(
    caplog: pytest.LogCaptureFixture, ui: str
) -> None:
    @flow
    async def publishing() -> str:
        with temporary_settings({PREFECT_UI_URL: ui}):
            await publish(report(record("1", Outcome.ACCEPTED)), "local")
        return str(runtime.flow_run.id)

    summary = (await artifacts_of(UUID(await publishing())))[SUMMARY]
    own = [line.message for line in caplog.records if line.module == "publication"]
    address = ui.replace("me:5ecret@", "").rstrip("/")
    assert own[-1] == f"The summary: {address}/artifacts/artifact/{summary.id}"
    assert "5ecret" not in str(summary.data)


@pytest.mark.usefixtures("prefect_server")
async def test_of_more_tests_than_a_table_holds_each_is_read_back_as_it_ended() -> None:
    failed = [record(f"f_{n}", Outcome.NOT_FOUND) for n in range(LARGEST_TABLE)]
    skipped = [record(f"_s_{n}", Outcome.SKIPPED, attempts=0) for n in range(30)]
    stopped = record("n-1", Outcome.NOT_ATTEMPTED, attempts=0)
    records = [*skipped, *failed, stopped]

    @flow
    async def publishing() -> str:
        for some in (records, records[-9:]):  # the first attempt's, then the second one's
            await publish(report(*some), "local")
            stopped.skipped("by now it has run")
        return str(runtime.flow_run.id)

    read = await read_outcomes([UUID(await publishing())])
    assert {one.test_id: one.outcome for one in read} == {
        one.test_id: one.outcome for one in records
    }


@pytest.mark.usefixtures("prefect_server")
async def test_a_dry_run_and_a_creation_leave_no_record_of_reruns() -> None:
    records = [record(str(n), Outcome.SKIPPED, attempts=0) for n in range(LARGEST_TABLE + 1)]

    @flow
    async def publishing(place: Place) -> str:
        await publish(report(*records), "local", place)
        return str(runtime.flow_run.id)

    dry_run, creation = [UUID(await publishing(place)) for place in (DRY_RUNS, CREATIONS)]
    assert await read_outcomes([dry_run, creation]) == []
    assert await read_outcomes([creation], dry_runs_too=True) == []
    read = await read_outcomes([dry_run], dry_runs_too=True)
    assert {one.test_id: one.outcome for one in read} == {
        one.test_id: one.outcome for one in records
    }, "whoever asks for them gets them all"


def refusing(status: int) -> Callable[..., Any]:
    async def refuse(*_: object) -> None:
        request = httpx.Request("POST", "http://prefect/api/artifacts/")
        raise PrefectHTTPStatusError(
            str(status),
            request=request,
            response=httpx.Response(status, json={"detail": "why"}, request=request),
        )

    return refuse
