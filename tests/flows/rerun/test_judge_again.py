"""A run is judged again when its late laptops have answered: real servers, and no new call."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from prefect import flow, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import Artifact, FlowRun, State
from prefect.states import Cancelled, Crashed

from flows.rerun import RerunOptions, judge_run_again, rerun_endpoint_tests
from flows.rerun.command_line import ExitStatus, main
from flows.rerun.judge_again import _place_of
from flows.runs.history import recorded
from tasks.artifacts import times_of
from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tests.flows.rerun.schema import keeps_to_its_schema
from tests.flows.rerun.written_runs import crashed_run, ended_run
from tests.flows.scene import (
    NO_RUN,
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
from thousandeyes.errors import SettingsError
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.simulator import Behaviour, Fault, Simulator
from thousandeyes.simulator.faults import ResultFaults
from thousandeyes.simulator.quota import Quota
from thousandeyes.thresholds import Thresholds

pytestmark = pytest.mark.usefixtures("prefect_server")

LATE = Behaviour(agents=[0, 1], late_seconds=480)
LATE_AND_LOST = Behaviour(agents=[0, 1], late_seconds=480, loss=100)


class Clock:
    """The server's, which a test sets ahead instead of waiting."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def late(simulate: Simulate) -> Callable[..., tuple[Simulator, Clock]]:
    """Return a simulator whose laptops are late in some tests, and its clock."""

    def start(agents_of: dict[str, list[Behaviour]], **options: Any) -> tuple[Simulator, Clock]:
        clock = Clock()
        usual = {"results_after_seconds": 0.1, "healthy": True, "agents": 9, "tests": ids(3)}
        return simulate(clock=clock, agents_of=agents_of, **usual | options), clock

    return start


async def run(test_ids: list[str], **options: Any) -> tuple[State[Any], UUID]:
    usual = {"wait_for_results": True, "results_deadline_minutes": 0.03}
    state = await rerun_endpoint_tests(
        test_ids, options=RerunOptions.model_validate(usual | options), return_state=True
    )
    return state, id_of(state)


async def versions(flow_run_id: UUID) -> Counter[str]:
    """Return how many versions of each artifact belong to a run."""
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))
        )
    return Counter(str(artifact.key) for artifact in found)


Late = Callable[..., tuple[Simulator, Clock]]


async def recorded_by(flow_run_id: UUID) -> dict[str, Record]:
    async with get_client() as client:
        return await recorded(await client.read_flow_run(flow_run_id))


async def test_late_laptops_make_provisional_verdicts_final_and_nothing_is_sent(
    late: Late,
) -> None:
    simulator, clock = late({"202701": [LATE], "202702": [LATE_AND_LOST]})
    state, flow_run_id = await run(ids(3))
    assert state.message == "3 of 3 tests passed; 2 verdicts are provisional."
    before = await versions(flow_run_id)
    clock.ahead = 1200
    again = await judge_run_again(str(flow_run_id), return_state=True)
    assert again.is_failed()
    assert again.message == (
        "2 of 2 provisional verdicts are final now: Intranet (Gdansk) (passed before, failed now). "
        "1 of 3 tests failed: Intranet (Gdansk); 2 passed."
    )
    assert sent(simulator) == dict.fromkeys(ids(3), 1)
    artifacts = await artifacts_of(flow_run_id)
    assert [(row["test_id"], row["verdict"]) for row in _table(artifacts)] == [
        ("202702", "failed"),
        ("202701", "passed"),
        ("202703", "passed"),
    ]
    assert not any("provisional" in row["agents"] for row in _table(artifacts))
    assert "judged again." in str(artifacts[SUMMARY].data)
    final = fields(artifacts["endpoint-test-202702"])
    assert (final["verdict"], final["provisional"]) == ("failed", False)
    new = ("endpoint-test-202701", "endpoint-test-202702", SUMMARY, TABLE)
    assert await versions(flow_run_id) == before + Counter(new), "the third test keeps its own"
    calls = len(simulator.calls)
    await judge_run_again(str(flow_run_id), return_state=True)
    assert len(simulator.calls) == calls, "nor is a test that failed read again"
    reports = await times_of([flow_run_id], "endpoint-reruns-")
    assert len(reports) == 1, "the new one is not the run's: it hides no attempt that died"


@pytest.mark.usefixtures("read_twice")
@pytest.mark.parametrize("read_twice", ["refused"], indirect=True)
async def test_a_prefect_server_that_is_away_meanwhile_is_waited_for(late: Late) -> None:
    _, clock = late({"202701": [LATE_AND_LOST]})
    _, flow_run_id = await run(ids(1))
    clock.ahead = 1200
    again = await judge_run_again(str(flow_run_id), return_state=True)
    assert str(again.message).startswith("1 of 1 provisional verdict is final now: ")


async def test_judged_too_early_a_verdict_stays_provisional_and_once_it_is_final_nothing_is_read(
    late: Late,
) -> None:
    simulator, clock = late({"202701": [LATE]})
    _, flow_run_id = await run(ids(1))
    before = await versions(flow_run_id)
    clock.ahead = 240
    again = await judge_run_again(str(flow_run_id), return_state=True)
    assert again.message == (
        "0 of 1 provisional verdict is final now; none changed. "
        "1 of 1 tests passed; 1 verdict is provisional."
    )
    assert (await versions(flow_run_id))["endpoint-test-202701"] == before["endpoint-test-202701"]

    clock.ahead = 1200
    await judge_run_again(str(flow_run_id))
    calls, final = len(simulator.calls), await versions(flow_run_id)
    again = await judge_run_again(str(flow_run_id), return_state=True)
    assert again.is_completed()
    assert again.message == "No verdict was provisional. 1 of 1 tests passed."
    assert len(simulator.calls) == calls
    assert await versions(flow_run_id) == final, "nothing is written either"


async def test_the_rounds_of_a_later_rerun_do_not_count(late: Late) -> None:
    simulator, clock = late({"202701": [LATE]})
    _, flow_run_id = await run(ids(1))
    clock.ahead = 180
    await run(ids(1))
    clock.ahead = 1200
    await judge_run_again(str(flow_run_id))
    [first, second] = (int(at // 60) * 60 for at in simulator.run_times["202701"])
    record = (await recorded(await read_run(flow_run_id)))["202701"]
    assert record.verdict
    assert (record.verdict.agents_answered, record.verdict.provisional) == (9, False)
    assert f"roundId={first}" in str(record.app_link)
    assert first < second


async def test_nor_do_they_settle_a_doubt_that_a_run_takes_over(late: Late) -> None:
    simulator, clock = late({}, faults={"202701": Fault(replies=["dropped_before"])})
    quick = {"delivery": "at_most_once", "wait_for_results": False}
    _, flow_run_id = await run(ids(1), **quick)
    clock.ahead = 180
    await run(ids(1))
    clock.ahead = 360
    state, goes_on = await run([], only_failed_of=str(flow_run_id), **quick)
    assert state.is_failed()
    assert (await recorded_by(goes_on))["202701"].outcome == "unknown"
    assert len(simulator.run_times["202701"]) == 1, "the other run's"


async def test_nor_do_they_settle_a_doubt_while_the_run_lives(late: Late) -> None:
    simulator, clock = late({}, faults={"202701": Fault(replies=["dropped_before"])})
    quick = {"delivery": "at_most_once", "results_deadline_minutes": 0.2}
    first = asyncio.ensure_future(run(ids(1), **quick))
    await wait_until(lambda: any(call.path.endswith("/run") for call in simulator.calls))
    clock.ahead = 180
    other, _ = await run(ids(1), wait_for_results=False)
    assert other.is_completed()
    assert not first.done()
    _, flow_run_id = await first
    record = (await recorded_by(flow_run_id))["202701"]
    assert (record.outcome, record.verdict) == ("unknown", None)
    assert "may be another run's, and it may still have run" in record.detail


async def test_that_a_run_was_cancelled_and_stopped_early_stays_told(late: Late) -> None:
    _, clock = late({"202701": [LATE]}, faults={"202702": Fault(replies=[401])})
    _, flow_run_id = await run(ids(3), max_in_flight=1, fail_on=[])
    async with get_client() as client:
        await client.set_flow_run_state(flow_run_id, Cancelled(message="by hand"), force=True)
    clock.ahead = 1200
    ends = "; stopped early: the token was refused (401): has it expired, or is its user locked?"
    again = await judge_run_again(str(flow_run_id), return_state=True)
    assert str(again.message).startswith("1 of 1 provisional verdict is final now; none changed.")
    assert str(again.message).endswith(ends)
    summary = str((await artifacts_of(flow_run_id))[SUMMARY].data)
    assert summary.startswith("**Cancelled.** 1 of 1 provisional verdict")
    once_more = await judge_run_again(str(flow_run_id), return_state=True)
    assert str(once_more.message).endswith(ends)


async def test_the_name_of_a_test_can_not_say_that_a_run_stopped_early(late: Late) -> None:
    _, clock = late({"202701": [LATE]}, faults={"202702": Fault(replies=[404])})
    name = "VPN; stopped early: lunch. x"
    await EndpointTestGroup(test_ids=["202702"], names={"202702": name}).save("lunch")
    options = RerunOptions(wait_for_results=True, results_deadline_minutes=0.03)
    state = await rerun_endpoint_tests(ids(1), ["lunch"], options=options, return_state=True)
    clock.ahead = 1200
    again = await judge_run_again(str(id_of(state)), return_state=True)
    assert again.message == (
        "1 of 1 provisional verdict is final now; none changed. "
        f"1 of 2 tests failed: {name} (not found); 1 passed."
    )


async def test_what_can_not_be_read_leaves_the_verdict_as_it_was_and_fails_the_run(
    late: Late,
) -> None:
    reading_once = [200] * 100
    simulator, clock = late({"202701": [LATE]}, result_replies=reading_once)
    _, flow_run_id = await run(ids(1))
    before = await versions(flow_run_id)
    simulator.result_faults = ResultFaults([503] * 9)
    clock.ahead = 1200
    again = await judge_run_again(str(flow_run_id), return_state=True)
    assert again.is_failed()
    assert str(again.message).startswith(
        "0 of 1 provisional verdict is final now; none changed; the results could not "
        "be read to the end: 503: "
    )
    assert (await versions(flow_run_id))["endpoint-test-202701"] == before["endpoint-test-202701"]
    summary = str((await artifacts_of(flow_run_id))[SUMMARY].data)
    assert summary.startswith("**Passed.** 0 of 1 provisional"), "the run itself did not fail"


async def test_a_judging_that_is_cut_short_leaves_the_report_of_the_run_as_it_was(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_cut_short(*_: object) -> None:
        raise trouble

    _, clock = late({"202701": [LATE]})
    _, flow_run_id = await run(ids(1))
    before = await versions(flow_run_id)
    clock.ahead = 1200
    for trouble in (ConnectionResetError(), asyncio.CancelledError()):
        with monkeypatch.context() as patch:
            patch.setattr("flows.rerun.judge_again.rounds_of_others", is_cut_short)
            with pytest.raises(type(trouble)):
                await judge_run_again(str(flow_run_id))
        assert await versions(flow_run_id) == before
    again = await judge_run_again(str(flow_run_id), return_state=True)
    assert str(again.message).startswith("1 of 1 provisional verdict is final now")


async def test_of_a_run_that_died_before_its_report_the_new_one_stands_at_its_deployment() -> None:
    async with get_client() as client:
        deployment = await client.create_deployment(
            await client.create_flow(rerun_endpoint_tests), name="Of the dead"
        )
        died = await client.create_flow_run_from_deployment(deployment)
    place = await _place_of(died, None)
    assert (place.deployment, place.ended_run) == ("of-the-dead", died.id)


async def test_of_a_subflow_the_new_report_stands_under_the_key_of_the_first(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    @flow
    async def calls() -> State[Any]:
        return (await run(ids(1)))[0]

    async with get_client() as client:
        deployment = await client.create_deployment(
            await client.create_flow(calls), name="Of the caller"
        )
    _, clock = late({"202701": [LATE]})
    with monkeypatch.context() as patch:  # as Prefect tells it in a run of the deployment
        patch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", str(deployment))
        flow_run_id = id_of(await calls())
    before = await versions(flow_run_id)
    clock.ahead = 1200
    await judge_run_again(str(flow_run_id))
    slug = "of-the-caller"
    new = ("endpoint-test-202701", f"endpoint-reruns-{slug}", f"endpoint-rerun-outcomes-{slug}")
    assert await versions(flow_run_id) == before + Counter(new)


async def test_a_test_that_was_in_doubt_is_settled_by_its_late_laptops(late: Late) -> None:
    everybody = Behaviour(late_seconds=480)
    simulator, clock = late(
        {"202701": [everybody]}, faults={"202701": Fault(replies=["dropped_after"])}
    )
    state, flow_run_id = await run(ids(1), delivery="at_most_once")
    assert state.is_failed()
    clock.ahead = 1200
    again = await judge_run_again(str(flow_run_id), return_state=True)
    assert again.message == (
        "1 of 1 open verdict is final now: Payroll over VPN (Turin) (unknown before, passed "
        "now). 1 of 1 tests passed."
    )
    assert sent(simulator) == {"202701": 1}


@pytest.mark.parametrize("named", [True, False], ids=["its own", "of the run it narrows down"])
async def test_it_judges_by_the_thresholds_of_the_runs_groups_and_by_its_fail_on(
    late: Late, monkeypatch: pytest.MonkeyPatch, *, named: bool
) -> None:
    slow = Behaviour(agents=[0, 1], late_seconds=480, latency_ms=500)
    _, clock = late({"202701": [slow]})
    group = EndpointTestGroup(test_ids=["202701"], thresholds=Thresholds(max_latency_ms=400))
    await group.save("judged-again", overwrite=True)
    known = ThousandEyesSettings()
    block = ThousandEyesCredentials(token=known.token, base_url=known.base_url)
    await block.save("judged-again", overwrite=True)
    monkeypatch.delenv("TE_TOKEN")
    groups = ["judged-again"]
    async with get_client() as client:
        earlier = await client.create_flow_run(
            rerun_endpoint_tests,
            parameters={"groups": groups, "credentials": "gone-by-now"},
            state=Crashed(),
        )
    options = RerunOptions(
        wait_for_results=True,
        results_deadline_minutes=0.03,
        fail_on=[],
        thresholds=Thresholds(max_loss_percent=50),
        only_failed_of=None if named else str(earlier.id),
    )
    state = await rerun_endpoint_tests(
        groups=groups if named else [],
        credentials="judged-again",
        options=options,
        return_state=True,
    )
    clock.ahead = 1200
    again = await judge_run_again(str(id_of(state)), return_state=True)
    summary = str((await artifacts_of(id_of(state)))[SUMMARY].data)
    assert "1 test was judged by thresholds of its group, not by this run's." in summary
    assert again.is_completed()
    assert "(passed before, failed now). 0 of 1 tests passed; tolerated" in str(again.message)


@pytest.mark.parametrize(
    ("behaviour", "status", "ending"),
    [(LATE, ExitStatus.PASSED, "passed"), (LATE_AND_LOST, ExitStatus.FAILED, "failed")],
)
def test_the_command_line_judges_a_run_again(
    late: Late,
    capsys: pytest.CaptureFixture[str],
    behaviour: Behaviour,
    status: ExitStatus,
    ending: str,
) -> None:
    simulator, clock = late({"202701": [behaviour]})
    waits = ("--wait-for-results", "--results-deadline-minutes", "0.03")
    assert main(["202701", *waits, "--json", "-"]) == ExitStatus.PASSED
    first = json.loads(capsys.readouterr().out)
    assert first["provisional"] == 1
    clock.ahead = 1200
    assert main(["--judge-again", first["flow_run"]["id"], "--json", "-"]) == status
    told = json.loads(capsys.readouterr().out)
    keeps_to_its_schema(told)
    assert (told["status"], told["provisional"], told["counts"]) == (ending, 0, {ending: 1})
    assert told["sentence"].startswith("1 of 1 provisional verdict is final now")
    assert told["tests"][0]["fails_run"] is (ending == "failed")
    assert sent(simulator) == {"202701": 1}


@pytest.mark.parametrize("more", [["202701"], ["--fail-on", "failed"], ["--no-link-to-app"]])
def test_the_command_line_takes_nothing_else_with_it(
    more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--judge-again", "any", *more]) == ExitStatus.NOT_STARTED
    error = capsys.readouterr().err
    assert error.startswith("error: --judge-again takes no tests and no options of a run")


def test_what_the_command_line_can_not_judge_exits_with_2(
    late: Late, capsys: pytest.CaptureFixture[str]
) -> None:
    late({})
    assert main(["--judge-again", NO_RUN]) == ExitStatus.NOT_STARTED
    assert "this Prefect server has no flow run" in capsys.readouterr().err


@flow
def another_flow() -> None: ...


class TestBadInput:
    async def refused(self, reference: str, reason: str) -> None:
        with pytest.raises(SettingsError) as caught:
            await judge_run_again(reference)
        assert re.search(reason, str(caught.value))
        assert re.search(r"Nothing was read\.$", str(caught.value))

    async def test_a_run_that_waited_for_no_results_has_no_verdicts(self, late: Late) -> None:
        simulator, _ = late({})
        flow_run_id = await ended_run({"202701": Outcome.ACCEPTED})
        await self.refused(str(flow_run_id), "did not wait for results, so it has no verdicts")
        assert simulator.calls == []

    async def test_nor_has_a_dry_run(self, late: Late) -> None:
        late({})
        _, flow_run_id = await run(ids(1), dry_run=True)
        await self.refused(str(flow_run_id), "judge_again: '.*' was a dry run")

    async def test_a_run_of_another_flow_is_none_of_ours(self) -> None:
        other = id_of(another_flow(return_state=True))
        await self.refused(str(other), "is a run of another-flow, and not of rerun-endpoint-tests")

    @pytest.mark.parametrize(
        ("reference", "reason"),
        [
            (NO_RUN, "this Prefect server has no flow run"),
            ("nightly", "neither the ID of a flow run nor a deployment"),
        ],
    )
    async def test_what_is_not_there_is_told(self, reference: str, reason: str) -> None:
        await self.refused(reference, f"^judge_again: .*{reason}")

    async def test_a_run_without_a_record_can_not_be_judged(self) -> None:
        crashed = await crashed_run(wait_for_results=True)
        await self.refused(str(crashed), "has recorded nothing")


def _table(artifacts: dict[str, Artifact]) -> list[dict[str, Any]]:
    return rows(artifacts[TABLE])


async def read_run(flow_run_id: UUID) -> FlowRun:
    async with get_client() as client:
        return await client.read_flow_run(flow_run_id)


async def test_the_paths_of_laptops_that_failed_late_are_read_where_the_run_was_asked_for_them(
    late: Late,
) -> None:
    simulator, clock = late({"202701": [LATE_AND_LOST], "202702": [Behaviour(loss=100)]})
    _, flow_run_id = await run(ids(2), paths_of_failing_agents=2)
    before = await recorded_by(flow_run_id)
    assert (before["202701"].paths, str(before["202702"].paths).count("The path of ")) == (None, 2)
    simulator.calls.clear()
    clock.ahead = 1200
    again = await judge_run_again(str(flow_run_id), return_state=True)
    assert again.is_failed()
    after = await recorded_by(flow_run_id)
    assert str(after["202701"].paths).count("The path of ") == 2
    assert after["202702"].paths == before["202702"].paths
    asked = [call.test_id for call in simulator.calls if "/path-vis/" in call.path]
    assert asked == ["202701", "202701"]
    summary = str((await artifacts_of(flow_run_id))[SUMMARY].data)
    assert "; 2 calls were spent on the paths of failing laptops." in summary


async def test_paths_that_a_run_left_out_are_read_when_it_is_judged_again(late: Late) -> None:
    lost = {"202701": [Behaviour(loss=100)]}
    simulator, _ = late(lost, organization_limit=10, window_seconds=3_000, windows="first_call")
    _, flow_run_id = await run(ids(1), paths_of_failing_agents=3)
    summary = str((await artifacts_of(flow_run_id))[SUMMARY].data)
    assert "left out: less than half of the organization's quota is left." in summary
    simulator.quota = Quota(
        organization_limit=240,
        instant_limit=24,
        window_seconds=60,
        begins="clock",
        reset_rounding="up",
    )
    again = await judge_run_again(str(flow_run_id), return_state=True)
    assert str(again.message).startswith("No verdict was provisional. ")
    assert str((await recorded_by(flow_run_id))["202701"].paths).count("The path of ") == 3
