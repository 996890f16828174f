"""The flow against a real Prefect server and the simulator on a real socket."""

import json
import os
import re
from collections import Counter
from contextlib import suppress
from typing import Any

import httpx
import pytest
from prefect.client.schemas.objects import State

import thousandeyes.client
import thousandeyes.replies
from flows.rerun import RerunFailed, RerunOptions, rerun_endpoint_tests
from flows.rerun.parameters import Parameters
from tasks.artifacts import read_outcomes
from tests.flows.scene import SUMMARY, TABLE, Simulate, artifacts_of, fields, id_of, ids, sent
from thousandeyes.client import TESTS
from thousandeyes.errors import InvalidTestIds, SettingsError
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.simulator import Fault

pytestmark = pytest.mark.usefixtures("prefect_server")


async def run(test_ids: list[str], **options: Any) -> tuple[State[Any], dict[str, Record]]:
    state = await rerun_endpoint_tests(
        test_ids, options=RerunOptions.model_validate(options), return_state=True
    )
    recorded = await read_outcomes([id_of(state)])
    return state, {record.test_id: record for record in recorded}


async def test_every_kind_of_answer_ends_in_the_outcome_that_the_table_names(
    simulate: Simulate,
) -> None:
    faults = {
        "1": Fault(replies=[404]),
        "2": Fault(replies=[400]),
        "3": Fault(replies=[405]),
        "4": Fault(replies=[302]),
        "5": Fault(replies=[403], repeat=True),
        "6": Fault(replies=[500], repeat=True),
        "7": Fault(replies=[502], repeat=True),
        "8": Fault(replies=["dropped_before"], repeat=True),
        "9": Fault(replies=["dropped_after"], repeat=True),
        "10": Fault(replies=["html"], repeat=True),
        "11": Fault(replies=["half_body"], repeat=True),
        "12": Fault(replies=[503, 502]),
        "13": Fault(replies=["dropped_after"]),
        "14": Fault(replies=["plain_text"]),
        "15": Fault(replies=["empty"]),
        "16": Fault(replies=["no_message"]),
        "17": Fault(replies=[]),
    }
    simulator = simulate(tests=list(faults), faults=faults)
    # Good ones in between, since ten in a row without an answer would stop the run.
    order = [
        "17",
        *(["12", "1", "6", "13", "7", "2", "8", "14", "9", "3", "10", "15", "11", "16", "4", "5"]),
    ]
    state, recorded = await run([*order, "999"], max_in_flight=1)

    assert {test_id: record.outcome.value for test_id, record in recorded.items()} == {
        **dict.fromkeys(["1", "999"], "not_found"),
        **dict.fromkeys(["2", "3", "4"], "invalid"),
        "5": "forbidden",
        **dict.fromkeys(["6", "7"], "server_error"),
        **dict.fromkeys(["8", "9", "10", "11"], "unknown"),
        **dict.fromkeys(["12", "13", "14", "15", "16", "17"], "accepted"),
    }
    tries = sent(simulator)
    assert {tries[test_id] for test_id in ("1", "2", "3", "4", "5", "999")} == {1}
    assert {tries[test_id] for test_id in ("6", "7", "8", "9", "10", "11")} == {4}
    assert {test_id: record.attempts for test_id, record in recorded.items()} == dict(tries)
    assert {test_id for test_id, record in recorded.items() if record.maybe_duplicate} == {
        *("6", "7", "8", "9", "10", "11", "12", "13")
    }
    assert state.is_failed()
    assert state.name == "Failed"
    assert state.message == (
        "12 of 18 tests did not end well "
        "(4 unknown, 2 server error, 1 forbidden, 2 not found, 3 invalid): "
        "Intranet (Vienna), Payroll over VPN (Gdansk), Intranet (Amsterdam), "
        "Payroll over VPN (Berlin), Holiday planner (Lyon) and 7 more; 6 accepted."
    )


async def test_a_run_leaves_one_artifact_a_test_a_table_and_a_summary_that_lead_to_one_another(
    simulate: Simulate,
) -> None:
    simulate(tests=ids(3), faults={"202702": Fault(replies=[404])})
    state, _ = await run(ids(3))

    artifacts = await artifacts_of(id_of(state))
    assert set(artifacts) == {SUMMARY, TABLE, *(f"endpoint-test-{test_id}" for test_id in ids(3))}
    rows = json.loads(str(artifacts[TABLE].data))
    assert [row["outcome"] for row in rows] == ["not_found", "accepted", "accepted"]
    assert all(row["test_name"] for row in rows)
    assert fields(artifacts["endpoint-test-202702"])["outcome"] == "not_found"
    summary = str(artifacts[SUMMARY].data)
    assert "**Failed.** 1 of 3 tests failed: Intranet (Gdansk) (not found); 2 accepted." in summary
    assert "/artifacts/key/endpoint-test-202702)" in summary
    assert f"/artifacts/artifact/{artifacts[TABLE].id})" in summary


async def test_the_caller_gets_one_record_a_test_in_the_order_asked_for(simulate: Simulate) -> None:
    simulator = simulate(tests=ids(3))
    # Numbers are taken for the IDs that they are.
    given: Any = [" 202703", 202702, "202701 ", "202703", 202701.0]
    outcomes = await rerun_endpoint_tests(given)
    assert [record.test_id for record in outcomes] == ["202703", "202702", "202701"]
    assert {record.outcome for record in outcomes} == {Outcome.ACCEPTED}
    assert sent(simulator) == dict.fromkeys(ids(3), 1)


async def test_a_failed_run_raises_its_sentence_and_its_outcomes_in_the_caller(
    simulate: Simulate,
) -> None:
    simulate(tests=ids(1))
    with pytest.raises(
        RerunFailed, match=r"1 of 2 tests failed: 999 \(not found\); 1 accepted\."
    ) as raised:
        await rerun_endpoint_tests([*ids(1), "999"])
    assert [record.outcome for record in raised.value.outcomes] == ["accepted", "not_found"]


async def test_a_run_passes_with_outcomes_that_fail_on_leaves_out_and_says_so(
    simulate: Simulate,
) -> None:
    simulate(tests=ids(1))
    state, _ = await run([*ids(1), "999"], fail_on=["unknown"])
    assert state.is_completed()
    assert state.message == "1 of 2 tests accepted; tolerated by fail_on: 999 (not found)."


@pytest.mark.parametrize("wrong", [["202701", "20:2701"], [""]], ids=["no ID", "nothing"])
async def test_what_is_no_list_of_ids_is_refused_before_anything_is_sent(
    simulate: Simulate, wrong: Any
) -> None:
    simulator = simulate(tests=ids(1))
    with pytest.raises(InvalidTestIds, match="Nothing was sent"):
        await rerun_endpoint_tests(wrong)
    assert simulator.calls == []


@pytest.mark.parametrize(
    "wrong",
    [
        *(["/../"], ["all of them"], [202701, True], [1.5], [None], [["202701"]]),
        *([{"id": "202701"}], "20:2701", None),
    ],
)
def test_what_is_no_list_of_ids_is_left_to_the_run_by_prefect_and_refused_there(
    wrong: Any,
) -> None:
    given = rerun_endpoint_tests.validate_parameters({"test_ids": wrong})
    with pytest.raises(InvalidTestIds, match="Nothing was sent"):
        Parameters.read(**given)


async def test_without_a_token_the_run_fails_with_the_variables_name_and_loses_no_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TE_TOKEN", raising=False)
    state, recorded = await run(ids(2))
    with pytest.raises(SettingsError, match="TE_TOKEN is not set"):
        await state.result()
    assert {record.outcome for record in recorded.values()} == {Outcome.NOT_ATTEMPTED}
    assert SUMMARY in await artifacts_of(id_of(state))


async def test_a_lost_reply_is_sent_again_only_under_at_least_once(simulate: Simulate) -> None:
    faults = {"202701": Fault(replies=["dropped_before"]), "202702": Fault(replies=[500])}
    simulator = simulate(tests=ids(3), faults=faults)
    _, recorded = await run(ids(3), delivery="at_most_once", results_deadline_minutes=0.02)
    assert [recorded[test_id].outcome for test_id in ids(3)] == [
        *("unknown", "server_error", "accepted")
    ]
    assert set(sent(simulator).values()) == {1}
    assert not any(record.maybe_duplicate for record in recorded.values())


async def test_a_429_is_waited_out_and_uses_up_no_retry(simulate: Simulate) -> None:
    simulator = simulate(tests=ids(3), instant_limit=3, window_seconds=5, windows="first_call")
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {simulator.token}"}) as other:
        for test_id in ids(3):  # somebody else uses up the window
            await other.post(f"{os.environ['TE_BASE_URL']}{TESTS}/{test_id}/run")
    state, recorded = await run(ids(3))
    assert state.is_completed(), state.message
    assert 429 in {call.status for call in simulator.calls}
    assert {simulator.runs(test_id) for test_id in ids(3)} == {2}
    assert not any(record.maybe_duplicate for record in recorded.values())
    assert sum(record.quota_wait_seconds for record in recorded.values()) > 0


async def test_a_refused_token_stops_the_run_after_one_call(simulate: Simulate) -> None:
    simulator = simulate(tests=ids(15), token="another-token")
    state, recorded = await run(ids(15))
    assert sum(sent(simulator).values()) == 1
    assert Counter(record.outcome for record in recorded.values()) == {
        Outcome.FORBIDDEN: 1,
        Outcome.NOT_ATTEMPTED: 14,
    }
    assert "stopped early: the token was refused (401)" in str(state.message)


async def test_when_the_first_ten_tests_fare_alike_the_breaker_stops_the_run(
    simulate: Simulate,
) -> None:
    faults = {test_id: Fault(replies=[404], repeat=True) for test_id in ids(12)}
    simulate(tests=ids(12), faults=faults)
    state, recorded = await run(ids(12), max_in_flight=1)
    counted = Counter(record.outcome.value for record in recorded.values())
    assert counted == {"not_found": 10, "not_attempted": 2}
    assert "stopped early" in str(state.message)


async def test_ten_tests_in_a_row_without_an_answer_stop_the_run(simulate: Simulate) -> None:
    faults = {test_id: Fault(replies=[503], repeat=True) for test_id in ids(14)[2:]}
    simulator = simulate(tests=ids(14), faults=faults)
    # One at a time: beside a test whose retries happen to wait long, others would end meanwhile.
    _, recorded = await run(ids(14), max_in_flight=1)
    counted = Counter(record.outcome.value for record in recorded.values())
    assert counted == {"accepted": 2, "server_error": 10, "not_attempted": 2}
    assert sent(simulator)["202713"] == 0


async def test_after_the_deadline_nothing_is_sent_and_the_rest_is_reported(
    simulate: Simulate,
) -> None:
    long = {"window_seconds": 600, "windows": "first_call"}  # none ends meanwhile
    simulator = simulate(tests=ids(6), instant_limit=2, **long)
    state, recorded = await run(ids(6), deadline_minutes=0.05)
    counted = Counter(record.outcome.value for record in recorded.values())
    assert counted == {"accepted": 2, "not_attempted": 4}
    assert sum(sent(simulator).values()) == 2
    assert "stopped early: the deadline" in str(state.message)


async def test_with_no_connection_every_test_ends_unreachable_or_not_attempted(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    simulate(tests=ids(30))
    monkeypatch.setenv("TE_BASE_URL", f"http://127.0.0.1:{unused_tcp_port}")
    _, recorded = await run(ids(30), max_in_flight=3)
    counted = Counter(record.outcome.value for record in recorded.values())
    assert set(counted) == {"unreachable", "not_attempted"}
    assert sum(counted.values()) == 30
    assert not any(record.maybe_duplicate for record in recorded.values())


async def test_an_unexpected_error_costs_one_test_and_no_other(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(tests=ids(3))
    confirmation = thousandeyes.replies.confirmation

    def broken(body: object) -> str:
        if "202702" in str(body):
            raise ZeroDivisionError
        return confirmation(body)

    monkeypatch.setattr(thousandeyes.client, "confirmation", broken)
    _, recorded = await run(ids(3))
    assert [recorded[test_id].outcome for test_id in ids(3)] == ["accepted", "unknown", "accepted"]
    assert "ZeroDivisionError" in recorded["202702"].detail


async def test_the_plan_is_told_once_the_limit_is_known(
    simulate: Simulate, caplog: pytest.LogCaptureFixture
) -> None:
    simulate(tests=ids(6), instant_limit=4)
    with suppress(RerunFailed):
        await rerun_endpoint_tests(ids(6), options=RerunOptions(deadline_minutes=0.02))
    assert re.search(r"6 tests, 4 a minute: about [1-6]?[0-9] s\n", caplog.text)


async def test_the_plan_is_told_once_more_when_a_window_is_no_minute(
    simulate: Simulate, caplog: pytest.LogCaptureFixture
) -> None:
    simulate(tests=ids(10), instant_limit=4, window_seconds=4)
    await rerun_endpoint_tests(ids(10))
    [corrected] = re.findall(r"The quota's window is not a minute\. (.*)", caplog.text)
    said = re.fullmatch(r"(\d+) tests, 4 every 4 s: about (\d+) s", corrected)
    assert said
    assert int(said[1]) < 10
