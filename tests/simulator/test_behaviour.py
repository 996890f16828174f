"""How agents, and the calls for their results, can be told to misbehave."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from starlette.applications import Starlette

from thousandeyes.simulator import Behaviour, create_app

Make = Callable[..., Starlette]
Connect = Callable[[Starlette], httpx.AsyncClient]
RESULTS = "/endpoint/test-results/scheduled-tests"
NETWORK, HTTP = "1", "2"
ALL_ONLINE: dict[str, Any] = {"seed": 9, "agents": 25, "results_after_seconds": 10}


@pytest.fixture
def measured(make: Make, connect: Connect, now: list[float]) -> Callable[..., Any]:
    """Run a test and return the rows that are there so many seconds later."""

    async def rows(
        test_id: str, *behaviours: Behaviour, after: float = 21, **options: Any
    ) -> list[dict[str, Any]]:
        told = {"agents_of": {test_id: list(behaviours)}}
        app = make(tests=[NETWORK, HTTP], **ALL_ONLINE | {"healthy": True} | told | options)
        api = connect(app)
        await api.post(f"/endpoint/tests/scheduled-tests/{test_id}/run")
        now[0] += after
        kind = "network" if test_id == NETWORK else "http-server"
        reply = await api.post(f"{RESULTS}/{test_id}/{kind}/filter")
        found: list[dict[str, Any]] = reply.json()["results"]
        return found

    return rows


Measured = Callable[..., Any]


async def test_healthy_agents_meet_nothing_bad(measured: Measured) -> None:
    network, http = await measured(NETWORK), await measured(HTTP)
    assert {row["loss"] for row in network} == {0}
    assert {row["errorType"] for row in http} == {"none"}
    assert len(network) == len(http) == 25


async def test_agents_that_never_answer_have_no_rows(measured: Measured) -> None:
    rows = await measured(NETWORK, Behaviour(agents=[0, 1, 2], answers="never"))
    assert len(rows) == 22


async def test_agents_that_answer_twice_have_two_rows_in_one_round(measured: Measured) -> None:
    rows = await measured(NETWORK, Behaviour(agents=[4], answers="twice"))
    counted = Counter(row["agentId"] for row in rows)
    assert sorted(counted.values()) == [1] * 24 + [2]
    [twice] = [agent for agent, count in counted.items() if count == 2]
    first, second = (row for row in rows if row["agentId"] == twice)
    assert first["roundId"] == second["roundId"]
    assert first["avgLatency"] != second["avgLatency"]


async def test_late_agents_answer_that_much_later(measured: Measured) -> None:
    late = Behaviour(agents=[0], late_seconds=60)
    assert len(await measured(NETWORK, late, after=69)) == 24
    assert len(await measured(NETWORK, late, after=81)) == 25


async def test_http_rows_may_come_later_than_network_rows(measured: Measured) -> None:
    late = Behaviour(agents=[0], http_late_seconds=60)
    assert len(await measured(NETWORK, late)) == 25
    assert len(await measured(HTTP, late, after=69)) == 24
    assert len(await measured(HTTP, late, after=81)) == 25


async def test_icmp_can_be_blocked_and_packets_lost(measured: Measured) -> None:
    blocked = Behaviour(agents=[0], icmp_blocked=True)
    lossy = Behaviour(agents=[1], loss=30, latency_ms=7)
    rows = await measured(NETWORK, blocked, lossy, Behaviour(agents=[2], loss=100))
    assert Counter(row.get("loss") for row in rows) == {None: 1, 30: 1, 100: 1, 0: 22}
    [blind] = [row for row in rows if row["isIcmpBlocked"]]
    assert "avgLatency" not in blind
    [dead] = [row for row in rows if row.get("loss") == 100]
    assert "avgLatency" not in dead, "what never comes back has no latency"
    assert 7 in {row.get("avgLatency") for row in rows}


@pytest.mark.parametrize("error_type", ["connect", "dns", "http", "receive", "send", "ssl"])
async def test_http_can_fail_in_every_way(measured: Measured, error_type: Any) -> None:
    rows = await measured(HTTP, Behaviour(agents=[3], error_type=error_type))
    assert Counter(row["errorType"] for row in rows) == {error_type: 1, "none": 24}
    [failed] = [row for row in rows if row["errorType"] != "none"]
    assert failed["errorDetails"]
    assert ("responseCode" in failed) is (error_type == "http")


@pytest.mark.parametrize(("code", "error_type"), [(204, "none"), (404, "http")])
async def test_http_can_answer_any_status(measured: Measured, code: int, error_type: str) -> None:
    rows = await measured(HTTP, Behaviour(agents=[3], response_code=code))
    assert {(row["responseCode"], row["errorType"]) for row in rows} == {
        *((200, "none"), (code, error_type))
    }


async def test_a_tests_own_behaviour_goes_before_everybodys_and_the_first_that_fits_counts(
    measured: Measured,
) -> None:
    told = {NETWORK: [Behaviour(agents=[0], loss=10)], "*": [Behaviour(loss=20)]}
    rows = await measured(NETWORK, agents_of=told)
    assert Counter(row["loss"] for row in rows) == {10: 1, 20: 24}


async def test_an_earlier_round_stands_there_and_is_no_run(
    make: Make, connect: Connect, now: list[float]
) -> None:
    app = make(tests=[NETWORK], earlier_round_seconds=90, **ALL_ONLINE)
    api = connect(app)
    reply = (await api.post(f"{RESULTS}/{NETWORK}/network/filter")).json()
    assert {row["roundId"] for row in reply["results"]} == {now[0] - 120}
    assert app.state.simulator.runs(NETWORK) == 0


async def test_calls_for_results_get_what_is_told_and_then_the_usual(
    make: Make, connect: Connect
) -> None:
    app = make(tests=[NETWORK], result_replies=[200, 503, 429, "html", "empty", "dropped"])
    api = connect(app)
    path = f"{RESULTS}/network/filter"
    replies = [await api.post(path) for _ in range(5)]
    assert [reply.status_code for reply in replies] == [200, 503, 429, 200, 200]
    assert replies[3].headers["content-type"].startswith("text/html")
    assert replies[4].content == b""
    with pytest.raises(httpx.RemoteProtocolError):
        await api.post(path)
    assert (await api.post(path)).json()["totalHits"] == 0
    assert (await api.get("/endpoint/tests/scheduled-tests")).status_code == 200, "no result call"


async def test_calls_for_results_that_name_an_unreadable_test_are_refused(
    make: Make, connect: Connect
) -> None:
    api = connect(make(tests=["1", "2"], unreadable=["2"]))
    body = {"searchFilters": {"testId": ["1", "2"]}}
    assert (await api.post(f"{RESULTS}/network/filter", json=body)).status_code == 404
    assert (await api.post(f"{RESULTS}/2/network/filter")).status_code == 404
    assert (await api.post(f"{RESULTS}/1/network/filter")).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"agents_of": {"9": []}},
        {"unreadable": ["9"]},
        {"agents_of": {"1": [{"loss": 101}]}},
        {"agents_of": {"1": [{"error_type": "none"}]}},
        {"agents_of": {"1": [{"answers": "thrice"}]}},
        {"agents_of": {"1": [{"agents": [-1]}]}},
        {"faults": {"*": {}}},
        {"result_replies": ["dropped_after"]},
        {"earlier_round_seconds": -1},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        create_app(tests=["1"], **wrong)


def test_tests_that_behaviours_name_are_added_to_a_number_of_tests() -> None:
    app = create_app(tests=2, agents_of={"765231567": [Behaviour()], "*": []})
    assert len(app.state.simulator.test_ids) == 3
    assert "765231567" in app.state.simulator.test_ids
