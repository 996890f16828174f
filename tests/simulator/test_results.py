from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

Make = Callable[..., Starlette]
Connect = Callable[[Starlette], httpx.AsyncClient]
RESULTS = "/endpoint/test-results/scheduled-tests"
NETWORK, HTTP = "1", "2"
IDS = [NETWORK, HTTP, "3", "4"]


async def run(api: httpx.AsyncClient, *test_ids: str) -> None:
    for test_id in test_ids:
        reply = await api.post(f"/endpoint/tests/scheduled-tests/{test_id}/run")
        assert reply.status_code == 200


async def network(
    api: httpx.AsyncClient, test_id: str = NETWORK, query: str = ""
) -> dict[str, Any]:
    reply = await api.post(f"{RESULTS}/{test_id}/network/filter{query}")
    found: dict[str, Any] = reply.json()
    return found


async def test_rows_appear_over_time_after_a_run(
    make: Make, connect: Connect, now: list[float]
) -> None:
    app = make(tests=IDS, results_after_seconds=10)
    api = connect(app)
    await run(api, NETWORK)
    counts = []
    for _ in range(5):
        counts.append((await network(api))["totalHits"])
        now[0] += 5.01
    online = [agent for agent in app.state.simulator.agents if agent.is_online]
    assert counts[:2] == [0, 0]
    assert 0 == counts[2] < counts[3] < counts[4] == len(online) < 25


async def test_offline_agents_never_answer(make: Make, connect: Connect) -> None:
    app = make(tests=IDS, results_after_seconds=0)
    api = connect(app)
    await run(api, NETWORK)
    answered = {row["agentId"] for row in (await network(api))["results"]}
    offline = {agent.id for agent in app.state.simulator.agents if not agent.is_online}
    assert offline
    assert not answered & offline


async def test_a_round_begins_at_the_runs_minute(
    make: Make, connect: Connect, now: list[float]
) -> None:
    api = connect(make(tests=IDS, results_after_seconds=0))
    now[0] += 45
    await run(api, NETWORK)
    rows = (await network(api))["results"]
    assert {row["roundId"] for row in rows} == {now[0] - 45}


async def test_the_same_calls_measure_the_same(make: Make, connect: Connect) -> None:
    seen = []
    for _ in range(2):
        api = connect(make(tests=IDS, results_after_seconds=0))
        await run(api, NETWORK)
        seen.append((await network(api))["results"])
    assert seen[0] == seen[1]


async def test_results_of_a_test_come_with_its_definition(make: Make, connect: Connect) -> None:
    api = connect(make(tests=IDS))
    assert (await network(api))["test"]["testId"] == NETWORK
    many = (await api.post(f"{RESULTS}/network/filter")).json()
    assert "test" not in many


async def test_results_of_many_tests_are_of_those_that_the_body_names(
    make: Make, connect: Connect
) -> None:
    api = connect(make(tests=IDS, results_after_seconds=0))
    await run(api, *IDS)
    body = {"searchFilters": {"testId": [NETWORK, "3"]}}
    for path, given, expected in (
        ("network", body, {NETWORK, "3"}),
        ("network", {}, set(IDS)),
        ("http-server", {}, {HTTP, "4"}),
        ("http-server", {"searchFilters": {"testId": [HTTP, "unknown"]}}, {HTTP}),
    ):
        reply = (await api.post(f"{RESULTS}/{path}/filter", json=given)).json()
        assert {row["testId"] for row in reply["results"]} == expected


async def test_rows_of_certain_agents_can_be_asked_for(make: Make, connect: Connect) -> None:
    app = make(tests=IDS, results_after_seconds=0)
    api = connect(app)
    await run(api, HTTP)
    agent = app.state.simulator.agents[0].id
    body = {"searchFilters": {"agentId": [agent]}}
    for kind in ("network", "http-server"):
        reply = (await api.post(f"{RESULTS}/{HTTP}/{kind}/filter", json=body)).json()
        assert [row["agentId"] for row in reply["results"]] == [agent]


async def test_a_network_test_has_no_http_results(make: Make, connect: Connect) -> None:
    api = connect(make(tests=IDS))
    assert (await api.get(f"{RESULTS}/{NETWORK}/http-server")).status_code == 404
    assert (await api.post(f"{RESULTS}/{NETWORK}/http-server/filter")).status_code == 404
    assert (await api.get(f"{RESULTS}/{HTTP}/http-server")).json()["test"]["type"] == "http-server"


async def test_http_rows_add_up_and_some_are_errors(make: Make, connect: Connect) -> None:
    api = connect(make(tests=IDS, agents=300, page_size=500, results_after_seconds=0, seed=3))
    for _ in range(5):
        await run(api, HTTP)
    rows = (await api.get(f"{RESULTS}/{HTTP}/http-server")).json()["results"]
    healthy = [row for row in rows if row["errorType"] == "none"]
    failed = [row for row in rows if row["errorType"] != "none"]
    assert failed
    assert all(row["errorDetails"] and "responseTime" not in row for row in failed)
    assert all(row["totalTime"] == row["responseTime"] + row["receiveTime"] for row in healthy)


async def test_more_is_told_when_it_is_expanded(make: Make, connect: Connect) -> None:
    api = connect(make(tests=IDS, results_after_seconds=0))
    await run(api, HTTP)
    path = f"{RESULTS}/{HTTP}/http-server"
    (plain, *_) = (await api.get(path)).json()["results"]
    (full, *_) = (await api.get(path, params={"expand": "header,user-profile"})).json()["results"]
    assert "headers" not in plain
    assert "userProfile" not in plain
    assert full["headers"]["responseHeaders"].startswith("HTTP/2 200")
    assert full["userProfile"]["userPrincipalName"].endswith("@example.com")


async def test_without_a_time_frame_paths_are_of_the_newest_round(
    make: Make, connect: Connect, now: list[float]
) -> None:
    api = connect(make(tests=IDS, results_after_seconds=0))
    await run(api, NETWORK)
    now[0] += 600
    await run(api, NETWORK)
    path = f"{RESULTS}/{NETWORK}/path-vis"
    newest = (await api.get(path)).json()
    assert {row["roundId"] for row in newest["results"]} == {now[0]}
    assert newest["results"][0]["pathTraces"][0]["numberOfHops"] > 0
    framed = (await api.get(path, params={"window": "1h"})).json()
    assert {row["roundId"] for row in framed["results"]} == {now[0] - 600, now[0]}


async def test_without_a_time_frame_results_are_of_the_last_two_hours(
    make: Make, connect: Connect, now: list[float]
) -> None:
    api = connect(make(tests=IDS, results_after_seconds=0))
    await run(api, NETWORK)
    now[0] += 7_200
    assert (await network(api))["totalHits"] > 0
    now[0] += 60
    old = await network(api)
    assert old["totalHits"] == 0
    assert "startDate" not in old
    assert (await network(api, query="?window=3h"))["totalHits"] > 0


@pytest.mark.parametrize("path", ["network/filter", "http-server/filter"])
async def test_an_unknown_test_has_no_results(make: Make, connect: Connect, path: str) -> None:
    assert (await connect(make(tests=IDS)).post(f"{RESULTS}/9/{path}")).status_code == 404


async def test_a_round_is_named_by_its_tests_interval(
    make: Make, connect: Connect, now: list[float]
) -> None:
    api = connect(make(tests=IDS, results_after_seconds=0, intervals={NETWORK: 300, "*": 120}))
    now[0] += 299
    await run(api, NETWORK)
    await run(api, HTTP)
    many = (await api.post(f"{RESULTS}/network/filter")).json()["results"]
    named = {(row["testId"], row["roundId"] - now[0]) for row in many}
    assert named == {(NETWORK, -299), (HTTP, -59)}
    tests = (await api.get("/endpoint/tests/scheduled-tests")).json()["tests"]
    assert {test["testId"]: test["interval"] for test in tests} == dict.fromkeys(IDS, 120) | {
        NETWORK: 300
    }
