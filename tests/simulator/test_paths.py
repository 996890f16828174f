"""The hops that the simulator's packets take, and what they have to do with what was measured."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from tests.simulator.test_results import HTTP, IDS, NETWORK, RESULTS, run
from thousandeyes.simulator import Behaviour, Cause

Make = Callable[..., Starlette]
Connect = Callable[[Starlette], httpx.AsyncClient]
Row = dict[str, Any]
QUICK: dict[str, Any] = {"tests": IDS, "results_after_seconds": 0, "page_size": 500}
OFFICE: dict[str, Any] = {**QUICK, "agents": 60, "max_machines": 60}


def path_of(row: Row) -> str:
    return f"{RESULTS}/{row['testId']}/path-vis/agent/{row['agentId']}/round/{row['roundId']}"


async def paths(api: httpx.AsyncClient, test_id: str = NETWORK) -> list[tuple[Row, Row]]:
    """Return each network row of a new round, and the row of its path."""
    await run(api, test_id)
    rows = (await api.post(f"{RESULTS}/{test_id}/network/filter")).json()["results"]
    found = []
    for row in rows:
        reply = (await api.get(path_of(row))).json()
        assert reply["test"]["testId"] == test_id
        [path] = reply["results"]
        assert [path[name] for name in ("testId", "agentId", "roundId")] == [
            row[name] for name in ("testId", "agentId", "roundId")
        ]
        found.append((row, path))
    return found


def answered(trace: Row) -> list[Row]:
    return [hop for hop in trace["hops"] if "ipAddress" in hop]


def reaches(path: Row, trace: Row) -> bool:
    return bool(trace["hops"][-1].get("ipAddress") == path["serverIp"])


async def test_hops_are_counted_from_the_gateway_to_the_target(
    make: Make, connect: Connect
) -> None:
    for row, path in await paths(connect(make(healthy=True, **QUICK))):
        if row["isIcmpBlocked"]:
            continue
        [trace] = path["pathTraces"]
        assert [hop["hop"] for hop in trace["hops"]] == list(range(1, len(trace["hops"]) + 1))
        addresses = [hop["ipAddress"] for hop in answered(trace)]
        assert len(set(addresses)) == len(addresses)
        assert addresses[0] == row["networkProfile"]["gateway"]
        assert addresses[-1] == row["serverIp"]
        assert answered(trace)[-1]["responseTime"] == int(row["avgLatency"])


async def test_a_hop_on_the_way_may_not_answer(make: Make, connect: Connect) -> None:
    found = await paths(connect(make(healthy=True, **OFFICE)))
    silent = [
        len(answered(trace)) < len(trace["hops"])
        for _, path in found
        for trace in path["pathTraces"]
        if reaches(path, trace)
    ]
    assert any(silent)
    assert not all(silent)


async def test_the_summary_tells_of_the_same_paths(make: Make, connect: Connect) -> None:
    api = connect(make(**OFFICE))
    found = {path["agentId"]: path["pathTraces"] for _, path in await paths(api, HTTP)}
    summary = (await api.get(f"{RESULTS}/{HTTP}/path-vis")).json()["results"]
    assert {row["agentId"] for row in summary} == set(found)
    for row in summary:
        of_one = found[row["agentId"]]
        assert [trace["pathId"] for trace in row["pathTraces"]] == [
            trace["pathId"] for trace in of_one
        ]
        assert [trace["numberOfHops"] for trace in row["pathTraces"]] == [
            len(trace["hops"]) for trace in of_one
        ]


async def test_the_same_calls_tell_the_same_paths(make: Make, connect: Connect) -> None:
    first, second = [await paths(connect(make(**QUICK))) for _ in range(2)]
    assert first == second


@pytest.mark.parametrize("ends", ["gateway", "vpn_gateway", "on_the_way"])
async def test_where_all_packets_are_lost_the_path_ends_where_it_is_told_to(
    make: Make, connect: Connect, ends: Any
) -> None:
    told = {NETWORK: [Behaviour(loss=100, path_ends=ends)]}
    for row, path in await paths(connect(make(agents_of=told, **QUICK))):
        for trace in path["pathTraces"]:
            last = answered(trace)[-1]["ipAddress"]
            assert last != path["serverIp"]
            vpn = row.get("vpnProfile", {}).get("vpnGatewayAddress")
            if ends == "vpn_gateway" and vpn:
                assert last == vpn
            elif ends != "on_the_way":
                assert last == row["networkProfile"]["gateway"]
            assert "ipAddress" not in trace["hops"][-1]


@pytest.mark.parametrize(
    ("cause", "name"),
    [
        (Cause(attribute="ssid", value="Guest-7F"), "gateway"),
        (Cause(attribute="vpn_gateway", value="192.0.2.11"), "vpnGatewayAddress"),
    ],
)
async def test_a_planted_cause_shows_at_the_gateway_or_at_the_vpn(
    make: Make, connect: Connect, cause: Cause, name: str
) -> None:
    found = await paths(connect(make(causes=[cause], healthy=True, **OFFICE)))
    cut_off = [(row, path) for row, path in found if row.get("loss") == 100]
    assert 0 < len(cut_off) < len(found)
    for row, path in cut_off:
        [trace] = path["pathTraces"]
        profile = row["networkProfile"] | row.get("vpnProfile", {})
        assert answered(trace)[-1]["ipAddress"] == profile[name]


async def test_where_some_packets_are_lost_so_many_of_ten_traces_end(
    make: Make, connect: Connect
) -> None:
    told = {NETWORK: [Behaviour(loss=40)]}
    for _, path in await paths(connect(make(agents_of=told, healthy=True, **QUICK))):
        assert [reaches(path, trace) for trace in path["pathTraces"]].count(False) == 4
        assert len({trace["pathId"] for trace in path["pathTraces"]}) == 10


async def test_a_delay_begins_behind_the_gateway_or_at_the_vpn(
    make: Make, connect: Connect
) -> None:
    told = {NETWORK: [Behaviour(latency_ms=300)]}
    for row, path in await paths(connect(make(agents_of=told, healthy=True, **QUICK))):
        [trace] = path["pathTraces"]
        vpn = row.get("vpnProfile", {}).get("vpnGatewayAddress")
        slow = [hop for hop in answered(trace) if hop["responseTime"] > 200]
        before = [hop for hop in answered(trace) if hop["responseTime"] < 20]
        assert len(slow) + len(before) == len(answered(trace))
        assert slow[0]["ipAddress"] == vpn if vpn else len(before) == 1


async def test_where_icmp_is_blocked_the_target_does_not_answer(
    make: Make, connect: Connect
) -> None:
    told = {NETWORK: [Behaviour(icmp_blocked=True)]}
    for _, path in await paths(connect(make(agents_of=told, healthy=True, **QUICK))):
        [trace] = path["pathTraces"]
        assert not reaches(path, trace)
        assert len(trace["hops"]) - answered(trace)[-1]["hop"] <= 2


async def test_a_laptop_with_a_vpn_tells_its_path_to_that_too(make: Make, connect: Connect) -> None:
    for row, path in await paths(connect(make(healthy=True, **OFFICE))):
        vpn = row.get("vpnProfile", {}).get("vpnGatewayAddress")
        assert ("vpnPathTraces" in path) is bool(vpn)
        if vpn:
            [trace] = path["vpnPathTraces"]
            assert trace["hops"][-1]["ipAddress"] == vpn


async def test_a_path_that_nobody_traced_is_not_found(make: Make, connect: Connect) -> None:
    app = make(**QUICK)
    api = connect(app)
    [(row, _), *_] = await paths(api)
    offline = next(agent.id for agent in app.state.simulator.agents if not agent.is_online)
    for odd in (
        {"testId": "9"},
        {"testId": "3"},
        {"agentId": "none"},
        {"agentId": offline},
        {"roundId": row["roundId"] - 60},
        {"roundId": "latest"},
        {"roundId": "9" * 5_000},
    ):
        assert (await api.get(path_of(row | odd))).status_code == 404, odd


async def test_a_path_appears_when_its_row_does(
    make: Make, connect: Connect, now: list[float]
) -> None:
    api = connect(make(**QUICK | {"results_after_seconds": 10}))
    agent = make(**QUICK).state.simulator.agents[0].id
    await run(api, NETWORK)
    path = path_of({"testId": NETWORK, "agentId": agent, "roundId": int(now[0])})
    assert (await api.get(path)).status_code == 404
    now[0] += 20
    assert (await api.get(path)).status_code == 200


async def test_to_read_a_path_spends_the_organizations_quota(make: Make, connect: Connect) -> None:
    api = connect(make(organization_limit=3, agents=1, **QUICK))
    [(row, _)] = await paths(api)
    reply = await api.get(path_of(row))
    assert reply.status_code == 429
    assert reply.headers["x-organization-rate-limit-remaining"] == "0"
    assert "x-instant-test-rate-limit-limit" not in reply.headers


async def test_calls_for_paths_get_what_is_told_of_calls_for_results(
    make: Make, connect: Connect
) -> None:
    api = connect(make(agents=1, result_replies=[200, 200, 503], **QUICK))
    [(row, _)] = await paths(api)
    assert (await api.get(path_of(row))).status_code == 503
