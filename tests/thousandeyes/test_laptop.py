"""What a laptop tells of itself with each row."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thousandeyes.steady import steady
from thousandeyes.laptop import NETWORKS, PLACES, UNTOLD, Attribute, Fact, laptop_of
from thousandeyes.rounds import HttpRound, NetworkRound, rows_of

WHO: dict[str, Any] = {"testId": "1", "agentId": "a", "roundId": 60}
TOLD: dict[str, Any] = {
    "platform": "mac",
    "networkProfile": {
        "ipAddress": "10.0.0.13",
        "hardwareType": "wireless",
        "gateway": "10.0.0.1",
        "dnsServers": ["192.0.2.53", "192.0.2.54"],
        "publicIpRange": "198.51.100.0-198.51.100.255",
        "wirelessProfile": {
            "ssid": "Guest-7F",
            "bssid": "4c:ba:ba:f4:fa:fa",
            "rssi": -80,
            "txRate": 130,
        },
        "ethernetProfile": {"linkSpeed": 1000},
        "proxyProfile": {"method": "System", "proxies": [{"proxy": "proxy.example.com:3128"}]},
    },
    "vpnProfile": {"vpnType": "cisco-anyconnect", "vpnGatewayAddress": "203.0.113.7"},
    "cellularProfile": {"carrierName": "T-Mobile"},
    "batteryMetrics": {"batteryLevel": "low", "batteryLevelNormalizedPercent": 0.15},
    "systemMetrics": {"cpuUtilization": {"mean": 0.95}},
    "userProfile": {"userName": "joeblogs32", "userPrincipalName": "joeblogs32@example.com"},
}


def words(row: dict[str, Any]) -> list[str]:
    return [fact.words for fact in laptop_of(row).facts]


def network(**profile: Any) -> dict[str, Any]:
    return {"networkProfile": profile}


def test_a_laptop_tells_all_that_a_cause_may_lie_in() -> None:
    assert words(TOLD) == [
        "on Wi-Fi Guest-7F",
        "at access point 4c:ba:ba:f4:fa:fa",
        "with VPN gateway 203.0.113.7",
        "with VPN cisco-anyconnect",
        "with proxy proxy.example.com:3128",
        "with DNS server 192.0.2.53",
        "with DNS server 192.0.2.54",
        "behind gateway 10.0.0.1",
        "from 198.51.100.0-198.51.100.255",
        "with carrier T-Mobile",
        "on Wi-Fi",
        "with a weak Wi-Fi signal (below -75 dBm)",
        "with a Wi-Fi rate of 50 to 300 Mbit/s",
        "with a link of 1000 Mbit/s and more",
        "on mac",
        "with a battery below 20 %",
        "with a CPU load of 90 % and more",
    ]
    assert {fact.attribute for fact in laptop_of(TOLD).facts} == set(Attribute)


def test_who_uses_a_laptop_is_not_read() -> None:
    for model in (NetworkRound, HttpRound):
        assert "joeblogs" not in repr(rows_of([{**WHO, **TOLD}], model))


def test_a_row_carries_its_laptop_and_equal_ones_share_it() -> None:
    rows = rows_of([{**WHO, **TOLD}, {**WHO, **TOLD, "roundId": 120}], NetworkRound)
    assert rows[0].laptop is rows[1].laptop
    assert len(rows[0].laptop.facts) == 17


def test_a_row_can_not_bring_a_laptop_of_its_own_making() -> None:
    [row] = rows_of([{**WHO, "laptop": {"facts": [["on Wi-Fi", "x"]]}}], NetworkRound)
    assert row.laptop == UNTOLD


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({}, []),
        (network(), ["without a VPN", "without a proxy"]),
        (network(proxyProfile={"proxies": [{"proxy": "<direct>"}]}), 2 * ["without a"]),
        (network(proxyProfile={"proxies": [{"proxy": 7}]}), ["without a VPN"]),
        (network() | {"vpnProfile": {"vpnType": "unknown"}}, ["without a proxy"]),
        (network(hardwareType="ethernet"), [*2 * ["without a"], "on cable"]),
        (network(hardwareType="unknown"), 2 * ["without a"]),
        (network(wirelessProfile={"ssid": " a\u200bb\n"}), ["on Wi-Fi ab", *2 * ["without a"]]),
        ({"batteryMetrics": {"batteryLevelNormalizedPercent": 80}}, []),
        ({"batteryMetrics": {"batteryLevelNormalizedPercent": True}}, []),
        ({"batteryMetrics": {"batteryLevelNormalizedPercent": 1}}, ["with a battery of 80 %"]),
        ({"systemMetrics": {"cpuUtilization": {"mean": 0}}}, ["with a CPU load below 50 %"]),
    ],
)
def test_what_is_missing_or_odd_is_no_fact(row: dict[str, Any], told: list[str]) -> None:
    found = words(row)
    assert len(found) == len(told), found
    assert all(word.startswith(start) for word, start in zip(found, told, strict=True)), found


@pytest.mark.parametrize(
    ("signal", "kind"),
    [(-1, "strong"), (-60, "strong"), (-61, "fair"), (-75, "fair"), (-76, "weak"), (-200, "weak")],
)
def test_a_signal_lies_in_one_range(signal: int, kind: str) -> None:
    [fact] = laptop_of(network(wirelessProfile={"rssi": signal})).facts[2:]
    assert fact.words.startswith(f"with a {kind} Wi-Fi signal")


def test_a_signal_that_is_none_is_no_fact() -> None:
    for signal in (0, 50, -201, float("nan"), "loud"):
        assert len(laptop_of(network(wirelessProfile={"rssi": signal})).facts) == 2


def fields(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [path]
    return [path, *(each for key in value for each in fields(value[key], (*path, key)))]


odd_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
) | st.sampled_from(["\ud800", "\x00", "a" * 70_000, 10**400, float("nan")])


@given(path=st.sampled_from(fields(TOLD)[1:]), odd=odd_values)
@steady(300)
def test_an_odd_value_costs_no_other_fact_and_no_row(path: tuple[str, ...], odd: Any) -> None:
    row = {**WHO, **TOLD}
    parent: dict[str, Any] = row
    for key in path[:-1]:
        parent[key] = dict(parent[key])
        parent = parent[key]
    parent[path[-1]] = odd
    [found] = rows_of([row], NetworkRound)
    facts = found.laptop.facts
    assert list(facts) == sorted(set(facts), key=lambda fact: (PLACES[fact.attribute], fact.words))
    for fact in facts:
        assert len(fact.words) < 90
        fact.words.encode()
    if path[0] != "systemMetrics":
        assert Fact(Attribute.CPU, "with a CPU load of 90 % and more") in facts
    if path[0] != "networkProfile":
        assert NETWORKS - {Attribute.VPN_GATEWAY} <= {fact.attribute for fact in facts}
