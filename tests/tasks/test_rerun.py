"""The task on a real Prefect server, against the simulator."""

import asyncio
import logging
import pickle
from collections.abc import Callable
from typing import Any

import httpx
import prefect.task_engine
import pytest
from prefect import flow

from tasks.rerun import rerun_endpoint_test
from tests.flows.scene import Simulate, sent, wait_until
from thousandeyes.client import ThousandEyesClient
from thousandeyes.delivery import Delivery
from thousandeyes.errors import (
    CallFailed,
    Forbidden,
    InvalidCall,
    NotFound,
    ReplyLost,
    RunStopped,
    ServerError,
    SettingsError,
    TokenRefused,
    Unreachable,
)
from thousandeyes.gate import QuotaGate
from thousandeyes.record import Record
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.simulator import Fault

pytestmark = pytest.mark.usefixtures("prefect_server")

IN_DOUBT: dict[str, tuple[Any, type[CallFailed]]] = {
    "1": (500, ServerError),
    "2": (502, ServerError),
    "3": (599, ServerError),
    "4": ("dropped_before", ReplyLost),
    "5": ("dropped_after", ReplyLost),
    "6": ("half_body", ReplyLost),
    "7": ("html", ReplyLost),
    "8": ("stalled", ReplyLost),
}
TOLD: dict[str, tuple[Any, type[CallFailed]]] = {
    "11": (400, InvalidCall),
    "12": (401, TokenRefused),
    "13": (403, Forbidden),
    "14": (404, NotFound),
    "15": (405, InvalidCall),
    "16": (409, InvalidCall),
    "17": (302, InvalidCall),
    "18": ("echo", InvalidCall),
}
MAINTENANCE = "503: Service Unavailable: The API is in maintenance mode"
WRONG = "400: Bad Request: The request has invalid fields: testId is not an instant test"
BROKEN = "500: Internal Server Error: Something broke inside"
ACCEPTED = "Successfully reran the instant scheduled test with testId="
TAKEN: dict[str, Any] = {
    "21": 200,
    "22": 202,
    "23": 204,
    "24": "empty",
    "25": "plain_text",
    "26": "no_message",
}


def faults() -> dict[str, Fault]:
    replies = {test_id: reply for test_id, (reply, _) in (IN_DOUBT | TOLD).items()} | TAKEN
    return {test_id: Fault(replies=[reply], repeat=True) for test_id, reply in replies.items()}


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("delivery", list(Delivery))
async def test_a_call_is_sent_again_exactly_where_the_promise_allows_it(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch, delivery: Delivery
) -> None:
    monkeypatch.setenv("TE_READ_TIMEOUT", "0.3")
    simulator = simulate(tests=list(faults()), faults=faults())
    async with ThousandEyesClient(ThousandEyesSettings()) as client:
        results = await asyncio.gather(
            *(rerun_endpoint_test(test_id, client, delivery=delivery) for test_id in faults()),
            return_exceptions=True,
        )
    expected = {test_id: error for test_id, (_, error) in (IN_DOUBT | TOLD).items()}
    assert {
        test_id: type(result) for test_id, result in zip(faults(), results, strict=True)
    } == expected | dict.fromkeys(TAKEN, Record)
    tries = 4 if delivery is Delivery.AT_LEAST_ONCE else 1
    assert sent(simulator) == dict.fromkeys(IN_DOUBT, tries) | dict.fromkeys(TOLD | TAKEN, 1)


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("delivery", list(Delivery))
async def test_without_a_connection_both_promises_let_it_try_again(
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
    unused_tcp_port: int,
    delivery: Delivery,
) -> None:
    simulate(tests=["1"])
    monkeypatch.setenv("TE_BASE_URL", f"http://127.0.0.1:{unused_tcp_port}")
    record = Record("1")
    with pytest.raises(Unreachable):
        await rerun_endpoint_test(record, delivery=delivery)
    assert (record.outcome, record.attempts, record.maybe_duplicate) == ("unreachable", 4, False)


async def test_the_gaps_between_attempts_grow_and_are_spread(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(tests=["1"], faults={"1": Fault(replies=[500, 500, 500])})
    asked: list[tuple[float, float]] = []

    def interval(seconds: float, clamping_factor: float) -> float:
        asked.append((seconds, clamping_factor))
        return 0.0

    monkeypatch.setattr(prefect.task_engine, "clamped_poisson_interval", interval)
    await rerun_endpoint_test("1")
    assert asked == [(2.0, 0.5), (6.0, 0.5), (18.0, 0.5)]


@pytest.mark.usefixtures("quick_retries")
async def test_a_429_is_told_waited_out_and_uses_up_no_retry(
    simulate: Simulate, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    simulator = simulate(tests=["2"], faults={"2": Fault(replies=[429, 503, 429, 503, 503])})
    gate = QuotaGate(clock=lambda: now[0], sleep=sleep)
    async with ThousandEyesClient(ThousandEyesSettings(), gate=gate) as client:
        record = await rerun_endpoint_test("2", client)
    assert sent(simulator) == {"2": 6}
    assert (record.outcome, record.attempts, record.maybe_duplicate) == ("accepted", 6, True)
    assert record.quota_wait_seconds == pytest.approx(now[0])
    assert now[0] > 0
    assert "Test 2, attempt 1: 429: Too Many Requests: The rate limit is exhausted" in caplog.text
    assert "waiting for quota, then it is sent again" in caplog.text


@pytest.mark.usefixtures("quick_retries")
async def test_the_log_tells_what_came_back_and_what_follows(
    simulate: Simulate, caplog: pytest.LogCaptureFixture
) -> None:
    replies = {
        "1": Fault(replies=[503, 400]),
        "2": Fault(replies=["dropped_after"]),
        "3": Fault(replies=[500], repeat=True),
    }
    simulate(tests=[*replies, "4"], faults=replies)
    caplog.set_level(logging.INFO)
    async with ThousandEyesClient(ThousandEyesSettings()) as client:
        with pytest.raises(InvalidCall):
            await rerun_endpoint_test("1", client)
        with pytest.raises(ReplyLost):
            await rerun_endpoint_test("2", client, delivery=Delivery.AT_MOST_ONCE)
        with pytest.raises(ServerError):
            await rerun_endpoint_test.with_options(retries=1)("3", client)
        await rerun_endpoint_test("4", client)
        client.gate.stop("the deadline has come", begun_too=True)
        with pytest.raises(RunStopped):
            await rerun_endpoint_test("4", client)
    lines = [record.getMessage() for record in caplog.records if "Test " in record.getMessage()]
    lost = lines.pop(2)
    assert lost.startswith("Test 2, attempt 1: sent, and no answer came back (RemoteProtocolError:")
    assert lost.endswith(
        "; not sent again: it may have run already, and at_most_once sends nothing twice"
    )
    assert lines == [
        f"Test 1, attempt 1: {MAINTENANCE}; retry 1 of 3 follows",
        f"Test 1, attempt 2: {WRONG}; not sent again: the same call would end the same way",
        f"Test 3, attempt 1: {BROKEN}; retry 1 of 1 follows",
        f"Test 3, attempt 2: {BROKEN}; not sent again: the retries are used up",
        f"Test 4, attempt 1: accepted ({ACCEPTED}4)",
        "Test 4: the deadline has come; not sent",
    ]
    # Prefect's own lines are there, and none looks like a crash.
    assert "Retries are exhausted" in caplog.text
    assert "Traceback" not in caplog.text


async def test_the_apis_own_words_are_cut_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    body = {"title": "Bad Request", "detail": "no " * 5_000, "errors": [{"message": "x" * 5_000}]}
    transport = httpx.MockTransport(lambda _: httpx.Response(400, json=body))
    settings = ThousandEyesSettings(token="a-token")
    async with ThousandEyesClient(settings, transport=transport) as client:
        with pytest.raises(InvalidCall):
            await rerun_endpoint_test("1", client)
    [line] = [text for record in caplog.records if "not sent" in (text := record.getMessage())]
    assert "Bad Request: no no no" in line
    assert len(line) < 600


async def test_alone_in_somebodys_flow_it_takes_settings_from_the_environment(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=["1"])

    @flow
    async def somebodys() -> Record:
        return await rerun_endpoint_test("1", aid="1234")

    record = await somebodys()
    assert (record.outcome, record.aid, simulator.runs("1")) == ("accepted", "1234", 1)


@pytest.mark.usefixtures("quick_retries")
async def test_alone_too_it_counts_all_its_attempts_and_their_doubts(simulate: Simulate) -> None:
    simulate(tests=["1", "2"], faults={"1": Fault(replies=[503, "dropped_after"])})
    records = [await rerun_endpoint_test(test_id) for test_id in ("1", "2", "2")]
    assert [(record.attempts, record.maybe_duplicate) for record in records] == [
        *((3, True), (1, False), (1, False))
    ]


@pytest.mark.usefixtures("quick_retries")
async def test_a_promise_given_as_a_word_is_kept_and_a_misspelt_one_refused(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=["1"], faults={"1": Fault(replies=["dropped_after"])})
    with pytest.raises(ValueError, match="'at_most_one' is not a valid Delivery"):
        await rerun_endpoint_test("1", delivery="at_most_one")
    assert simulator.calls == []
    with pytest.raises(ReplyLost):
        await rerun_endpoint_test("1", delivery="at_most_once")
    assert simulator.runs("1") == 1


async def test_without_a_client_and_a_token_it_says_which_variable_is_missing(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate(tests=["1"])
    monkeypatch.delenv("TE_TOKEN")
    with pytest.raises(SettingsError, match="TE_TOKEN is not set"):
        await rerun_endpoint_test("1")
    assert simulator.calls == []


async def test_its_errors_survive_pickling(simulate: Simulate) -> None:
    simulate(tests=["1"], faults={"1": Fault(replies=[503])})
    with pytest.raises(ServerError) as raised:
        await rerun_endpoint_test("1", delivery=Delivery.AT_MOST_ONCE)
    copy = pickle.loads(pickle.dumps(raised.value))
    assert type(copy) is ServerError
    assert (str(copy), copy.status) == (str(raised.value), 503)


async def test_the_record_is_up_to_date_also_when_the_task_is_cut_short(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=["1"], faults={"1": Fault(replies=["stalled"])})
    record = Record("1")
    running = asyncio.ensure_future(rerun_endpoint_test(record))
    await wait_until(lambda: len(sent(simulator)) == 1)
    running.cancel()
    await asyncio.wait([running])
    assert (record.outcome, record.attempts) == ("unknown", 1)
    assert record.started_at


async def test_prefect_hands_on_the_very_objects_that_were_passed(simulate: Simulate) -> None:
    simulate(tests=["1"])
    seen: list[ThousandEyesClient] = []

    class Watched(ThousandEyesClient):
        async def rerun(self, *arguments: Any, **options: Any) -> str:
            seen.append(self)
            return await super().rerun(*arguments, **options)

    record = Record("1")
    async with Watched(ThousandEyesSettings()) as client:
        assert await rerun_endpoint_test(record, client) is record
    assert seen == [client]


@pytest.mark.usefixtures("quick_retries")
async def test_it_is_called_back_before_each_call_that_goes_out(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=["1"], faults={"1": Fault(replies=[500])})
    before: list[int] = []

    async def note() -> None:
        before.append(len(simulator.calls))

    await rerun_endpoint_test("1", before_sending=note)
    assert before == [0, 1]


def test_asking_twice_is_running_twice_and_nothing_is_stored() -> None:
    assert rerun_endpoint_test.persist_result is False
    key: Callable[..., str | None] = rerun_endpoint_test.cache_policy.compute_key
    assert key(task_ctx=None, inputs={"test_id": "1"}, flow_parameters={}) is None
