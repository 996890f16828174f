"""Creating a test through the client: what goes out, and what each answer means."""

import json
import logging
import time
from contextlib import suppress

import pytest
from pydantic import SecretStr

from tests.thousandeyes.wire import Answer, Wire, drops, resets, says, sends, stalls, wire
from thousandeyes.client import ThousandEyesClient
from thousandeyes.definitions import AgentToServerTest, HttpServerTest
from thousandeyes.errors import (
    CallFailed,
    Forbidden,
    InvalidCall,
    ReplyLost,
    ServerError,
    TokenRefused,
    TooManyRequests,
    Unreachable,
)
from thousandeyes.families import Family
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.simulator import Fault, create_app, serve

TOKEN = "0a1b2c3d-4e5f/6789+abcd=ef0123456789"
VOICE = AgentToServerTest(test_name="Voice", server="voice.example.com")
PASSWORD = 'pa$$ "w0rd"\\&'
INTRANET = HttpServerTest(
    test_name="Intranet",
    url="https://intranet.example.com",
    auth_type="basic",
    username="ada",
    password=SecretStr(PASSWORD),
)
LOCATION = "https://api.example.com/v7/endpoint/tests/scheduled-tests/agent-to-server/"


def client_of(url: Wire | str, **options: object) -> ThousandEyesClient:
    address = url if isinstance(url, str) else f"http://127.0.0.1:{url.port}"
    return ThousandEyesClient(
        ThousandEyesSettings.model_validate({"token": TOKEN, "base_url": address, **options})
    )


async def test_it_returns_the_new_tests_id_and_the_test_ran_once() -> None:
    app = create_app(tests=0, token=TOKEN, aid="12")
    record = Record("", "Voice", aid="12")
    with serve(app) as server:
        async with client_of(server.url) as client:
            test_id = await client.create(VOICE, record)
            told = client.gate.quota.families[Family.ORGANIZATION].told
    assert app.state.simulator.test_ids == [test_id] == [record.test_id]
    assert app.state.simulator.runs(test_id) == 1
    assert (record.outcome, record.http_status, record.attempts) == (Outcome.ACCEPTED, 201, 1)
    assert told
    assert told.remaining == told.limit - 1


async def test_a_refusal_for_quota_is_waited_out_and_sent_again() -> None:
    window = {
        "x_organization_rate_limit_limit": "240",
        "x_organization_rate_limit_remaining": "0",
        "x_organization_rate_limit_reset": str(int(time.time()) - 1),
    }
    refusal = says(status="429 Too Many Requests", **window)
    heard: list[CallFailed] = []

    async def hear(error: CallFailed) -> None:
        heard.append(error)

    record = Record("", "Voice")
    async with (
        wire(refusal, says('{"testId": "7"}', status="201 Created")) as server,
        client_of(server) as client,
    ):
        await client.create(VOICE, record, on_quota_refusal=hear)
    assert [type(error) for error in heard] == [TooManyRequests]
    assert (record.outcome, record.attempts) == (Outcome.ACCEPTED, 2)
    assert not record.maybe_duplicate


async def test_it_spends_both_quotas_and_is_awaited_by_who_writes_ahead_of_it() -> None:
    record = Record("", "Voice")

    async def write_ahead() -> None:
        in_flight = [quota.in_flight for quota in client.gate.quota.families.values()]
        assert (in_flight, record.outcome) == ([1, 1], Outcome.UNKNOWN)
        assert server.requests == []

    async with wire(says('{"testId": "7"}')) as server, client_of(server) as client:
        await client.create(VOICE, record, before_sending=write_ahead)


@pytest.mark.parametrize(
    ("answer", "error", "outcome"),
    [
        (drops, ReplyLost, Outcome.UNKNOWN),
        (resets, ReplyLost, Outcome.UNKNOWN),
        (stalls, ReplyLost, Outcome.UNKNOWN),
        (
            sends(b"HTTP/1.1 201 Created\r\ncontent-length: 99\r\n\r\n{", then_drop=True),
            ReplyLost,
            Outcome.UNKNOWN,
        ),
        (says("<html></html>", kind="text/html"), ReplyLost, Outcome.UNKNOWN),
        (says("{}", status="201 Created"), ReplyLost, Outcome.UNKNOWN),
        (says("", status="201 Created"), ReplyLost, Outcome.UNKNOWN),
        (says('{"testId": "1/../2"}', status="201 Created"), ReplyLost, Outcome.UNKNOWN),
        (says("{}", status="201 Created", location="http://[x"), ReplyLost, Outcome.UNKNOWN),
        (says("{}", status="500 Oops"), ServerError, Outcome.SERVER_ERROR),
        (says("{}", status="400 Bad Request"), InvalidCall, Outcome.INVALID),
        (says("{}", status="401 Unauthorized"), TokenRefused, Outcome.FORBIDDEN),
        (says("{}", status="403 Forbidden"), Forbidden, Outcome.FORBIDDEN),
    ],
)
async def test_each_answer_has_its_outcome_and_is_asked_for_once(
    answer: Answer, error: type[CallFailed], outcome: Outcome
) -> None:
    record = Record("", "Voice")
    async with wire(answer) as server, client_of(server, read_timeout=0.2) as client:
        with pytest.raises(error):
            await client.create(VOICE, record)
        assert len(server.requests) == 1
    assert (record.outcome, record.test_id) == (outcome, "")


async def test_without_a_connection_nothing_was_created(unused_tcp_port: int) -> None:
    record = Record("", "Voice")
    async with client_of(f"http://127.0.0.1:{unused_tcp_port}") as client:
        with pytest.raises(Unreachable):
            await client.create(VOICE, record)
    assert (record.outcome, record.in_doubt) == (Outcome.UNREACHABLE, False)


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ('{"type": "agent-to-server", "testId": "281474976710706"}', LOCATION + "9"),
        ('{"type": "agent-to-server", "testId": 281474976710706}', ""),
        ('{"type": "agent-to-server"}', LOCATION + "281474976710706"),
        ("", LOCATION + "281474976710706"),
    ],
)
async def test_the_id_is_the_answers_or_its_locations(body: str, location: str) -> None:
    async with wire(says(body, status="201 Created", location=location)) as server:
        async with client_of(server) as client:
            assert await client.create(VOICE, Record("")) == "281474976710706"


@pytest.mark.parametrize(
    "answer",
    [
        says(json.dumps({"detail": f"{PASSWORD} is short"}), status="400 Bad Request"),
        says(json.dumps({"detail": PASSWORD}, ensure_ascii=False), status="400 Bad Request"),
        says(f"<html><title>{PASSWORD}</title></html>", kind="text/html"),
        says("{}", status="500 Oops", x_echo=PASSWORD),
        sends(f"HTTP/1.1 201 {PASSWORD}\r\ncontent-length: 0\r\n\r\n".encode()),
    ],
)
async def test_a_password_that_is_repeated_stands_in_no_error_and_no_log(
    answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    record = Record("", "Intranet")
    async with wire(answer) as server, client_of(server) as client:
        with pytest.raises(CallFailed) as failed:
            await client.create(INTRANET, record)
    for text in (str(failed.value), record.detail, caplog.text, f"{vars(failed.value)}"):
        assert "w0rd" not in text
    assert "httpcore" in caplog.text


async def test_a_password_like_a_part_of_the_answer_costs_no_id() -> None:
    definition = INTRANET.model_copy(update={"password": SecretStr("7")})
    app = create_app(tests=0, token=TOKEN, seed=7)
    with serve(app) as server:
        async with client_of(server.url) as client:
            created = [await client.create(definition, Record("")) for _ in range(20)]
    assert any("7" in test_id for test_id in created)
    assert app.state.simulator.test_ids == created


async def test_the_simulator_s_faults_are_understood() -> None:
    faults: dict[str, tuple[int | str, Outcome]] = {
        "a": (503, Outcome.SERVER_ERROR),
        "b": ("dropped_before", Outcome.UNKNOWN),
        "c": ("dropped_after", Outcome.UNKNOWN),
        "d": ("half_body", Outcome.UNKNOWN),
        "e": ("empty", Outcome.UNKNOWN),
        "f": ("echo", Outcome.INVALID),
        "g": (202, Outcome.ACCEPTED),
    }
    plan = {name: Fault(replies=[reply]) for name, (reply, _) in faults.items()}
    app = create_app(tests=0, token=TOKEN, creation_faults=plan)
    with serve(app) as server:
        async with client_of(server.url) as client:
            for name, (_, outcome) in faults.items():
                record = Record("", name)
                definition = INTRANET.model_copy(update={"test_name": name})
                with suppress(CallFailed):
                    await client.create(definition, record)
                assert record.outcome is outcome
                assert "w0rd" not in record.detail
    assert [test.name for test in app.state.simulator.tests.values()] == ["c", "d", "e", "g"]
