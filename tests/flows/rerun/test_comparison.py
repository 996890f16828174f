"""Which earlier run a run is compared with, and what it says of the difference."""

from collections.abc import Callable
from itertools import chain
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import PrefectHTTPStatusError

from flows.rerun import RerunOptions, rerun_endpoint_tests
from flows.rerun.comparison import Comparison, choose, comparison_of
from flows.rerun.parameters import Parameters
from tasks.artifacts import NOT_SENT_KEY
from tests.flows.rerun.written_runs import ended_run
from tests.flows.scene import NO_RUN, SUMMARY, Simulate, artifacts_of, fields, rows
from thousandeyes.errors import SettingsError
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.simulator import Fault
from thousandeyes.standing import Standing

pytestmark = pytest.mark.usefixtures("prefect_server")

ASKED = httpx.Request("POST", "http://127.0.0.1/api/artifacts/filter")
BROKEN = {"2": Fault(replies=[404], repeat=True)}


async def run(test_ids: list[str], **options: Any) -> tuple[State[Any], UUID]:
    state = await rerun_endpoint_tests(
        test_ids, options=RerunOptions.model_validate(options), return_state=True
    )
    assert state.state_details.flow_run_id
    return state, state.state_details.flow_run_id


async def changes(flow_run_id: UUID) -> dict[str, tuple[Any, Any]]:
    artifacts = await artifacts_of(flow_run_id)
    table = rows(artifacts["endpoint-rerun-outcomes-local"])
    own = {row["test_id"]: fields(artifacts[f"endpoint-test-{row['test_id']}"]) for row in table}
    return {row["test_id"]: (row["change"], own[row["test_id"]]["failing_runs"]) for row in table}


async def test_a_run_says_what_broke_since_the_run_it_is_compared_with(
    simulate: Simulate,
) -> None:
    before = await ended_run(dict.fromkeys("123", Outcome.ACCEPTED))
    simulate(tests=["1", "2", "4"], faults=BROKEN)
    _, after = await run(["1", "2", "4"], compare_with=str(before))

    assert await changes(after) == {
        "1": ("unchanged", 0),
        "2": ("new_failure", 1),
        "4": ("new", 0),
    }
    summary = str((await artifacts_of(after))[SUMMARY].data)
    assert "## What changed" in summary
    assert "- Newly failing: " in summary
    assert "- No longer part of the run: " in summary


async def test_a_gate_for_new_failures_lets_pass_what_failed_before(simulate: Simulate) -> None:
    simulate(tests=["1", "2"], faults=BROKEN)
    first, before = await run(["1", "2"], fail_on=["new_failure"])
    second, after = await run(["1", "2"], fail_on=["new_failure"], compare_with=str(before))
    assert first.is_failed(), "nobody knows that it failed before"
    assert second.is_completed()
    assert (await changes(after))["2"] == ("still_failing", 2)


async def test_a_run_narrowed_down_is_compared_with_the_run_that_it_narrows(
    simulate: Simulate,
) -> None:
    simulate(tests=["1", "2"])
    before = await ended_run({"1": Outcome.ACCEPTED, "2": Outcome.NOT_FOUND})
    _, after = await run([], only_failed_of=str(before))
    assert await changes(after) == {"2": ("recovered", 0)}
    assert await histories(after) == {"2": "✗✓"}, "it marks its own tests alone"
    assert "No longer part" not in str((await artifacts_of(after))[SUMMARY].data)


async def test_nothing_is_compared_where_that_is_asked_for(simulate: Simulate) -> None:
    simulate(tests=["1"])
    _, after = await run(["1"], compare_with="nothing")
    assert await changes(after) == {"1": (None, 0)}


async def histories(flow_run_id: UUID) -> dict[str, str]:
    """Return the marks that a run's tests have on record."""
    artifacts = await artifacts_of(flow_run_id)
    own = [fields(one) for key, one in artifacts.items() if key.startswith("endpoint-test-")]
    not_sent = [rows(one) for key, one in artifacts.items() if key.startswith(NOT_SENT_KEY)]
    return {row["test_id"]: row["history"] for row in [*chain(*not_sent), *own]}


async def test_each_test_has_the_marks_of_the_last_runs(simulate: Simulate) -> None:
    first = await ended_run(dict.fromkeys("12", Outcome.ACCEPTED))
    simulate(tests=["1", "2"], faults=BROKEN)
    _, second = await run(["1", "2"], compare_with=str(first))
    _, third = await run(["1", "2"], compare_with=str(second))
    assert await histories(third) == {"1": "✓✓✓", "2": "✓✗✗"}
    summary = str((await artifacts_of(third))[SUMMARY].data)
    assert "Last 3 runs, the newest at the right: ✓✗✗" in summary


async def test_a_test_that_was_not_sent_is_marked_so_and_keeps_how_it_stood(
    simulate: Simulate,
) -> None:
    first = await ended_run({"2": Outcome.NOT_FOUND, "1": Outcome.ACCEPTED})
    simulate(tests=["1", "2"], faults={"2": Fault(replies=[401])})
    _, stopped = await run(["2", "1"], compare_with=str(first), max_in_flight=1)
    assert await histories(stopped) == {"1": "✓·", "2": "✗✗"}
    simulate(tests=["1", "2"], faults=BROKEN)
    _, third = await run(["1", "2"], compare_with=str(stopped))
    assert await histories(third) == {"1": "✓·✓", "2": "✗✗✗"}
    assert await changes(third) == {"1": ("unchanged", 0), "2": ("still_failing", 3)}


async def test_a_test_that_comes_back_has_its_history(simulate: Simulate) -> None:
    simulate(tests=["1", "2"])
    before = await ended_run(dict.fromkeys("12", Outcome.ACCEPTED))
    for _ in range(2):
        _, before = await run(["1"], compare_with=str(before))
    summary = str((await artifacts_of(before))[SUMMARY].data)
    assert "No longer part" not in summary, "that was told once"
    _, back = await run(["1", "2"], compare_with=str(before))
    assert await histories(back) == {"1": "✓✓✓✓", "2": "✓··✓"}
    assert (await changes(back))["2"] == ("new", 0)


async def test_a_dry_run_leaves_no_mark_and_nothing_to_compare_with(simulate: Simulate) -> None:
    simulate(tests=["1"])
    _, flow_run_id = await run(["1"], dry_run=True)
    assert await histories(flow_run_id) == {}
    with pytest.raises(SettingsError, match=r"compare_with: .* was a dry run, which says nothing"):
        await rerun_endpoint_tests(["1"], options=RerunOptions(compare_with=str(flow_run_id)))


@pytest.mark.parametrize("reference", [NO_RUN, "no-such/deployment", "neither"])
async def test_a_run_that_is_not_there_is_told_before_anything_is_sent(
    simulate: Simulate, reference: str
) -> None:
    simulator = simulate(tests=["1"])
    with pytest.raises(SettingsError, match=r"compare_with: .* Nothing was sent"):
        await rerun_endpoint_tests(["1"], options=RerunOptions(compare_with=reference))
    assert not simulator.calls


async def test_earlier_outcomes_that_prefect_refuses_to_tell_cost_the_run_only_its_comparison(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object, **__: object) -> None:
        answer = httpx.Response(422, json={"detail": "Invalid limit"}, request=ASKED)
        raise PrefectHTTPStatusError("422", request=ASKED, response=answer)

    before = await ended_run({"1": Outcome.ACCEPTED})
    monkeypatch.setattr("flows.rerun.comparison.recorded", refused)
    simulate(tests=["1"])
    state, after = await run(["1"], compare_with=str(before))
    assert state.message == "1 of 1 tests accepted."
    assert await changes(after) == {"1": (None, 0)}


@pytest.fixture
def runs() -> Callable[..., FlowRun]:
    def make(test_ids: list[str], **options: Any) -> FlowRun:
        parameters = {"test_ids": test_ids, "options": options}
        return FlowRun(flow_id=uuid4(), parameters=parameters)

    return make


def test_of_a_deployments_runs_the_last_that_sent_the_same_tests_counts(
    runs: Callable[..., FlowRun],
) -> None:
    others, same = runs(["9"]), runs(["1"])
    passed_over = [runs(["1"], dry_run=True), runs(["1"], only_failed_of="a/b")]
    asked = Parameters(test_ids=["1"])
    before = runs(["1"])
    assert choose([*passed_over, others, same, before], asked) == [same, before, others]
    assert choose(passed_over, asked) == []


@pytest.mark.parametrize(
    "given",
    [
        {"groups": ["offices"]},
        {"options": {"test_ids_file": "a.txt"}},
        {"options": {"name_pattern": "A*"}},
    ],
    ids=["groups", "a file", "names"],
)
def test_and_the_same_are_those_that_were_asked_for_in_the_same_way(given: dict[str, Any]) -> None:
    same, other = (FlowRun(flow_id=uuid4(), parameters=asked) for asked in (given, {}))
    assert choose([other, same], Parameters.read(**given)) == [same, other]


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ({"test_ids": "3 2 1"}, {"test_ids": "1 2 3"}),
        ({"test_ids": "1 2 3 1"}, {"test_ids": "1 2 3"}),
        ({"groups": "offices, homes"}, {"groups": ["homes", "offices"]}),
    ],
    ids=["another order", "a repeat", "groups"],
)
def test_the_same_tests_are_the_same_however_they_were_listed(
    then: dict[str, Any], now: dict[str, Any]
) -> None:
    same, other = (FlowRun(flow_id=uuid4(), parameters=given) for given in (then, {"test_ids": 9}))
    assert choose([other, same], Parameters.read(**now)) == [same, other]


def test_a_run_in_which_all_is_as_before_says_that_nothing_changed(
    runs: Callable[..., FlowRun],
) -> None:
    run = runs(["1"])
    comparison = Comparison(run, {"1": Record("1", outcome=Outcome.ACCEPTED)})
    now = Record("1", outcome=Outcome.ACCEPTED)
    comparison.note(now)
    assert comparison.markdown([now]) == (
        f'## What changed\n\nSince the run "{run.name}", nothing changed.'
    )


@pytest.mark.parametrize(("known", "shown"), [("", "VPN gateway"), ("VPN", "VPN")])
def test_a_test_that_nobody_can_name_any_more_keeps_the_name_it_had(
    runs: Callable[..., FlowRun], known: str, shown: str
) -> None:
    then = Record("1", "VPN gateway", outcome=Outcome.ACCEPTED)
    now = Record("1", known, outcome=Outcome.NOT_FOUND)
    Comparison(runs(["1"]), {"1": then}).note(now)
    assert now.test_name == shown


async def test_a_run_that_was_compared_with_nothing_says_no_more_when_it_goes_on() -> None:
    record = Record("1")
    record.stands(Standing())
    asked = Parameters.read(test_ids=["1"], options=RerunOptions(compare_with="nightly/d"))
    comparison = await comparison_of(asked, FlowRun(flow_id=uuid4()), {"1": record}, ["1"])
    assert comparison.none == "Compared with nothing, as when this run began: its log says why."
