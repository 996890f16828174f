"""The hops that an agent's packets take in a round, and how far they get.

An agent keeps its path to a target. What happens to its packets on the path agrees with its network
row: loss and latency are the same. How the API shows a hop that did not answer is not documented;
here such a hop has only its number.
"""

import random
from collections.abc import Iterator
from typing import Any, Final

from .rounds import ALL, Measurement, common, ping

_PACKETS: Final = 10
"""Traces of a round that loses packets, one per packet; otherwise a single trace shows it all."""
_SILENT_SHARE: Final = 0.15
_PROVIDER, _BACKBONE = "198.51.100", "192.0.2"

Hop = dict[str, Any]


def path_row(measurement: Measurement, aid: str | int, expand: frozenset[str]) -> dict[str, Any]:
    """Return a row of the path summary, times in milliseconds."""
    traces = [
        {
            "pathId": trace["pathId"],
            "ipAddress": measurement.test.server_ip,
            "numberOfHops": len(trace["hops"]),
            "protocol": "icmp",
            "responseTime": int(ping(measurement).average),
        }
        for trace in _Path(measurement).traces()
    ]
    return _of_path(measurement, aid, expand) | {"pathTraces": traces}


def hops_row(measurement: Measurement, aid: str | int) -> dict[str, Any]:
    """Return a row of one round's path, hop by hop, times in milliseconds."""
    path = _Path(measurement)
    row = _of_path(measurement, aid, frozenset()) | {"pathTraces": list(path.traces())}
    return row | ({"vpnPathTraces": [path.to_the_vpn()]} if path.vpn else {})


def _of_path(measurement: Measurement, aid: str | int, expand: frozenset[str]) -> dict[str, Any]:
    return common(measurement, aid, expand) | {"sourceIp": measurement.agent.address}


class _Path:
    """An agent's path to a target in one round; `vpn` is its VPN gateway's index, 0 if none."""

    def __init__(self, measurement: Measurement) -> None:
        told = measurement.agent.surroundings
        always = random.Random(f"way {measurement.test.id} {measurement.agent.id}")  # noqa: S311
        gateway = told["networkProfile"]["gateway"]
        vpn = told.get("vpnProfile", {}).get("vpnGatewayAddress")
        near = _routers(always, _PROVIDER, always.randint(1, 3))
        far = _routers(always, _BACKBONE, always.randint(1, 8))
        self.vpn = 1 + len(near) if vpn else 0
        self._way = [gateway, *near, *([vpn] if vpn else []), *far, measurement.test.server_ip]
        on_the_way = set(range(1, len(self._way) - 1)) - {self.vpn}
        self._silent = {place for place in on_the_way if always.random() < _SILENT_SHARE}
        self._rng = measurement.rng("path")
        self._ping = ping(measurement)
        self._ends_at = {
            "gateway": 0,
            "vpn_gateway": self.vpn,
            "on_the_way": self._rng.choice(sorted(on_the_way - self._silent) or [0]),
        }[measurement.behaviour.path_ends]

    def traces(self) -> Iterator[dict[str, Any]]:
        """Yield the round's traces to the target, each as the API returns it."""
        target = len(self._way) - 1
        if self._ping.is_blocked or self._ping.loss == ALL:
            yield self._trace(target, target - 1 if self._ping.is_blocked else self._ends_at)
            return
        lost = min(_PACKETS - 1, round(self._ping.loss * _PACKETS / ALL))
        for number in range(_PACKETS if lost else 1):
            yield self._trace(target, self._ends_at if number < lost else target)

    def to_the_vpn(self) -> dict[str, Any]:
        """Return the trace to the VPN gateway."""
        ends_at = self._ends_at if self._ping.loss == ALL else self.vpn
        return self._trace(self.vpn, min(ends_at, self.vpn))

    def _trace(self, target: int, ends_at: int) -> dict[str, Any]:
        hops = [{"hop": place + 1} | self._answer(place, ends_at) for place in range(target + 1)]
        return {"pathId": str(self._rng.getrandbits(128)), "protocol": "icmp", "hops": hops}

    def _answer(self, place: int, ends_at: int) -> Hop:
        if place > ends_at or place in self._silent:
            return {}
        address, average = self._way[place], self._ping.average
        near = place < (self.vpn or 1)
        told = self._rng.uniform(1, 4) if near else average * self._rng.uniform(0.9, 1)
        time = average if place == len(self._way) - 1 else min(told, average)
        hop: Hop = {"ipAddress": address, "responseTime": int(time)}
        if address.startswith((_PROVIDER, _BACKBONE)):
            name = f"r{address.rpartition('.')[2]}.net.example.com"
            hop |= {"rdns": name, "network": "Example Net (AS 64500)"}
        return hop


def _routers(rng: random.Random, network: str, count: int) -> list[str]:
    """Return addresses of ranges that RFC 5737 keeps for examples."""
    return [f"{network}.{number}" for number in rng.sample(range(130, 250), count)]
