"""The tasks of a creation: what Prefect retries, and what it must not."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from tasks.create import create_endpoint_test, list_endpoint_tests
from thousandeyes.client import ThousandEyesClient
from thousandeyes.definitions import AgentToServerTest
from thousandeyes.errors import CallFailed, ReplyLost, ServerError, Unreachable
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.simulator import Fault, create_app, serve

pytestmark = pytest.mark.usefixtures("prefect_server")

VOICE = AgentToServerTest(test_name="Voice", server="voice.example.com")


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    for task in (create_endpoint_test, list_endpoint_tests):
        monkeypatch.setattr(task, "retry_delay_seconds", [0.01])


@contextmanager
def simulated(**options: Any) -> Iterator[tuple[Starlette, ThousandEyesClient]]:
    app = create_app(tests=0, **options)
    with serve(app) as server:
        settings = ThousandEyesSettings(token=SecretStr("sim-token"), base_url=server.url)
        yield app, ThousandEyesClient(settings)


async def test_the_record_gets_the_id_and_the_log_tells_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    record = Record("", "Voice")
    with simulated() as (app, client):
        async with client:
            assert await create_endpoint_test(VOICE, client, record=record) is record
    assert [record.test_id] == app.state.simulator.test_ids
    assert f"Test {record.test_id}, attempt 1: accepted (created, and run once)" in caplog.messages


@pytest.mark.parametrize(
    ("fault", "error"),
    [(500, ServerError), ("dropped_before", ReplyLost), ("dropped_after", ReplyLost)],
)
async def test_a_doubtful_creation_is_never_sent_again(
    fault: int | str, error: type[CallFailed], caplog: pytest.LogCaptureFixture
) -> None:
    record = Record("", "Voice")
    with simulated(creation_faults={"Voice": Fault(replies=[fault])}) as (app, client):
        async with client:
            with pytest.raises(error):
                await create_endpoint_test(VOICE, client, record=record)
    assert len(app.state.simulator.calls) == record.attempts == 1
    assert "Test 'Voice', attempt 1: " in caplog.text
    assert "not sent again: it may have run already" in caplog.text


async def test_without_a_connection_it_is_tried_four_times(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    settings = ThousandEyesSettings(token=SecretStr("sim-token"), base_url=url)
    record = Record("", "Voice")
    async with ThousandEyesClient(settings) as client:
        with pytest.raises(Unreachable):
            await create_endpoint_test(VOICE, client, record=record)
        with pytest.raises(Unreachable):
            await list_endpoint_tests(client)
    assert (record.attempts, record.outcome) == (4, Outcome.UNREACHABLE)


async def test_a_list_that_is_lost_is_read_again() -> None:
    answers = iter([500, 200])
    with simulated() as (app, client):
        async with client:
            tests = client.tests

            async def flaky(aid: str | None = None) -> object:
                if next(answers) == 500:
                    raise ServerError("500: Oops", 500)
                return await tests(aid)

            client.tests = flaky  # type: ignore[assignment,method-assign]
            assert await list_endpoint_tests(client) == []
    assert len(app.state.simulator.calls) == 1
