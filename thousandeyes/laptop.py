"""What a laptop reports about itself with each row of results: its connection and its state.

Every row has it, so it costs no further call. Each fact is kept in the words that people read, and
numbers as plain ranges: exact ones differ from row to row, so that nothing could be counted. Who
uses the laptop is never read. Every field may be missing, and a field that holds something
unexpected counts as missing.

Source: the vendor's OpenAPI description 7.0.85 (`NetworkProfile`, `VpnProfile`, `BatteryMetrics`,
`CellularProfile`, `SystemMetrics`). It gives no unit for link speed and transmission rate: they are
taken for Mbit/s, which fits its examples.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Final, NamedTuple

from pydantic import AliasPath, Field, ValidationError

from thousandeyes import ranges
from thousandeyes.missing import NO_FLAG, Lenient
from thousandeyes.text import cut

_LONGEST_VALUE: Final = 60
_READ: Final = 500
_MOST_VALUES: Final = 4
"""DNS servers, and proxies, of one laptop."""


class Attribute(StrEnum):
    """What a fact is about, in the words that are used if its value is left out.

    If two facts hold for exactly the same laptops, the one that comes first here is reported: it is
    closer to what somebody on call looks for.
    """

    SSID = "on one Wi-Fi network"
    BSSID = "at one Wi-Fi access point"
    VPN_GATEWAY = "with one VPN gateway"
    VPN = "with one kind of VPN"
    PROXY = "with one proxy"
    DNS_SERVER = "with one DNS server"
    GATEWAY = "behind one gateway"
    PUBLIC_RANGE = "from one public range"
    CARRIER = "with one carrier"
    INTERFACE = "with one kind of interface"
    SIGNAL = "with one range of Wi-Fi signal"
    WIFI_RATE = "with one range of Wi-Fi rate"
    LINK_SPEED = "with one range of link speed"
    PLATFORM = "with one platform"
    BATTERY = "with one range of battery"
    CPU = "with one range of CPU load"


PLACES: Final = {attribute: place for place, attribute in enumerate(Attribute)}
NETWORKS: Final = frozenset(
    {
        Attribute.SSID,
        Attribute.BSSID,
        Attribute.VPN_GATEWAY,
        Attribute.PROXY,
        Attribute.DNS_SERVER,
        Attribute.GATEWAY,
        Attribute.PUBLIC_RANGE,
    }
)
"""The attributes whose values are names and addresses of networks."""


class Fact(NamedTuple):
    """One thing that holds for a laptop."""

    attribute: Attribute
    words: str
    """For after `the laptops`, such as `on Wi-Fi Guest-7F`."""


@dataclass(frozen=True, slots=True)
class Laptop:
    """What one laptop reported about itself; each fact once, in the order of `Attribute`."""

    facts: tuple[Fact, ...] = ()


UNTOLD: Final = Laptop()
"""A laptop that reported nothing about itself."""


_Text = str | None
_Number = Annotated[Annotated[float, Field(allow_inf_nan=False)] | None, NO_FLAG]
_List = list[Any] | None


def _at(*path: str) -> Any:  # noqa: ANN401 - a field of any type
    return Field(default=None, validation_alias=AliasPath(*path))


class _Told(Lenient):
    """The fields of a row that are read, and no others."""

    network: dict[str, Any] | None = _at("networkProfile")
    ssid: _Text = _at("networkProfile", "wirelessProfile", "ssid")
    bssid: _Text = _at("networkProfile", "wirelessProfile", "bssid")
    signal: _Number = _at("networkProfile", "wirelessProfile", "rssi")
    """dBm, negative."""
    wifi_rate: _Number = _at("networkProfile", "wirelessProfile", "txRate")
    link_speed: _Number = _at("networkProfile", "ethernetProfile", "linkSpeed")
    interface: _Text = _at("networkProfile", "hardwareType")
    gateway: _Text = _at("networkProfile", "gateway")
    dns_servers: _List = _at("networkProfile", "dnsServers")
    public_range: _Text = _at("networkProfile", "publicIpRange")
    proxies: _List = _at("networkProfile", "proxyProfile", "proxies")
    vpn: _Text = _at("vpnProfile", "vpnType")
    vpn_gateway: _Text = _at("vpnProfile", "vpnGatewayAddress")
    platform: _Text = _at("platform")
    carrier: _Text = _at("cellularProfile", "carrierName")
    battery: _Number = _at("batteryMetrics", "batteryLevelNormalizedPercent")
    """0 to 1, in spite of its name."""
    cpu: _Number = _at("systemMetrics", "cpuUtilization", "mean")
    """0 to 1."""


def laptop_of(row: object) -> Laptop:
    """Return what a row of results, as JSON, says about its laptop.

    Rows that say the same share one value, so that those of 1,000 tests take little memory.
    """
    try:
        told = _Told.model_validate(row)
    except ValidationError:
        return UNTOLD
    return _shared(frozenset(Fact(attribute, words) for attribute, words in _facts(told) if words))


def merged(laptops: Iterable[Laptop]) -> Laptop:
    """Return all that one laptop reported with several rows, whichever of them failed.

    Taking only the row that failed would bias the count: of a load that changes from row to row, a
    laptop that failed would have one value, and a laptop that passed the newest or most usual one.
    """
    different = list(dict.fromkeys(laptops))
    if len(different) == 1:
        return different[0]
    return _shared(frozenset(fact for laptop in different for fact in laptop.facts))


def _place(fact: Fact) -> tuple[int, str]:
    return PLACES[fact.attribute], fact.words


@lru_cache(maxsize=10_000)
def _shared(facts: frozenset[Fact]) -> Laptop:
    return Laptop(tuple(sorted(facts, key=_place)))


def _facts(told: _Told) -> Iterator[tuple[Attribute, str]]:
    yield Attribute.SSID, _words("on Wi-Fi", told.ssid)
    yield Attribute.BSSID, _words("at access point", told.bssid)
    yield Attribute.VPN_GATEWAY, _words("with VPN gateway", told.vpn_gateway)
    if told.network is not None:  # else a VPN or a proxy would not have been reported either
        has_vpn = told.vpn is not None or told.vpn_gateway is not None
        yield Attribute.VPN, _words("with VPN", told.vpn) if has_vpn else "without a VPN"
        proxies = [item.get("proxy") for item in told.proxies or () if isinstance(item, dict)]
        for proxy in proxies[:_MOST_VALUES] or [_DIRECT]:
            words = "without a proxy" if proxy == _DIRECT else _words("with proxy", proxy)
            yield Attribute.PROXY, words
    for server in (told.dns_servers or ())[:_MOST_VALUES]:
        yield Attribute.DNS_SERVER, _words("with DNS server", server)
    yield Attribute.GATEWAY, _words("behind gateway", told.gateway)
    yield Attribute.PUBLIC_RANGE, _words("from", told.public_range)
    yield Attribute.CARRIER, _words("with carrier", told.carrier)
    yield Attribute.INTERFACE, _INTERFACES.get(told.interface or "", "")
    yield Attribute.PLATFORM, _words("on", told.platform)
    for attribute, (value, of) in {
        Attribute.SIGNAL: (told.signal, ranges.SIGNALS),
        Attribute.WIFI_RATE: (told.wifi_rate, ranges.WIFI_RATES),
        Attribute.LINK_SPEED: (told.link_speed, ranges.LINK_SPEEDS),
        Attribute.BATTERY: (told.battery, ranges.BATTERIES),
        Attribute.CPU: (told.cpu, ranges.LOADS),
    }.items():
        yield attribute, ranges.words_of(value, of)


def _words(what: str, value: object) -> str:
    return _shown(what, value[:_READ]) if isinstance(value, str) else ""


@lru_cache(maxsize=10_000)  # a network's name comes with each row of each of its laptops
def _shown(what: str, value: str) -> str:
    value = cut(value, _LONGEST_VALUE)
    return f"{what} {value}" if value and value.lower() not in _NOTHING else ""


_DIRECT: Final = "<direct>"
_NOTHING: Final = frozenset({"unknown", "other", "none"})

_INTERFACES: Final = {
    "wireless": "on Wi-Fi",
    "ethernet": "on cable",
    "modem": "on a modem",
    "virtual": "on a virtual interface",
}
