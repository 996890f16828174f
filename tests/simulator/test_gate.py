import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx
import pytest
from starlette.applications import Starlette

Make = Callable[..., Starlette]
Connect = Callable[[Starlette], httpx.AsyncClient]
LIST = "/endpoint/tests/scheduled-tests"
RUN = f"{LIST}/1/run"


def families(reply: httpx.Response) -> set[str]:
    return {name.split("-rate-")[0][2:] for name in reply.headers if "-rate-limit-" in name}


async def test_a_run_tells_both_families_and_other_calls_the_organization(
    make: Make, connect: Connect
) -> None:
    api = connect(make(tests=["1"]))
    assert families(await api.post(RUN)) == {"organization", "instant-test"}
    assert families(await api.get(LIST)) == {"organization"}
    assert families(await api.get("/nowhere")) == {"organization"}


async def test_families_that_are_not_told_are_enforced_all_the_same(
    make: Make, connect: Connect
) -> None:
    api = connect(make(tests=["1"], rate_headers=[], instant_limit=1))
    replies = [await api.post(RUN), await api.post(RUN)]
    assert [reply.status_code for reply in replies] == [200, 429]
    assert families(replies[0]) == set()


async def test_remaining_and_reset_are_told_by_the_servers_clock(
    make: Make, connect: Connect, now: list[float]
) -> None:
    api = connect(make(tests=["1"], clock_offset_seconds=-3_600, window_seconds=60))
    await api.post(RUN)
    now[0] += 10
    reply = await api.post(RUN)
    assert reply.headers["X-Instant-Test-Rate-Limit-Limit"] == "24"
    assert reply.headers["X-Instant-Test-Rate-Limit-Remaining"] == "22"
    reset = int(reply.headers["X-Instant-Test-Rate-Limit-Reset"])
    assert reset - parsedate_to_datetime(reply.headers["Date"]).timestamp() == 50
    assert reset == now[0] - 3_600 + 50


async def test_a_429_has_a_problem_body_and_no_remaining_calls(
    make: Make, connect: Connect, now: list[float]
) -> None:
    app = make(tests=["1"], instant_limit=1)
    api = connect(app)
    await api.post(RUN)
    refused = await api.post(RUN)
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["status"] == 429
    assert refused.headers["X-Instant-Test-Rate-Limit-Remaining"] == "0"
    assert app.state.simulator.runs("1") == 1
    now[0] += 60
    assert (await api.post(RUN)).status_code == 200


async def test_a_wrong_token_is_refused_in_a_shape_of_its_own_and_spends_nothing(
    make: Make, connect: Connect
) -> None:
    api = connect(make(tests=["1"]))
    told = {"Bearer wrong": "error", "Basic sim-token": "error", "": "errorMessage"}
    for header, name in told.items():
        reply = await api.post(RUN, headers={"Authorization": header})
        assert reply.status_code == 401
        assert name in reply.json()
        assert reply.headers["X-Organization-Rate-Limit-Remaining"] == "240"


async def test_another_account_group_is_refused(make: Make, connect: Connect) -> None:
    api = connect(make(tests=["1"], aid="77"))
    assert (await api.post(RUN, params={"aid": "77"})).status_code == 200
    assert (await api.post(RUN, params={"aid": "1234"})).status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", f"{LIST}/2/run", 404),
        ("POST", f"{LIST}//run", 404),
        ("GET", RUN, 405),
        ("DELETE", LIST, 405),
        ("POST", f"{RUN}/", 404),
        ("GET", "/nowhere", 404),
    ],
)
async def test_a_wrong_path_or_method_has_a_problem_body_and_a_date(
    make: Make, connect: Connect, method: str, path: str, status: int
) -> None:
    reply = await connect(make(tests=["1"])).request(method, path)
    assert reply.status_code == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json()["status"] == status
    assert "Date" in reply.headers


async def test_every_call_is_recorded_with_its_reply(
    make: Make, connect: Connect, now: list[float]
) -> None:
    app = make(tests=["1"])
    api = connect(app)
    await api.post(RUN)
    await api.get(LIST, params={"aid": "9"})
    await api.post(RUN, headers={"Authorization": ""})
    run, listing, refused = app.state.simulator.calls
    assert (run.at, run.method, run.path, run.test_id) == (now[0], "POST", f"/v7{RUN}", "1")
    assert (run.status, run.applied) == (200, True)
    assert (listing.status, listing.applied, listing.test_id) == (403, False, None)
    assert (refused.status, refused.applied, refused.test_id) == (401, False, "1")


async def test_every_reply_waits_for_the_latency(make: Make, connect: Connect) -> None:
    api = connect(make(tests=["1"], latency_seconds=0.03))
    for call in (api.post(RUN), api.get("/nowhere")):
        began = time.monotonic()
        await call
        assert time.monotonic() - began >= 0.03
