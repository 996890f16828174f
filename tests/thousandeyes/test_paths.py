"""What is read of the path of an agent's round."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.security.mutations import ODD, Mutation, _body, mutations
from tests.thousandeyes.steady import steady
from thousandeyes.path_words import words
from thousandeyes.paths import Hop, Path, Trace, path_of

AGENT, ROUND = "6f6ea1a6-0ef4-4a9c-9e7a-6a2f9e7f6a11", 1_800_000_000
HOPS: list[dict[str, Any]] = [
    {"hop": 1, "ipAddress": "10.0.0.1", "responseTime": 3, "prefix": "10.0.0.0/8"},
    {"hop": 2},
    {"hop": 3, "ipAddress": "203.0.113.9", "responseTime": 21, "rdns": "www.example.com"},
]
ROW: dict[str, Any] = {
    "testId": "1",
    "agentId": AGENT,
    "roundId": ROUND,
    "serverIp": "203.0.113.9",
    "networkProfile": {"gateway": "10.0.0.1", "wirelessProfile": {"ssid": "Guest-7F"}},
    "vpnProfile": {"vpnType": "other", "vpnGatewayAddress": "192.0.2.10"},
    "userProfile": {"userName": "joeblogs32", "userPrincipalName": "joeblogs32@example.com"},
    "pathTraces": [{"pathId": "47113013663", "protocol": "icmp", "hops": HOPS}],
    "vpnPathTraces": [{"hops": [{"hop": 1, "ipAddress": "10.0.0.1"}, {"hop": 2}]}],
}
TRACE = Trace((Hop(1, "10.0.0.1", 3), Hop(3, "203.0.113.9", 21)), 3)


def read(*rows: object) -> Path | None:
    return path_of({"results": list(rows)}, AGENT, ROUND)


def with_hops(*hops: object) -> Path | None:
    return read(ROW | {"pathTraces": [{"hops": list(hops)}]})


def test_a_path_has_the_hops_that_answered_and_the_addresses_that_matter() -> None:
    vpn = Trace((Hop(1, "10.0.0.1", None),), 2)
    assert read(ROW) == Path((TRACE,), "203.0.113.9", "10.0.0.1", "192.0.2.10", (vpn,))


def test_who_uses_the_laptop_and_which_networks_it_knows_is_not_read() -> None:
    for name in ("joeblogs32", "Guest-7F", "www.example.com"):
        assert name not in repr(read(ROW))


@pytest.mark.parametrize(
    "reply",
    [
        None,
        [],
        {},
        {"results": None},
        {"results": [None, 7, {}]},
        {"results": [ROW | {"pathTraces": []}]},
        {"results": [ROW | {"pathTraces": [{"hops": []}, {"hops": [{}]}, {}, None]}]},
        {"results": [ROW | {"agentId": "another"}]},
        {"results": [ROW | {"roundId": ROUND + 60}]},
    ],
    ids=lambda reply: str(reply)[:60],
)
def test_a_reply_without_a_hop_of_this_agent_and_round_tells_no_path(reply: object) -> None:
    assert path_of(reply, AGENT, ROUND) is None


def test_a_row_that_names_nobody_is_the_one_that_was_asked_for() -> None:
    assert read({"pathTraces": ROW["pathTraces"]}) == Path((TRACE,))


def test_the_traces_of_an_agent_that_ran_twice_in_the_round_are_taken_together() -> None:
    path = read(ROW, None, ROW)
    assert path
    assert path.traces == (TRACE, TRACE)


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        (" 2001:DB8:0::1 ", "2001:db8::1"),
        ("fe80::1%\x1b[31meth0", "fe80::1"),
        ("0.0.0.0", None),
        ("::", None),
        ("*", None),
        ("", None),
        (7, None),
        (None, None),
        ("<b>10.0.0.1</b>", None),
    ],
)
def test_a_hop_without_an_address_did_not_answer(told: object, address: str | None) -> None:
    path = with_hops({"hop": 1, "ipAddress": told}, {"hop": 2})
    assert path
    assert path.traces[0].length == 2
    assert [hop.address for hop in path.traces[0].hops] == ([address] if address else [])


@pytest.mark.parametrize("number", [None, True, -1, 256, 1.5, "two", [], 10**30])
def test_a_hop_without_a_number_is_none(number: object) -> None:
    path = with_hops(HOPS[0], {"hop": number, "ipAddress": "192.0.2.1"}, HOPS[2])
    assert path
    assert path.traces == (TRACE,)


def test_hops_come_in_their_order_and_each_once() -> None:
    path = with_hops(HOPS[2], HOPS[0], HOPS[1], {"hop": 3, "ipAddress": "192.0.2.77"})
    assert path
    assert path.traces == (TRACE,)


@pytest.mark.parametrize("time", [None, True, -1, "soon", float("inf"), float("nan"), 1e13, {}])
def test_an_odd_time_is_not_known(time: object) -> None:
    path = with_hops({"hop": 1, "ipAddress": "10.0.0.1", "responseTime": time})
    assert path
    assert path.traces[0].hops == (Hop(1, "10.0.0.1", None),)


@given(mutation=mutations)
@steady(400)
def test_whatever_becomes_of_a_reply_it_tells_a_path_in_few_words_or_none(
    mutation: Mutation,
) -> None:
    body = _body(json.dumps({"results": [ROW]}).encode(), mutation)
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return
    if path := path_of(told, AGENT, ROUND):
        said = words(path)
        assert len(said) < 500
        said.encode("ascii")


@given(odd=st.sampled_from(ODD), name=st.sampled_from([*ROW, *HOPS[2], "hops"]))
@steady(200)
def test_an_odd_field_costs_no_more_than_itself(odd: str, name: str) -> None:
    try:
        value = json.loads(odd)
    except ValueError:
        return
    trace = {"hops": [{**HOPS[0], **{n: value for n in HOPS[2] if n == name}}, *HOPS[1:]]}
    row = ROW | {"pathTraces": [trace]} | ({name: value} if name in ROW else {})
    if path := read(row):
        assert path.traces[-1].hops[-1] == TRACE.hops[-1]
