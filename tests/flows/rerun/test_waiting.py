"""The flow waits for results: a real Prefect server, and the simulator on a real socket."""

import asyncio
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import State
from prefect.client.schemas.sorting import ArtifactSort

from flows.rerun import RerunOptions, rerun_endpoint_tests
from flows.rerun.command_line import ExitStatus, main
from flows.rerun.results import Results
from tasks.artifacts import read_outcomes
from tasks.blocks import EndpointTestGroup
from tasks.markdown import plain
from tests.flows.rerun.schema import keeps_to_its_schema
from tests.flows.scene import (
    SUMMARY,
    TABLE,
    Simulate,
    artifacts_of,
    fields,
    id_of,
    ids,
    rows,
    sent,
    wait_until,
)
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.simulator import Behaviour, Cause, Fault
from thousandeyes.thresholds import Thresholds

pytestmark = pytest.mark.usefixtures("prefect_server")

QUICK: dict[str, Any] = {"results_after_seconds": 0.1, "healthy": True, "agents": 9}


async def run(test_ids: list[str], **options: Any) -> tuple[State[Any], UUID, dict[str, Record]]:
    options = {"wait_for_results": True} | options
    state = await rerun_endpoint_tests(
        test_ids, options=RerunOptions.model_validate(options), return_state=True
    )
    flow_run_id = state.state_details.flow_run_id
    assert flow_run_id
    recorded = await read_outcomes([flow_run_id])
    return state, flow_run_id, {record.test_id: record for record in recorded}


async def test_verdicts_stand_in_artifacts_table_and_summary_with_failures_first(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TE_APP_URL", "https://app.example")
    bad = {"202702": [Behaviour(agents=[1, 2], loss=100)], "202703": [Behaviour(answers="never")]}
    simulator = simulate(tests=ids(4), agents_of=bad, **QUICK)
    state, flow_run_id, recorded = await run(ids(4), results_deadline_minutes=0.03)
    assert state.message == (
        "2 of 4 tests failed: Intranet (Gdansk), VPN gateway (Amsterdam) (no data); 2 passed; "
        "1 verdict is provisional."
    )
    assert state.is_failed()
    assert {test_id: record.ending.value for test_id, record in recorded.items()} == {
        "202701": "passed",
        "202702": "failed",
        "202703": "no_data",
        "202704": "passed",
    }
    artifacts = await artifacts_of(flow_run_id)
    table = rows(artifacts[TABLE])
    assert [row["test_id"] for row in table] == ["202702", "202703", "202701", "202704"]
    told = fields(artifacts["endpoint-test-202702"])
    assert (told["verdict"], told["provisional"]) == ("failed", False)
    answering = [agent.name for agent in simulator.agents if agent.is_online]
    names = [agent.name for agent in simulator.agents]
    failed = set(str(told["agents_failed"]).split(", "))
    assert failed <= set(names)
    assert len(failed) == 2
    assert told["agents_answered"] == len(answering)
    assert [row["agents"] for row in table] == [
        f"2 of {len(answering)} failed",
        "no results, provisional",
        f"{len(answering)} of {len(answering)} passed",
        f"{len(answering)} of {len(answering)} passed",
    ]
    described = str(artifacts["endpoint-test-202703"].description)
    assert described.endswith(
        ": no data. none of 9 expected agents answered (provisional: they may still answer)"
    )
    summary = str(artifacts[SUMMARY].data)
    looked_at = summary.partition("## Needs a look")[2]
    assert all(name in looked_at for name in failed)
    assert looked_at.index("202702") < looked_at.index("202703")
    assert "](https://app.example/view/endpoint-agent?" in looked_at
    assert "202701" not in looked_at
    own = await versions_of_tests(flow_run_id)
    assert own == {f"endpoint-test-{test_id}": 1 for test_id in ids(4)}, "brought up to date"
    assert await states_of_task_runs(flow_run_id) == {"Completed"}, "no verdict fails one"


async def versions_of_tests(flow_run_id: UUID) -> Counter[str]:
    """Return how many artifacts each test of a run has."""
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=ArtifactFilter(
                flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]),
                key=ArtifactFilterKey(like_="endpoint-test-%"),
            )
        )
    return Counter(str(artifact.key) for artifact in found)


async def states_of_task_runs(flow_run_id: UUID) -> set[str]:
    """Return the states in which the task runs of a run have ended."""
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    async with get_client() as client:
        while True:  # Prefect hears of task runs some time later
            states = [one.state for one in await client.read_task_runs(flow_run_filter=of_run)]
            if states and all(state and state.is_final() for state in states):
                return {str(state and state.name) for state in states}
            await asyncio.sleep(0.2)


async def test_verdicts_that_fail_on_leaves_out_are_let_pass(simulate: Simulate) -> None:
    simulate(tests=ids(2), agents_of={"202701": [Behaviour(loss=100)]}, **QUICK)
    state, _, _ = await run(ids(2), fail_on=["unknown", "no_data"], link_to_app=False)
    assert state.is_completed()
    assert state.message == "1 of 2 tests passed; tolerated by fail_on: Payroll over VPN (Turin)."


async def test_a_group_judges_its_tests_by_thresholds_of_its_own(simulate: Simulate) -> None:
    simulate(tests=ids(2), agents_of={"*": [Behaviour(latency_ms=50)]}, **QUICK)
    group = EndpointTestGroup(test_ids=["202701"], thresholds=Thresholds(max_latency_ms=40))
    await group.save("strict-results", overwrite=True)
    options = RerunOptions(wait_for_results=True, thresholds=Thresholds(max_latency_ms=60))
    state = await rerun_endpoint_tests(
        ["202702"], ["strict-results"], None, options, return_state=True
    )
    assert state.message == "1 of 2 tests failed: Payroll over VPN (Turin); 1 passed."
    summary = str((await artifacts_of(id_of(state)))[SUMMARY].data)
    assert "\n1 test was judged by thresholds of its group, not by this run's.\n" in summary


async def test_lost_replies_one_after_the_other_neither_stop_the_run_nor_stay_unknown(
    simulate: Simulate,
) -> None:
    """Eleven in a row would open the breaker, if none of them had been carried out."""
    *carried_out, lost, _ = ids(13)
    faults = {test_id: Fault(replies=["dropped_after"]) for test_id in carried_out}
    faults |= {lost: Fault(replies=["dropped_before"])}
    simulator = simulate(tests=ids(13), faults=faults, **QUICK)
    state, _, recorded = await run(
        ids(13),
        wait_for_results=False,
        delivery="at_most_once",
        max_in_flight=1,
        results_deadline_minutes=0.05,
    )
    name = simulator.tests[lost].name
    assert state.message == f"1 of 13 tests failed: {name} (unknown); 12 accepted."
    assert sent(simulator) == dict.fromkeys(ids(13), 1)
    for test_id, record in recorded.items():
        assert record.outcome == ("accepted" if simulator.runs(test_id) else "unknown")
    assert "confirmed by its results" in recorded["202701"].detail


async def test_lost_replies_of_tests_that_did_not_run_stop_the_run_all_the_same(
    simulate: Simulate,
) -> None:
    faults = {test_id: Fault(replies=["dropped_before"]) for test_id in ids(300)}
    simulator = simulate(tests=ids(300), faults=faults, latency_seconds=0.05, **QUICK)
    state, _, _ = await run(
        ids(300), delivery="at_most_once", max_in_flight=2, results_deadline_minutes=0.01
    )
    assert "stopped early: 10 tests in a row got no useful answer" in str(state.message)
    assert 10 <= sum(sent(simulator).values()) < 300


async def test_a_retried_run_brings_the_verdicts_that_are_missing_and_sends_nothing_again(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate(tests=ids(3), faults={"202702": Fault(replies=["dropped_after"])}, **QUICK)
    follow, attempts = Results.follow, []

    async def broken_once(self: Results, aid: str | None) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            await wait_until(lambda: len(self) == 3)
            raise ZeroDivisionError
        await follow(self, aid)

    monkeypatch.setattr(Results, "follow", broken_once)
    options = RerunOptions(wait_for_results=True, delivery="at_most_once")
    outcomes = await rerun_endpoint_tests.with_options(retries=1)(ids(3), options=options)
    assert [record.ending for record in outcomes] == ["passed"] * 3
    assert sent(simulator) == dict.fromkeys(ids(3), 1)


async def test_cancelled_while_it_waits_a_run_keeps_what_was_accepted(
    simulate: Simulate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    simulate(tests=ids(2), agents_of={"*": [Behaviour(answers="never")]}, **QUICK)
    running = asyncio.ensure_future(
        rerun_endpoint_tests(ids(2), options=RerunOptions(wait_for_results=True))
    )
    await wait_until(lambda: "waiting for the results of 2 tests" in caplog.text)
    running.cancel()
    await asyncio.wait([running])
    async with get_client() as client:
        [summary, *_] = await client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[SUMMARY])),
            sort=ArtifactSort.CREATED_DESC,
            limit=1,
        )
    assert summary.description == "Cancelled. 2 of 2 tests accepted; stopped early: cancelled."


async def test_the_plan_tells_of_the_wait(
    simulate: Simulate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    simulate(tests=ids(1), **QUICK)
    state, _, recorded = await run(ids(1))
    assert state.is_completed()
    assert recorded["202701"].outcome is Outcome.ACCEPTED
    assert "; then up to 5 minutes for results" in caplog.text
    assert "Test 202701: passed: " in caplog.text


@pytest.mark.parametrize("names", [True, False])
def test_where_the_paths_of_failing_laptops_end_stands_in_artifact_summary_and_document(
    simulate: Simulate, tmp_path: Path, *, names: bool
) -> None:
    bad = {"202702": [Behaviour(agents=[1, 2, 3], loss=100)]}
    simulator = simulate(tests=ids(2), agents_of=bad, **QUICK)
    document = tmp_path / "run.json"
    options = ["--wait-for-results", "--paths-of-failing-agents", "2", "--json", str(document)]
    if not names:
        options.append("--no-name-laptops-and-networks")
    assert main([*ids(2), *options]) == ExitStatus.FAILED
    told = json.loads(document.read_text())
    keeps_to_its_schema(told)
    whole, failed = told["tests"]
    assert whole["paths"] is None
    [first, second] = failed["paths"].split(". ")
    gateways = {agent.surroundings["networkProfile"]["gateway"] for agent in simulator.agents}
    for sentence in (first, second):
        assert re.match(r"The path of \S+ (to its VPN gateway )?ends after hop 1 of \d+ ", sentence)
        assert sentence.endswith("the gateway): nothing beyond it answered")
        assert any(gateway in sentence for gateway in gateways) is names
        assert any(agent.name in sentence for agent in simulator.agents) is names
    asked = [call for call in simulator.calls if "/path-vis/" in call.path]
    assert len(asked) == 2
    artifacts = asyncio.run(artifacts_of(UUID(told["flow_run"]["id"])))
    assert fields(artifacts["endpoint-test-202702"])["paths"] == failed["paths"]
    assert "paths" not in fields(artifacts["endpoint-test-202701"])
    assert "paths" not in rows(artifacts[TABLE])[0]
    summary = str(artifacts[SUMMARY].data)
    assert plain(failed["paths"]) in summary
    assert "; 2 calls were spent on the paths of failing laptops." in summary
    everything = "".join(str(artifact.data) for artifact in artifacts.values())
    assert not any(agent.email in everything for agent in simulator.agents)


@pytest.mark.parametrize("names", [True, False])
async def test_the_summary_says_what_the_failing_laptops_share(
    simulate: Simulate, *, names: bool
) -> None:
    office = {"agents": 120, "max_machines": 120, "page_size": 1000}
    cause = Cause(attribute="ssid", value="Guest-7F")
    simulate(tests=ids(2), causes=[cause], **QUICK | office)
    state, flow_run_id, _ = await run(ids(2), name_laptops_and_networks=names)
    assert state.is_failed()
    artifacts = await artifacts_of(flow_run_id)
    sentence, _, shared, _, next_heading, *_ = str(artifacts[SUMMARY].data).splitlines()
    assert sentence.startswith("**Failed.**")
    where = "Wi-Fi Guest-7F" if names else "one Wi-Fi network"
    assert re.match(rf"All \d+ laptops on {where} failed, none of \d+ elsewhere\.", shared)
    assert next_heading == "## Needs a look"
    everything = "".join(str(artifact.data) for artifact in artifacts.values())
    assert ("Guest-7F" in everything) is names
