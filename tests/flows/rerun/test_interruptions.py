"""Retried, killed, cancelled, cut off from Prefect: what is recorded stays, nothing is lost."""

import asyncio
import json
import os
import re
import signal
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from prefect import flow, get_client, task
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import SetStateStatus
from prefect.client.schemas.sorting import FlowRunSort
from prefect.flow_engine import run_flow_async
from prefect.settings import get_current_settings
from prefect.states import Cancelling, Crashed, Running, Scheduled, Suspended

from flows.rerun import RerunFailed, RerunOptions, rerun_endpoint_tests
from flows.runs.sending import Sending
from tasks.artifacts import NOT_SENT_KEY, read_outcomes, times_of
from tasks.loading import load_groups
from tests.flows.scene import (
    SUMMARY,
    TABLE,
    WHERE_IT_IS,
    Simulate,
    artifacts_of,
    id_of,
    ids,
    process,
    sent,
    wait_until,
)
from thousandeyes.delivery import Delivery
from thousandeyes.errors import SettingsError
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.simulator import Fault

pytestmark = pytest.mark.usefixtures("prefect_server")


class Detour:
    """Stands between a process and the Prefect server, and is away at will."""

    def __init__(self, port: int) -> None:
        server = urlsplit(str(get_current_settings().api.url))
        self.url = f"http://127.0.0.1:{port}{server.path}"
        self._port = port
        self._target = server.hostname, server.port
        self.refuses = False
        self.refused = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            await self._refuse(reader, writer)
            return
        there, back = await asyncio.open_connection(*self._target)
        self._writers |= {writer, back}
        with suppress(OSError):
            await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            self.refused += 1
            writer.write(b"HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n")
            writer.write(b"content-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
            await writer.drain()
        writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self.refuses:
                break
            writer.write(data)
            await writer.drain()
        writer.close()


async def deployed_run(test_ids: list[str], options: dict[str, object]) -> UUID:
    """Create a flow run that any process with the project installed can execute."""
    async with get_client() as client:
        flow_id = await client.create_flow(rerun_endpoint_tests)
        deployment = await client.create_deployment(
            flow_id,
            name="interrupted",
            entrypoint="flows.rerun.rerun_endpoint_tests",
            pull_steps=WHERE_IT_IS,
        )
        flow_run = await client.create_flow_run_from_deployment(
            deployment, parameters={"test_ids": test_ids, "options": options}
        )
    return flow_run.id


async def outcomes_of(*flow_run_ids: UUID) -> dict[str, Record]:
    return {record.test_id: record for record in await read_outcomes(flow_run_ids)}


async def test_a_retried_run_sends_only_what_did_not_end_well(simulate: Simulate) -> None:
    faults = {"202703": Fault(replies=[500] * 4), "202704": Fault(replies=[404, 404])}
    simulator = simulate(tests=ids(6), faults=faults)
    with pytest.raises(RerunFailed, match=r"1 of 6 tests failed: .*\(not found\); 5") as failed:
        await rerun_endpoint_tests.with_options(retries=1)(ids(6))
    assert sent(simulator) == {
        **dict.fromkeys(["202701", "202702", "202704", "202705", "202706"], 1),
        "202703": 5,
    }
    carried = failed.value.outcomes[2]
    assert (carried.attempts, carried.maybe_duplicate) == (5, True)


async def test_a_retried_run_no_longer_lists_as_not_sent_what_it_then_sent(
    simulate: Simulate,
) -> None:
    simulate(tests=ids(3), faults={"202702": Fault(replies=[401])})
    options = RerunOptions(max_in_flight=1)
    retried = rerun_endpoint_tests.with_options(retries=1)
    state: State[Any] = await retried(ids(3), options=options, return_state=True)
    assert state.is_completed()
    left = (await artifacts_of(id_of(state)))[NOT_SENT_KEY + "local"]
    assert json.loads(str(left.data)) == []
    assert left.description == "The run's table shows all tests that were not sent"


async def test_a_retried_run_with_nothing_left_to_send_says_what_to_do(simulate: Simulate) -> None:
    simulator = simulate(tests=ids(2), faults={"202702": Fault(replies=[404])})
    retried = rerun_endpoint_tests.with_options(retries=1)
    state: State[Any] = await retried(ids(2), return_state=True)
    told = f"Nothing was left to send: .* start a run with only_failed_of={id_of(state)}."
    assert re.search(told, str(state.message))
    summary = (await artifacts_of(id_of(state)))[SUMMARY]
    assert re.search(told, str(summary.description))
    assert sent(simulator) == dict.fromkeys(ids(2), 1)


async def test_an_attempt_that_could_not_begin_is_reported_and_not_taken_for_one_that_died(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate(tests=ids(4))
    asked = 0

    async def not_there_at_first(*named: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise SettingsError("no Endpoint Test Group block named 'morning'. Nothing was sent.")
        return await load_groups(*named)

    monkeypatch.setattr("flows.rerun.sources.load_groups", not_there_at_first)
    retried = rerun_endpoint_tests.with_options(retries=1)
    state = await retried(ids(4), return_state=True)
    assert state.is_completed()
    assert sent(simulator) == dict.fromkeys(ids(4), 1)
    recorded = await outcomes_of(id_of(state))
    assert not any(record.maybe_duplicate for record in recorded.values())
    assert len(await times_of([id_of(state)], SUMMARY)) == 2


async def test_what_a_retry_that_died_may_have_sent_again_is_marked(simulate: Simulate) -> None:
    faults = {one: Fault(replies=[403]) for one in ids(2)}
    simulator = simulate(tests=ids(3), faults=faults)
    flow_run_id = id_of(await rerun_endpoint_tests(ids(3), return_state=True))
    states: list[State[Any]] = [Running(), Crashed(), Scheduled()]
    async with get_client() as client:
        for state in states:
            await client.set_flow_run_state(flow_run_id, state, force=True)
        flow_run = await client.read_flow_run(flow_run_id)
    await run_flow_async(rerun_endpoint_tests, flow_run, {"test_ids": ids(3)}, return_type="state")
    assert sent(simulator) == {**dict.fromkeys(ids(2), 2), ids(3)[2]: 1}
    recorded = await outcomes_of(flow_run_id)
    assert [recorded[one].maybe_duplicate for one in ids(3)] == [True, True, False]


async def test_a_mistake_is_told_where_the_report_would_stand(simulate: Simulate) -> None:
    simulator = simulate(tests=ids(1))
    state: Any = await rerun_endpoint_tests(ids(1), ["not-there"], return_state=True)
    summary = (await artifacts_of(id_of(state)))[SUMMARY]
    why = "no Endpoint Test Group block named 'not-there'"
    assert str(summary.data).startswith(f"**Failed:** {why}")
    assert str(summary.description).startswith(f"Failed: {why}")
    assert sent(simulator) == {}


async def test_a_parents_retry_sends_no_accepted_test_again(simulate: Simulate) -> None:
    faults = {test_id: Fault(replies=[503] * 4) for test_id in ids(8)[4:]}
    simulator = simulate(tests=ids(8), faults=faults)

    @flow(retries=1)
    async def parent() -> list[Record]:
        return await rerun_endpoint_tests(ids(8))

    outcomes = await parent()
    assert {record.outcome for record in outcomes} == {Outcome.ACCEPTED}
    assert sent(simulator) == dict.fromkeys(ids(8)[:4], 1) | dict.fromkeys(ids(8)[4:], 5)


AT_MOST_ONCE = RerunOptions(delivery=Delivery.AT_MOST_ONCE, wait_for_results=False)


async def test_a_retried_parent_that_makes_its_calls_in_another_order_sends_nothing_twice(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=ids(2))
    orders = [ids(2), ids(2)[::-1]]

    @flow(retries=1)
    async def parent() -> list[list[Record]]:
        first = orders.pop(0)[0]
        begun = asyncio.Event()

        async def branch(test_id: str) -> list[Record]:
            if test_id != first:
                await begun.wait()
            try:
                return await rerun_endpoint_tests([test_id], options=AT_MOST_ONCE)
            finally:
                begun.set()

        outcomes = await asyncio.gather(*map(branch, ids(2)))
        if orders:
            raise ValueError("something else fails after both")
        return outcomes

    outcomes = await parent()
    assert sent(simulator) == dict.fromkeys(ids(2), 1)
    assert [[(one.test_id, one.outcome) for one in each] for each in outcomes] == [
        [(test_id, Outcome.ACCEPTED)] for test_id in ids(2)
    ]


async def test_a_call_inside_a_task_is_continued_when_the_flow_is_retried_but_not_if_the_task_is(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=ids(3))
    failures = [ValueError("something else fails afterwards")]

    @task(retries=0)
    async def site(test_id: str) -> list[Record]:
        return await rerun_endpoint_tests([test_id], options=AT_MOST_ONCE)

    @flow(retries=1)
    async def parent() -> None:
        for test_id in ids(2):
            [record] = await site(test_id)
            assert record.outcome is Outcome.ACCEPTED
        if failures:
            raise failures.pop()
        await site.with_options(retries=1)(ids(3)[2])

    with pytest.raises(SettingsError, match="the task 'site' has retries"):
        await parent()
    assert sent(simulator) == dict.fromkeys(ids(2), 1)


@pytest.mark.servers
@pytest.mark.parametrize("delivery", list(Delivery))
async def test_a_killed_run_goes_on_where_it_stood(simulate: Simulate, delivery: Delivery) -> None:
    simulator = simulate(tests=ids(40), latency_seconds=0.1)
    slots = 4
    flow_run_id = await deployed_run(
        ids(40),
        {"delivery": delivery, "max_in_flight": slots, "results_deadline_minutes": 0.02},
    )
    async with process("-m", "prefect.engine", str(flow_run_id)) as killed:
        await wait_until(lambda: len(sent(simulator)) >= 15)
        os.killpg(killed.pid, signal.SIGKILL)
        await killed.wait()
    recorded = {
        test_id
        for test_id, record in (await outcomes_of(flow_run_id)).items()
        if record.outcome is Outcome.ACCEPTED
    }
    assert 0 < len(recorded) < 40

    async with get_client() as client:
        await client.set_flow_run_state(flow_run_id, Scheduled(), force=True)
    async with process("-m", "prefect.engine", str(flow_run_id)) as again:
        await again.communicate()

    outcomes = await outcomes_of(flow_run_id)
    assert sorted(outcomes) == ids(40)
    assert {sent(simulator)[test_id] for test_id in recorded} == {1}
    if delivery is Delivery.AT_MOST_ONCE:
        assert set(sent(simulator).values()) == {1}
        assert {record.outcome for record in outcomes.values()} <= {
            Outcome.ACCEPTED,
            Outcome.UNKNOWN,
        }
        unknown = [r for r in outcomes.values() if r.outcome is Outcome.UNKNOWN]
        assert len(unknown) <= slots
    else:
        assert {record.outcome for record in outcomes.values()} == {Outcome.ACCEPTED}
        twice = {test_id for test_id, calls in sent(simulator).items() if calls > 1}
        marked = {record.test_id for record in outcomes.values() if record.maybe_duplicate}
        assert twice <= marked
        assert len(marked) <= slots
    assert SUMMARY.replace("local", "interrupted") in await artifacts_of(flow_run_id)


@pytest.mark.servers
async def test_a_cancelled_run_of_4000_tests_still_writes_its_summary(simulate: Simulate) -> None:
    simulator = simulate(tests=ids(4000), instant_limit=24, windows="first_call")
    flow_run_id = await deployed_run(ids(4000), {})
    async with process("-m", "prefect.engine", str(flow_run_id)) as cancelled:
        await wait_until(lambda: len(sent(simulator)) == 24)
        async with get_client() as client:
            await client.set_flow_run_state(flow_run_id, Cancelling(), force=True)
        await cancelled.communicate()
        async with get_client() as client:
            state = (await client.read_flow_run(flow_run_id)).state
    assert state
    assert state.is_cancelled()
    artifacts = await artifacts_of(flow_run_id)
    summary = str(artifacts[SUMMARY.replace("local", "interrupted")].data)
    assert "3976 of 4000 tests did not end well (3976 not attempted): " in summary
    assert "stopped early: cancelled" in summary
    table = artifacts[TABLE.replace("local", "interrupted")]
    assert len(json.loads(str(table.data))) == 1000
    assert table.description == (
        "Cancelled. 3976 not attempted, 24 accepted. Warehouse terminal (Oslo): cancelled. "
        "4000 tests, those that need a look first; not shown: 2976 not attempted, 24 accepted"
    )


async def test_a_cancelled_call_is_unknown_and_a_waiting_test_not_attempted(
    simulate: Simulate,
) -> None:
    faults = {"202701": Fault(replies=["stalled"])}
    simulator = simulate(tests=ids(9), faults=faults)
    running = asyncio.ensure_future(
        rerun_endpoint_tests(ids(9), options=RerunOptions(max_in_flight=1), return_state=True)
    )
    await wait_until(lambda: len(sent(simulator)) == 1)
    running.cancel()
    await asyncio.wait([running])
    flow_run = await latest_run()
    counted = Counter(record.outcome for record in (await outcomes_of(flow_run.id)).values())
    assert counted == {Outcome.UNKNOWN: 1, Outcome.NOT_ATTEMPTED: 8}
    assert "endpoint-test-202701" in await artifacts_of(flow_run.id)


async def test_a_call_that_waits_because_it_was_refused_is_sent_by_the_run_that_goes_on(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=["1"], faults={"1": Fault(replies=[429])})
    run_ids: list[UUID] = []
    noting = rerun_endpoint_tests.with_options(
        on_running=[lambda _flow, flow_run, _state: run_ids.append(flow_run.id)]
    )
    options = RerunOptions(delivery="at_most_once")
    running = asyncio.ensure_future(noting(["1"], options=options, return_state=True))
    await wait_until(lambda: len(sent(simulator)) == 1)
    async with asyncio.timeout(60):
        while (await outcomes_of(*run_ids))["1"].outcome is Outcome.UNKNOWN:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    left = (await outcomes_of(*run_ids))["1"]
    assert left.needs_call(options.delivery), "as a process that is killed now leaves it"
    assert (left.outcome, left.attempts) == (Outcome.NOT_ATTEMPTED, 1)
    running.cancel()
    await asyncio.wait([running])


async def test_a_run_that_no_worker_cancels_sees_it_and_ends_cancelled(simulate: Simulate) -> None:
    simulator = simulate(tests=ids(40), latency_seconds=1)
    run_ids: list[UUID] = []
    noting = rerun_endpoint_tests.with_options(
        on_running=[lambda _flow, flow_run, _state: run_ids.append(flow_run.id)]
    )
    options = RerunOptions(max_in_flight=2)
    running = asyncio.ensure_future(noting(ids(40), options=options, return_state=True))
    await wait_until(lambda: len(sent(simulator)) >= 2)
    async with get_client() as client:
        await client.set_flow_run_state(run_ids[0], Cancelling(), force=True)
    state = await running
    assert state.is_cancelled()
    assert len(sent(simulator)) < 40
    assert "; stopped early: cancelled." in str(state.message)
    summary = str((await artifacts_of(run_ids[0]))[SUMMARY].data)
    assert summary.startswith("**Cancelled.** ")
    async with get_client() as client:
        assert (await client.read_flow_run(run_ids[0])).state_name == "Cancelled"
    assert SUMMARY in await artifacts_of(run_ids[0])


async def test_a_run_that_is_suspended_by_hand_says_so_and_goes_on_without_a_doubt(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Sending.confirm, "__defaults__", (0.0,))  # looks before each call
    simulator = simulate(tests=ids(9), latency_seconds=0.3)
    given = {"test_ids": ids(9), "options": {"max_in_flight": 2}}
    flow_run_id = await deployed_run(ids(9), {"max_in_flight": 2})

    async def attempt() -> None:
        async with get_client() as client:
            flow_run = await client.read_flow_run(flow_run_id)
        await run_flow_async(rerun_endpoint_tests, flow_run, given, return_type="state")

    async with get_client() as client:
        running = asyncio.ensure_future(attempt())
        await wait_until(lambda: len(sent(simulator)) >= 3)
        await client.set_flow_run_state(flow_run_id, Suspended(timeout_seconds=600), force=True)
        await asyncio.gather(running, return_exceptions=True)  # an Abort, as Prefect has it
        assert (await client.read_flow_run(flow_run_id)).state_name == "Suspended"
        assert "The run stops early: suspended" in caplog.text
        summary = (await artifacts_of(flow_run_id))["endpoint-reruns-interrupted"]
        assert str(summary.data).startswith("**Suspended.** ")
        assert (await client.resume_flow_run(flow_run_id)).status is SetStateStatus.ACCEPT
    await attempt()
    assert sent(simulator) == dict.fromkeys(ids(9), 1)
    recorded = await outcomes_of(flow_run_id)
    assert {record.outcome for record in recorded.values()} == {Outcome.ACCEPTED}
    assert not any(record.maybe_duplicate for record in recorded.values())


async def test_a_prefect_server_that_lets_nobody_in_ends_the_run_at_once(
    simulate: Simulate, unused_tcp_port: int
) -> None:
    simulator = simulate(tests=ids(30), latency_seconds=0.05)
    detour, slots = Detour(unused_tcp_port), 3
    command = ("-m", "flows.rerun", "--max-in-flight", str(slots), *ids(30))
    async with detour, process(*command, PREFECT_API_URL=detour.url) as running:
        await wait_until(lambda: len(sent(simulator)) >= 5)
        detour.refuses = True
        await wait_until(lambda: detour.refused > 0)
        at_the_refusal = len(sent(simulator))
        output, _ = await running.communicate()
    assert running.returncode not in (0, None)
    assert len(sent(simulator)) <= at_the_refusal + slots
    told = output.decode()
    assert "the Prefect server does not let this process in (401)" in told
    recorded = await outcomes_of((await latest_run()).id)
    assert len(recorded) + slots >= len(sent(simulator))


async def latest_run() -> FlowRun:
    async with get_client() as client:
        return (await client.read_flow_runs(limit=1, sort=FlowRunSort.START_TIME_DESC))[0]


async def test_while_the_prefect_server_is_away_the_run_stalls_and_loses_nothing(
    simulate: Simulate, unused_tcp_port: int
) -> None:
    simulator = simulate(tests=ids(30), latency_seconds=0.05)
    slots = 5
    detour = Detour(unused_tcp_port)
    command = ("-m", "flows.rerun", "--max-in-flight", str(slots), *ids(30))
    async with AsyncExitStack() as stack:
        async with detour:
            running = await stack.enter_async_context(
                process(*command, PREFECT_API_URL=detour.url, PREFECT_CLIENT_MAX_RETRIES="0")
            )
            await wait_until(lambda: len(sent(simulator)) >= 8)
        at_the_cut = len(sent(simulator))
        assert running.stdout
        output = await running.stdout.readuntil(b"does not answer as it should")
        assert len(sent(simulator)) <= at_the_cut + slots
        async with detour:
            output += (await running.communicate())[0]
    assert running.returncode == 0, output.decode()
    assert set(sent(simulator).values()) == {1}
    assert b"30 of 30 tests accepted" in output


@pytest.mark.parametrize(
    ("number", "again", "word", "status"),
    [
        (signal.SIGINT, "Ctrl-C", "interrupted", 130),
        (signal.SIGTERM, "SIGTERM", "terminated", 143),
    ],
)
async def test_with_prefect_away_a_second_signal_ends_it_and_tells_what_is_not_recorded(
    simulate: Simulate,
    unused_tcp_port: int,
    tmp_path: Path,
    number: signal.Signals,
    again: str,
    word: str,
    status: int,
) -> None:
    simulator = simulate(tests=ids(30), latency_seconds=0.05)
    detour, account, slots = Detour(unused_tcp_port), tmp_path / "run.json", 3
    options = ("--max-in-flight", str(slots), "--json", str(account))
    command = ("-m", "flows.rerun", *options, *ids(30))
    async with AsyncExitStack() as stack:
        async with detour:
            # Prefect's own five retries take a minute; the pause before one is as good as theirs.
            running = await stack.enter_async_context(
                process(*command, PREFECT_API_URL=detour.url, PREFECT_CLIENT_MAX_RETRIES="1")
            )
            await wait_until(lambda: len(sent(simulator)) >= 5)
        assert running.stdout
        await running.stdout.readuntil(b"does not answer as it should")
        running.send_signal(number)
        await running.stdout.readuntil(f"{again} again stops at once, unrecorded.".encode())
        ending = asyncio.ensure_future(running.communicate())
        while not ending.done():  # one that comes at once with the first counts for nothing
            running.send_signal(number)
            await asyncio.wait([ending], timeout=None if number == signal.SIGINT else 2)
        output, _ = await ending
    told = output.decode()
    assert running.returncode == status, told
    recorded = await outcomes_of((await latest_run()).id)
    # The proxy may have cut off the answer to a write that Prefect did take.
    unrecorded = set(sent(simulator)) - set(recorded)
    counted = re.search(r"not confirmed as recorded in Prefect \((\d)\):", told)
    assert counted
    assert len(unrecorded) <= int(counted[1]) <= slots
    assert all(str(test_id) in told[counted.end() :] for test_id in unrecorded)
    written = json.loads(account.read_text())
    assert (written["status"], written["exit_status"]) == (word, status)
