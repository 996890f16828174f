"""Puts into words where a path ends, or where loss or delay begins on it. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from thousandeyes.paths import Hop, Path, Trace

SUDDEN_MS: Final = 100.0
"""A delay begins where response times rise by at least this many milliseconds from hop to hop. In
this time light in glass travels 10,000 km and back. No usual way within a continent or over an
ocean does that in one hop; a full queue, bad Wi-Fi or a detour does."""


def words(path: Path, *, with_addresses: bool = True) -> str:
    """Return what a path does, to follow the words `the path of <agent>`.

    Args:
        path: The path.
        with_addresses: Whether to name hops by address as well as by number.
    """
    tell = _Teller(path, with_addresses)
    ended = [trace for trace in path.traces if _ends_early(trace, path.target)]
    if len(ended) == len(path.traces):
        longest, to_vpn = _longest(ended), path.vpn_traces
        if to_vpn and all(_ends_early(trace, path.vpn_gateway) for trace in to_vpn):
            # Everything that goes through the tunnel ends where the tunnel ends.
            outside = _longest(to_vpn)
            if _end(outside) != _end(longest):
                return f"to its VPN gateway {tell.end(outside)}"
        return tell.end(longest)
    fastest = min((one for one in path.traces if one not in ended), key=_time)
    told = []
    if ended:
        shortest = min(ended, key=_reach)
        told.append(
            f"loses packets: loss begins {tell.behind(shortest)}, "
            f"{len(ended)} of {len(path.traces)} traces end on the way"
        )
    if delay := _delay(fastest):
        told.append(f"is slow: delay begins at {tell.hop(delay.at)}, {delay.rise}")
    return ", and ".join(told) or tell.arrival(fastest)


@dataclass(frozen=True)
class _Delay:
    """The milliseconds before a hop (None at the first hop), and from that hop on."""

    at: Hop
    before: float | None
    after: float

    @property
    def by(self) -> float:
        return self.after - (self.before or 0.0)

    @property
    def rise(self) -> str:
        before = "" if self.before is None else f"{self.before:.0f} ms before, "
        return f"{before}{self.after:.0f} ms from there"


@dataclass(frozen=True)
class _Teller:
    """Words for the hops of a path."""

    path: Path
    with_addresses: bool

    def end(self, trace: Trace) -> str:
        if not trace.hops:
            return "ends before the first hop: nothing answered"
        return f"ends after {self.hop(trace.hops[-1], trace.length)}: nothing beyond it answered"

    def behind(self, trace: Trace) -> str:
        if not trace.hops:
            return "before the first hop"
        return f"after {self.hop(trace.hops[-1], trace.length)}"

    def arrival(self, trace: Trace) -> str:
        last = trace.hops[-1]
        took = "" if last.response_ms is None else f" in {last.response_ms:.0f} ms"
        if not self.path.target:
            return (
                f"answers up to its last {self.hop(last)}{took}, without loss or a sudden delay; "
                "whether that is the target is not known"
            )
        return f"reaches the target at hop {last.number}{took}, without loss or a sudden delay"

    def hop(self, hop: Hop, of: int = 0) -> str:
        known = {
            self.path.gateway: "the gateway",
            self.path.vpn_gateway: "the VPN gateway",
            self.path.target: "the target",
        }
        names = [hop.address] if self.with_addresses else []
        names += [known[hop.address]] if hop.address in known else []
        text = f"hop {hop.number}" + (f" of {of}" if of > hop.number else "")
        return f"{text} ({', '.join(names)})" if names else text


def _ends_early(trace: Trace, target: str) -> bool:
    """Tell whether a trace does not get to its target, as far as can be told."""
    if not trace.hops:
        return True
    if not target:
        return trace.hops[-1].number < trace.length
    return all(hop.address != target for hop in trace.hops)


def _delay(trace: Trace) -> _Delay | None:
    """Return the hop at which the largest delay begins, and the milliseconds before and from there.

    What lies beyond a hop can't be reached sooner than the hop itself. So the least response time
    from a hop on counts as the hop's own, and a router that forwards in time but answers late does
    not look like a delay.
    """
    least, floors = math.inf, []
    for hop in reversed(trace.hops):
        if hop.response_ms is not None:
            least = min(least, hop.response_ms)
            floors.append(_Delay(hop, None, least))
    delays = [replace(one, before=two.after) for one, two in pairwise(floors)] + floors[-1:]
    most = max(reversed(delays), key=lambda delay: delay.by, default=None)
    return most if most and most.by >= SUDDEN_MS else None


def _reach(trace: Trace) -> int:
    return trace.hops[-1].number if trace.hops else 0


def _end(trace: Trace) -> str:
    return trace.hops[-1].address if trace.hops else ""


def _longest(traces: Sequence[Trace]) -> Trace:
    return max(traces, key=_reach)


def _time(trace: Trace) -> float:
    told = trace.hops[-1].response_ms
    return math.inf if told is None else told
