"""Endings that go wrong: cut short while recording, refused by Prefect, stopped between tries."""

import asyncio
import gc
import weakref
from collections import Counter
from typing import Any
from uuid import UUID

import httpx
import prefect.task_engine
import pytest
from prefect import get_client, runtime
from prefect.artifacts import acreate_table_artifact
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
)
from prefect.client.schemas.objects import State
from prefect.client.schemas.sorting import ArtifactSort
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectHTTPStatusError

import flows.rerun.attempt
import flows.rerun.plan
import flows.runs.ending
import tasks.artifacts
import tasks.publication
from flows.rerun import RerunOptions, rerun_endpoint_tests
from flows.rerun.run import Run
from flows.runs.sending import Sending
from flows.runs.sentence import passed_and_why
from tasks.artifact_creation import create_table
from tasks.artifacts import OUTCOMES_KEY, read_outcomes
from tasks.publication import publish
from tests.flows.scene import (
    SUMMARY,
    TABLE,
    Simulate,
    artifacts_of,
    fields,
    ids,
    rows,
    sent,
    wait_until,
)
from thousandeyes.client import ThousandEyesClient
from thousandeyes.delivery import Delivery
from thousandeyes.errors import ReplyLost
from thousandeyes.models import EndpointTest
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.simulator import Fault

pytestmark = pytest.mark.usefixtures("prefect_server")

Records = dict[str, Record]


async def run(test_ids: list[str], **options: Any) -> tuple[State[Any], Records]:
    state = await rerun_endpoint_tests(
        test_ids, options=RerunOptions.model_validate(options), return_state=True
    )
    return state, await recorded(state.state_details.flow_run_id)


async def recorded(flow_run_id: UUID | None) -> Records:
    assert flow_run_id
    return {record.test_id: record for record in await read_outcomes([flow_run_id])}


async def keys_of(flow_run_id: UUID) -> Counter[str | None]:
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))
        )
    return Counter(artifact.key for artifact in found)


def refused(status: int = 422) -> PrefectHTTPStatusError:
    request = httpx.Request("POST", "http://prefect/api/artifacts/")
    response = httpx.Response(status, json={"detail": "why"}, request=request)
    return PrefectHTTPStatusError(str(status), request=request, response=response)


class Pen:
    """Stands in for the writing of artifacts, and stops in the middle of one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.flow_run_id: UUID | None = None
        self.stopped, self.go_on = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(tasks.artifacts, "create_table", self.create)

    async def create(self, *values: Any) -> UUID:
        self.flow_run_id = UUID(runtime.flow_run.id)
        artifact = await create_table(*values)  # the server has it, the run doesn't know
        self.stopped.set()
        await self.go_on.wait()
        return artifact

    async def cut(self, running: asyncio.Future[Any]) -> None:
        """Cancel a run in the middle of a write, and let it end."""
        await self.stopped.wait()
        running.cancel()
        for _ in range(20):
            await asyncio.sleep(0)
        self.go_on.set()
        await asyncio.wait([running])


async def test_a_test_that_is_cut_while_it_is_recorded_is_recorded_once(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(tests=ids(3))
    pen = Pen(monkeypatch)
    running = asyncio.ensure_future(
        rerun_endpoint_tests(ids(3), options=RerunOptions(max_in_flight=1))
    )
    await pen.cut(running)
    assert pen.flow_run_id
    assert await keys_of(pen.flow_run_id) == dict.fromkeys(
        [SUMMARY, TABLE, "endpoint-test-202701"], 1
    )
    outcomes = await recorded(pen.flow_run_id)
    assert [outcomes[test_id].outcome for test_id in ids(3)] == [
        *("accepted", "not_attempted", "not_attempted")
    ]


async def test_a_call_that_is_cut_before_it_goes_out_was_not_attempted(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under at_most_once it has been recorded as sent already."""
    simulator = simulate(tests=ids(2))
    pen = Pen(monkeypatch)
    options = RerunOptions(max_in_flight=1, delivery=Delivery.AT_MOST_ONCE)
    running = asyncio.ensure_future(rerun_endpoint_tests(ids(2), options=options))
    await pen.cut(running)
    assert sent(simulator) == {}
    assert pen.flow_run_id
    assert (await keys_of(pen.flow_run_id))["endpoint-test-202701"] == 1
    outcomes = await recorded(pen.flow_run_id)
    assert {record.outcome for record in outcomes.values()} == {Outcome.NOT_ATTEMPTED}
    assert {record.attempts for record in outcomes.values()} == {0}


async def test_a_run_that_is_cut_while_it_reports_reports_all_the_same(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(tests=ids(2))
    began, run_ids = asyncio.Event(), []

    async def slow(*arguments: Any) -> None:
        run_ids.append(UUID(runtime.flow_run.id))
        if not began.is_set():
            began.set()
            await asyncio.Event().wait()
        await publish(*arguments)

    monkeypatch.setattr(flows.runs.ending, "publish", slow)
    running = asyncio.ensure_future(rerun_endpoint_tests(ids(2)))
    await began.wait()
    running.cancel()
    await asyncio.wait([running])
    artifacts = await artifacts_of(run_ids[0])
    assert {SUMMARY, TABLE} <= set(artifacts)
    assert "2 of 2 tests accepted; stopped early: cancelled" in str(artifacts[SUMMARY].data)


async def test_an_outcome_that_prefect_refuses_stands_in_the_runs_table(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    simulate(tests=ids(4))

    async def choosy(table: Any, key: str, *more: Any) -> UUID:
        if key == "endpoint-test-202702":
            raise refused()
        return await create_table(table, key, *more)

    monkeypatch.setattr(tasks.artifacts, "create_table", choosy)
    state, outcomes = await run(ids(4), max_in_flight=1)
    assert state.is_completed(), state.message
    assert {test_id: record.outcome for test_id, record in outcomes.items()} == dict.fromkeys(
        ids(4), "accepted"
    )
    assert caplog.text.count("Prefect refuses the outcome of test 202702") == 1


async def test_under_at_most_once_what_prefect_will_not_record_is_not_sent(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate(tests=ids(3))

    async def choosy(table: Any, key: str, *more: Any) -> UUID:
        if key == "endpoint-test-202702":
            raise refused()
        return await create_table(table, key, *more)

    monkeypatch.setattr(tasks.artifacts, "create_table", choosy)
    _, outcomes = await run(ids(3), delivery="at_most_once")
    assert sent(simulator) == {"202701": 1, "202703": 1}
    unsent = outcomes["202702"]
    assert (unsent.outcome, unsent.attempts) == ("not_attempted", 0)
    assert "not sent, because it could not be recorded first" in unsent.detail


@pytest.mark.parametrize("refuses", ["create_markdown", "create_table"])
async def test_a_report_that_prefect_refuses_changes_no_verdict(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch, refuses: str
) -> None:
    simulate(tests=ids(2))

    async def refuse(*_: Any) -> UUID:
        raise refused()

    monkeypatch.setattr(tasks.publication, refuses, refuse)
    state, outcomes = await run(ids(2))
    assert state.is_completed()
    assert state.message == "2 of 2 tests accepted."
    assert len(outcomes) == 2


async def test_a_deadline_between_two_tries_leaves_the_last_answer_standing(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect waits for the retry; the call is then refused by the gate."""
    simulator = simulate(tests=ids(1), faults={"202701": Fault(replies=[503], repeat=True)})
    send, under_way = Sending.send, []

    async def noted(self: Sending, *arguments: Any) -> int | None:
        under_way.append(self)
        return await send(self, *arguments)

    def interval(*_: object, **__: object) -> float:
        [sending] = under_way
        sending.stop("the deadline has come", begun_too=True)
        return 0.01

    monkeypatch.setattr(Sending, "send", noted)
    monkeypatch.setattr(prefect.task_engine, "clamped_poisson_interval", interval)
    state, outcomes = await run(ids(1))
    assert sent(simulator) == {"202701": 1}
    record = outcomes["202701"]
    assert (record.outcome, record.attempts, record.http_status) == ("server_error", 1, 503)
    assert record.detail.startswith("503: ")
    assert record.detail.endswith("; then the deadline has come")
    assert "stopped early: the deadline" in str(state.message)


async def test_hostile_names_neither_stop_the_run_nor_reach_the_artifacts(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(tests=ids(2))
    hostile = "a\ud800lone\x00one\u202e" + "x" * 5_000

    async def tests(*_: object) -> list[EndpointTest]:
        return [EndpointTest.model_construct(test_id=i, test_name=hostile) for i in ids(2)]

    monkeypatch.setattr(ThousandEyesClient, "tests", tests)
    state, outcomes = await run(ids(2))
    assert state.is_completed(), state.message
    name = outcomes["202701"].test_name
    assert name.startswith("a lone onex")
    assert len(name) == 100


@pytest.mark.parametrize("error", [ReplyLost("no list"), TimeoutError()], ids=repr)
async def test_names_that_can_not_be_had_cost_nothing(
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    simulate(tests=ids(1))

    async def tests(*_: object) -> list[EndpointTest]:
        raise error

    monkeypatch.setattr(ThousandEyesClient, "tests", tests)
    caplog.set_level("INFO")
    state, _ = await run(ids(1))
    assert state.is_completed()
    reason = str(error) or "no answer in time"
    assert f"The tests' names are not known: {reason}" in caplog.text


async def test_intervals_that_can_not_be_had_are_told_since_results_may_be_missed(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    simulate(tests=ids(1))

    async def tests(*_: object) -> list[EndpointTest]:
        raise ReplyLost("no list")

    monkeypatch.setattr(ThousandEyesClient, "tests", tests)
    await run(ids(1), delivery="at_most_once")
    assert "The tests' intervals are not known: no list. Results of a test with an" in caplog.text


async def test_what_the_api_lists_and_what_prefect_keeps_of_task_runs_is_not_held_to_the_end(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 10,000 tests these are megabytes each."""
    simulate(tests=ids(8))
    listed: list[weakref.ref[EndpointTest]] = []
    held: list[int] = []
    tests = ThousandEyesClient.tests

    async def noting(*asked: Any) -> list[EndpointTest]:
        found = await tests(*asked)
        listed.extend(map(weakref.ref, found))
        return found

    def at_the_end(*told: Any) -> tuple[bool, str]:
        context = FlowRunContext.get()
        assert context
        gc.collect()
        held.append(sum(one() is not None for one in listed))
        held.extend([len(context.run_results), len(context.task_run_assets)])
        return passed_and_why(*told)

    monkeypatch.setattr(ThousandEyesClient, "tests", noting)
    monkeypatch.setattr(flows.rerun.attempt, "passed_and_why", at_the_end)
    await run(ids(8))
    assert len(listed) == 8
    assert set(held) == {0}


async def test_a_bug_beside_the_run_is_logged_and_costs_no_test(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    simulate(tests=ids(2))

    def broken(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(flows.rerun.plan, "plan", broken)
    state, _ = await run(ids(2))
    assert state.is_completed()
    assert "Unexpected error beside the run" in caplog.text


async def test_a_resumed_run_passes_over_artifacts_that_are_not_ours(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate(tests=ids(3), faults={"202701": Fault(replies=[500] * 4)})
    calls: list[int] = []

    async def scribble(self: Run, *arguments: Any, **named: Any) -> None:
        calls.append(1)
        await execute(self, *arguments, **named)
        if len(calls) == 1:
            await acreate_table_artifact([{"x": 1}], key="endpoint-test-x")
            await acreate_table_artifact([{"x": 1}], key=f"{OUTCOMES_KEY}x")

    execute = Run.execute
    monkeypatch.setattr(Run, "execute", scribble)
    outcomes = await rerun_endpoint_tests.with_options(retries=1)(ids(3))
    assert {record.outcome for record in outcomes} == {Outcome.ACCEPTED}
    assert sent(simulator) == {"202701": 5, "202702": 1, "202703": 1}


async def test_a_cut_test_has_its_end_in_the_table_too(simulate: Simulate) -> None:
    simulator = simulate(tests=ids(2), faults={"202701": Fault(replies=["stalled"])})
    running = asyncio.ensure_future(
        rerun_endpoint_tests(ids(2), options=RerunOptions(max_in_flight=1), return_state=True)
    )
    await wait_until(lambda: len(sent(simulator)) == 1)
    running.cancel()
    await asyncio.wait([running])
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["endpoint-test-202701"])),
            sort=ArtifactSort.CREATED_DESC,
            limit=1,
        )
    flow_run_id = found[0].flow_run_id
    assert flow_run_id
    artifacts = await artifacts_of(flow_run_id)
    cut, own = rows(artifacts[TABLE])[0], fields(found[0])
    assert (cut["test_id"], cut["outcome"], cut["why"]) == ("202701", own["outcome"], own["why"])
    assert own["finished_at"]
