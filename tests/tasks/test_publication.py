"""A run's report in Prefect."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prefect import flow, runtime
from prefect.exceptions import PrefectHTTPStatusError

import tasks.publication
from tasks.markdown import plain
from tasks.publication import described, publish
from tests.flows.scene import TABLE, artifacts_of
from tests.tasks.reports import record, report
from thousandeyes.outcomes import GOOD, Outcome
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


def refusing(status: int) -> Callable[..., Any]:
    async def refuse(*_: object) -> None:
        request = httpx.Request("POST", "http://prefect/api/artifacts/")
        raise PrefectHTTPStatusError(
            str(status), request=request, response=httpx.Response(status, request=request)
        )

    return refuse
