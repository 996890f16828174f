"""Where a path ends, or where loss or delay begins on it, in words. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from thousandeyes.paths import Hop, Path, Trace

SUDDEN_MS: Final = 100.0
"""Milliseconds by which the response times rise from one hop to the next where a delay begins.
Light in glass needs them for 10,000 km and back: no usual way within a continent or over an ocean
does that in one hop, while a queue that is full, a bad Wi-Fi or a detour does."""


def words(path: Path, *, with_addresses: bool = True) -> str:
    """Return what a path does, for after `the path of <agent>`.

    Args:
        path: The path.
        with_addresses: Whether hops go by their addresses too, and not by their numbers alone.
    """
    tell = _Teller(path, with_addresses)
    ended = [trace for trace in path.traces if _ends_early(trace, path.target)]
    if len(ended) == len(path.traces):
        longest, to_vpn = _longest(ended), path.vpn_traces
        if to_vpn and all(_ends_early(trace, path.vpn_gateway) for trace in to_vpn):
            # All that goes through the tunnel ends where that does.
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
    """Milliseconds before a hop, None where there is none, and from it on."""

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
        return f"ends after {self.hop(trace.hops[-1], trace.length)}: nothing behind it answered"

    def behind(self, trace: Trace) -> str:
        if not trace.hops:
            return "before the first hop"
        return f"behind {self.hop(trace.hops[-1], trace.length)}"

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
    """Return the hop at which most of a delay begins, and the milliseconds before and from there.

    What lies behind a hop can't be reached sooner than the hop: of the response times from a hop
    on, the least holds for it. A router that answers late, and passes on in time, so counts not.
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
