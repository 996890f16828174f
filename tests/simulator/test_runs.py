import asyncio
import time
from collections.abc import Callable

import httpx
import pytest
from starlette.applications import Starlette

from thousandeyes.simulator import Fault

Make = Callable[..., Starlette]
Connect = Callable[[Starlette], httpx.AsyncClient]
RUN = "/endpoint/tests/scheduled-tests/1/run"


async def test_a_run_is_answered_with_the_tests_id(make: Make, connect: Connect) -> None:
    app = make(tests=["1"])
    reply = await connect(app).post(RUN)
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json()["message"].endswith("testId=1")
    assert app.state.simulator.runs("1") == 1


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 429, 500, 503])
async def test_an_error_status_has_a_problem_body(
    make: Make, connect: Connect, status: int
) -> None:
    app = make(tests=["1"], faults={"1": Fault(replies=[status])})
    reply = await connect(app).post(RUN)
    assert reply.status_code == reply.json()["status"] == status
    assert ("errors" in reply.json()) == (status == 400)
    assert app.state.simulator.runs("1") == 0


@pytest.mark.parametrize(
    ("entry", "status", "media_type", "body", "runs"),
    [
        (401, 401, "application/problem+json", "invalid_token", 0),
        (502, 502, "text/html; charset=utf-8", "<html>", 0),
        (202, 202, "application/json", "testId=1", 1),
        (204, 204, None, "", 1),
        ("html", 200, "text/html; charset=utf-8", "<html>", 0),
        ("plain_text", 200, "text/plain; charset=utf-8", "OK", 1),
        ("empty", 200, None, "", 1),
        ("no_message", 200, "application/json", "{}", 1),
    ],
)
async def test_other_faults_have_the_body_that_they_promise(
    make: Make,
    connect: Connect,
    entry: int | str,
    status: int,
    media_type: str | None,
    body: str,
    runs: int,
) -> None:
    app = make(tests=["1"], faults={"1": Fault(replies=[entry])})
    reply = await connect(app).post(RUN)
    assert reply.status_code == status
    assert reply.headers.get("Content-Type") == media_type
    assert body in reply.text
    assert app.state.simulator.runs("1") == runs


@pytest.mark.parametrize("status", [301, 302])
async def test_a_redirect_points_elsewhere(make: Make, connect: Connect, status: int) -> None:
    reply = await connect(make(tests=["1"], faults={"1": Fault(replies=[status])})).post(RUN)
    assert reply.status_code == status
    assert httpx.URL(reply.headers["Location"]).host == "elsewhere.invalid"


async def test_an_echo_repeats_the_token_everywhere(make: Make, connect: Connect) -> None:
    app = make(tests=["1"], token="s3cret", faults={"1": Fault(replies=["echo"])})
    reply = await connect(app).post(RUN)
    assert reply.status_code == 400
    assert "s3cret" in reply.json()["detail"]
    assert "s3cret" in reply.json()["errors"][0]["message"]
    assert reply.headers["X-Debug-Token"] == "s3cret"


@pytest.mark.parametrize(
    ("entry", "runs"), [("dropped_before", 0), ("dropped_after", 1), ("half_body", 1)]
)
async def test_in_process_a_drop_raises_what_httpx_would(
    make: Make, connect: Connect, entry: str, runs: int
) -> None:
    app = make(tests=["1"], faults={"1": Fault(replies=[entry])})
    with pytest.raises(httpx.RemoteProtocolError):
        await connect(app).post(RUN)
    assert app.state.simulator.runs("1") == runs


async def test_a_stalled_reply_stays_away_until_the_caller_gives_up(
    make: Make, connect: Connect
) -> None:
    app = make(tests=["1"], faults={"1": Fault(replies=["stalled"])})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await connect(app).post(RUN)
    assert app.state.simulator.runs("1") == 1
    assert app.state.simulator.calls[0].status is None


async def test_a_test_can_be_slow(make: Make, connect: Connect) -> None:
    app = make(tests=["1"], faults={"1": Fault(latency_seconds=0.03)})
    began = time.monotonic()
    assert (await connect(app).post(RUN)).status_code == 200
    assert time.monotonic() - began >= 0.03


async def test_a_call_refused_by_the_quota_uses_up_no_fault(make: Make, connect: Connect) -> None:
    app = make(tests=["1"], organization_limit=0, faults={"1": Fault(replies=[503])})
    assert (await connect(app).post(RUN)).status_code == 429
    assert app.state.simulator.faults.coming("1") == 503
