"""What people read of a run: its Markdown and its table."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect import flow, runtime
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_UI_URL, temporary_settings

import tasks.summary
from tasks.artifact_creation import as_json
from tasks.markdown import plain
from tasks.rows import in_run_table
from tasks.summary import (
    LARGEST_LIST,
    LARGEST_TABLE,
    LARGEST_TABLE_BYTES,
    RunReport,
    counts,
    deployment_slug,
    failures_first,
    markdown,
    publish,
    table,
)
from tests.flows.scene import TABLE, artifacts_of
from thousandeyes.judging import judge
from thousandeyes.outcomes import MEANING, Outcome
from thousandeyes.record import Record
from thousandeyes.rounds import NetworkRound
from thousandeyes.thresholds import Thresholds

EVENT_LIMIT = 1_500_000
TEST = "http://prefect/artifacts/key/endpoint-test-"
HOSTILE = (
    "|](http://evil) [x](y)<script>\n\n# now\r\n`code` **bold** _it_ ~~no~~ ![i](j) &lt; \\| \\"
)


@pytest.fixture(autouse=True)
def _ui() -> Iterator[None]:
    with temporary_settings({PREFECT_UI_URL: "http://prefect/"}):
        yield


def report(*records: Record, sentence: str = "Why.", passed: bool = False) -> RunReport:
    return RunReport(records, passed, sentence, "4 minutes")


def record(test_id: str, outcome: Outcome, **values: Any) -> Record:
    return Record(test_id, outcome=outcome, **{"attempts": 1} | values)


def test_the_summary_reads_from_the_verdict_to_what_needs_a_look() -> None:
    text = markdown(
        report(
            record("1", Outcome.ACCEPTED),
            record("2", Outcome.NOT_FOUND, test_name="Berlin", detail="404: Not Found"),
            record("3", Outcome.UNKNOWN, detail="cut", attempts=4, maybe_duplicate=True),
            record("4", Outcome.NOT_ATTEMPTED, attempts=0, detail="cancelled"),
            record("5", Outcome.ACCEPTED, attempts=2, maybe_duplicate=True, detail="fine"),
            sentence="2 of 5 tests accepted; failed for 1 not_found.",
        ),
        "/artifacts/key/the-table",
    )
    assert text == (
        "**Failed.** 2 of 5 tests accepted; failed for 1 not_found.\n"
        "\n"
        "## Needs a look\n"
        "\n"
        f"- [3]({TEST}3): unknown after 4 attempts. cut (may have run twice)\n"
        f"- Berlin ([2]({TEST}2)): not found. 404: Not Found\n"
        "- 4: not attempted. cancelled\n"
        "\n"
        "## Passed but perhaps run twice\n"
        "\n"
        f"- [5]({TEST}5): accepted after 2 attempts. fine (may have run twice)\n"
        "\n"
        "[All tests of this run, as a table](/artifacts/key/the-table)\n"
        "\n"
        "It took 4 minutes.\n"
        "\n"
        f"- 1 unknown: {MEANING[Outcome.UNKNOWN]}\n"
        f"- 1 not found: {MEANING[Outcome.NOT_FOUND]}\n"
        f"- 1 not attempted: {MEANING[Outcome.NOT_ATTEMPTED]}\n"
        f"- 2 accepted: {MEANING[Outcome.ACCEPTED]}\n"
    )


def judged(test_id: str, *rows: NetworkRound, **values: Any) -> Record:
    verdict = judge(rows, Thresholds(), expected=25, complete=True)
    return record(test_id, Outcome.ACCEPTED, verdict=verdict, **values)


def network(agent: str, loss: float) -> NetworkRound:
    return NetworkRound(test_id="1", agent_id=agent, round_id=60, loss=loss)


def test_what_was_measured_stands_before_what_became_of_the_call() -> None:
    link = "https://app.thousandeyes.com/view/endpoint-agent?testId=3"
    lost = [network(f"laptop-{number}", 100) for number in range(5)]
    records = [
        judged("1", network("a", 0)),
        record("2", Outcome.UNKNOWN, detail="cut"),
        judged("3", *lost, app_link=link),
        judged("4"),
        record("5", Outcome.ACCEPTED),
    ]
    assert [one.test_id for one in failures_first(records)] == ["3", "2", "4", "5", "1"]
    assert counts(records) == "1 failed, 1 unknown, 1 no data, 1 accepted, 1 passed"
    text = markdown(report(*records), "/t")
    looked_at = text.partition("## Needs a look")[2].splitlines()
    endings = [line.partition("): ")[2] for line in looked_at if "endpoint-test-" in line]
    assert [ending.partition(".")[0] for ending in endings] == ["failed", "unknown", "no data"]
    failed = looked_at[2]
    assert "5 of 5 agents failed (20 more did not answer), laptop-0: 100 % loss" in failed
    assert all(f"laptop-{number}" in failed for number in range(5)), "all by name"
    assert failed.endswith(f"([results]({link}))")


def test_a_run_without_anything_to_look_at_says_so_by_leaving_it_out() -> None:
    text = markdown(report(record("1", Outcome.ACCEPTED), passed=True), "/t")
    assert text.startswith("**Passed.** Why.\n")
    assert "Needs a look" not in text


def test_what_failing_laptops_share_stands_right_after_the_sentence() -> None:
    one = replace(report(record("1", Outcome.ACCEPTED)), in_common="9 of the 10 on Guest_7*F*.")
    text = markdown(one, "/t")
    assert text.startswith("**Failed.** Why.\n\n9 of the 10 on Guest_7\\*F\\*.\n\n[All tests")


def test_the_summary_names_the_tests_that_late_laptops_may_change_with_how_many_answered() -> None:
    early = judge([network("a", 0)], Thresholds(), expected=25, complete=True, too_early=True)
    unknown = replace(early, agents_expected=None)
    records = [
        record("1", Outcome.ACCEPTED, test_name="VPN *", verdict=early),
        record("2", Outcome.ACCEPTED, verdict=unknown),
        judged("3", network("a", 0)),
    ]
    text = markdown(report(*records), "/t")
    assert text.startswith(
        "**Failed.** Why.\n\n2 verdicts are provisional, since laptops may still answer: "
        "VPN \\* (1 of 25 answered), 2. A quarter of an hour after the run, the deployment "
        "`judge-again` makes them final.\n\n"
    )
    assert "provisional" not in markdown(report(*records[2:]), "/t")


@given(st.text() | st.just(HOSTILE))
def test_words_from_anywhere_stay_words(words: str) -> None:
    hostile = record("1", Outcome.INVALID, test_name=words, detail=words)
    text = markdown(report(hostile, sentence=words), "/t")
    lines = text.split("\n")
    assert len(lines) == 12
    assert text.splitlines() == lines[:-1]
    [line] = [line for line in lines if "endpoint-test-1" in line]
    matched = re.fullmatch(
        r"- (?:(.+) \()?\[1\]\(http://prefect/artifacts/key/endpoint-test-1\)\)?: "
        r"invalid(?:\. (.*))?",
        line,
    )
    assert matched
    for place in (matched[1] or "", matched[2] or "", lines[0].removeprefix("**Failed.** ")):
        assert place == plain(words)


def test_the_list_is_capped_and_the_rest_counted() -> None:
    records = [record(str(n), Outcome.FORBIDDEN) for n in range(LARGEST_LIST + 7)]
    text = markdown(report(*records, record("x", Outcome.UNKNOWN)), "/t")
    assert text.count("/endpoint-test-") == LARGEST_LIST
    assert "[x](http://prefect/artifacts/key/endpoint-test-x)" in text
    assert "\nand 8 more: 8 forbidden.\n" in text


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


def test_the_table_is_capped_and_the_rest_counted() -> None:
    records = [record(str(n), Outcome.ACCEPTED) for n in range(LARGEST_TABLE)]
    assert table(records) == (
        [in_run_table(one) for one in records],
        "1000 tests, what needs a look first",
    )
    rows, words = table([*records, record("x", Outcome.UNKNOWN)])
    assert (len(rows), rows[0]["test_id"]) == (LARGEST_TABLE, "x")
    assert words == "1001 tests, what needs a look first; not shown: 1 accepted"


def test_a_row_that_is_too_large_is_passed_over_and_counted() -> None:
    large = record("1", Outcome.UNKNOWN, detail="x" * LARGEST_TABLE_BYTES)
    rows, words = table([large, *(record(f"{n}", Outcome.ACCEPTED) for n in range(2, 9))])
    assert [values["test_id"] for values in rows] == [f"{n}" for n in range(2, 9)]
    assert words == "8 tests, what needs a look first; not shown: 1 unknown"


@pytest.mark.parametrize("letter", ["x", '"', "ü", "\U0001f600"], ids=ascii)
def test_ten_thousand_records_fit_into_an_event(letter: str) -> None:
    longest = {"test_name": letter * 100, "detail": letter * 400}
    records = [record(str(n), Outcome.INVALID, **longest) for n in range(10_000)]
    rows, words = table(records)
    # As Prefect sends it: the artifact's data is a text within the event's JSON.
    assert len(json.dumps({"data": as_json(rows)}).encode()) < 0.7 * EVENT_LIMIT
    assert words.endswith(f"not shown: {10_000 - len(rows)} invalid")
    assert len(json.dumps({"data": markdown(report(*records), "/t")})) < 0.7 * EVENT_LIMIT


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        (None, "local"),
        ("nightly", "nightly"),
        ("Nightly: München!", "nightly-m-nchen"),
        ("***", "local"),
    ],
)
def test_a_deployments_name_becomes_part_of_a_key(
    monkeypatch: pytest.MonkeyPatch, name: str | None, slug: str
) -> None:
    class Deployment:
        pass

    monkeypatch.setattr(Deployment, "name", name, raising=False)
    monkeypatch.setattr(runtime, "deployment", Deployment)
    assert deployment_slug() == slug


@pytest.mark.usefixtures("prefect_server")
async def test_a_summary_that_prefect_refuses_costs_neither_the_table_nor_the_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tasks.summary, "create_markdown", refusing(422))

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
