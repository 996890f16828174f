"""Where the laptops are: an office with six Wi-Fi networks and some cables, with or without a VPN.

The names are those of the vendor's OpenAPI description 7.0.85. The values are derived from the
seed, in random streams of their own, so that nothing else about an agent depends on them.
"""

import random
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SSIDS = ("Office-1F", "Office-2F", "Office-3F", "Lab", "Warehouse", "Guest-7F")
_POINTS = 4
_SITES = 2
_ON_CABLE, _WITH_PROXY, _ON_THE_ROAD = 0.12, 0.3, 0.05
_VPNS = (
    None,
    ("cisco-anyconnect", "192.0.2.10"),
    ("cisco-anyconnect", "192.0.2.11"),
    ("zscaler-internet-access", "192.0.2.20"),
)
_CARRIERS = ("T-Mobile", "Orange", "Telia")
_TELL_BY = {
    "ssid": ("networkProfile", "wirelessProfile", "ssid"),
    "bssid": ("networkProfile", "wirelessProfile", "bssid"),
    "gateway": ("networkProfile", "gateway"),
    "public_range": ("networkProfile", "publicIpRange"),
    "interface": ("networkProfile", "hardwareType"),
    "vpn": ("vpnProfile", "vpnType"),
    "vpn_gateway": ("vpnProfile", "vpnGatewayAddress"),
    "carrier": ("cellularProfile", "carrierName"),
}


class Cause(BaseModel):
    """What cuts certain laptops off from every target: all packets are lost, nothing connects."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    attribute: Literal[
        "ssid", "bssid", "gateway", "public_range", "interface", "vpn", "vpn_gateway", "carrier"
    ] = Field(description="What the laptops share.")
    value: str = Field(description="Its value, such as Guest-7F.")
    share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="The fraction of their rounds that fail."
    )

    @property
    def lies_at(self) -> Literal["gateway", "vpn_gateway"]:
        """The last hop that answers these laptops."""
        return "vpn_gateway" if self.attribute in {"vpn", "vpn_gateway"} else "gateway"

    def holds(self, surroundings: dict[str, Any]) -> bool:
        """Tell whether the cause applies to a laptop with these surroundings."""
        told: Any = surroundings
        for name in _TELL_BY[self.attribute]:
            told = told.get(name)
            if told is None:
                return False
        return bool(told == self.value)


def surroundings(seed: int, place: int, address: str) -> dict[str, Any]:
    """Return the surroundings of the laptop with this index, which are the same in all its rows."""
    rng = random.Random(f"surroundings {seed} {place}")  # noqa: S311  repeatable on purpose
    network = rng.randrange(len(SSIDS))
    site = network % _SITES
    on_cable = rng.random() < _ON_CABLE
    profile: dict[str, Any] = {
        "ipAddress": address,
        "hardwareType": "ethernet" if on_cable else "wireless",
        "gateway": "10.200.0.1" if on_cable else f"10.{100 + network}.0.1",
        "dnsServers": [f"192.0.2.{53 + rng.randrange(2)}", "192.0.2.55"],
        "publicIpRange": f"198.51.100.{64 * site}-198.51.100.{64 * site + 63}",
    }
    if on_cable:
        profile["ethernetProfile"] = {"linkSpeed": rng.choice([100, 1000, 1000])}
    else:
        profile["wirelessProfile"] = {
            "ssid": SSIDS[network],
            "bssid": f"02:00:5e:00:{network:02x}:{rng.randrange(_POINTS):02x}",
            "rssi": rng.randint(-85, -40),
            "quality": rng.randint(40, 100),
            "txRate": rng.choice([39, 130, 260, 433, 866]),
        }
    if rng.random() < _WITH_PROXY:
        proxies = [{"bypass": "*.local", "proxy": f"proxy-{site}.example.com:3128"}]
        profile["proxyProfile"] = {"method": "System", "proxies": proxies}
    told: dict[str, Any] = {"networkProfile": profile}
    if vpn := rng.choice(_VPNS):
        told["vpnProfile"] = {"vpnType": vpn[0], "vpnGatewayAddress": vpn[1]}
    if rng.random() < _ON_THE_ROAD:
        told["cellularProfile"] = {"carrierName": rng.choice(_CARRIERS), "networkGen": "5g"}
    level = rng.random()
    told["batteryMetrics"] = {
        "batteryLevel": "low" if level < 1 / 3 else "medium" if level < 2 / 3 else "high",
        "batteryLevelNormalizedPercent": round(level, 2),
    }
    return told
