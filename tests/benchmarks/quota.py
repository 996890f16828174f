"""How near a run comes to what the quota allows, and how often it hits the limit.

96 tests at 24 in a window of 10 s, so four windows and three waits, or five and four where the
first one was nearly over; replies take 50 ms. Windows begin as the API's do, with the clock's
minutes or here with its tens of seconds, and once each with its first call, Reset rounded up and
down.

The clock of `calls` runs from the first rerun call sent to the last reply to one; that of `flow`
covers the whole flow call. The ideal is what the API itself told to wait: for each window that
was waited out (all but the last) the seconds from the Date of the last reply that it accepted to
that reply's Reset. Both are whole seconds, so an ideal is up to a second a window off, either
way. When the last replies of a window of 10 s of a first call fall into the next second than the
first, and Reset is rounded down, 9 s are told to wait though 10 s must pass, and no run gets past
0.94 or 0.95.
Where in a second the windows begin is up to chance, so look at several runs.

Sending is no part of the ideal, though a call can't be sent in no time: `lengths` is the same sum
from the Date of the first reply that each window accepted, which is what a run could not beat if
sending took no time at all. With `--window 60`, as windows really are, all that is not waiting
weighs a sixth of what it does here. `--phases 10` runs ten times instead, with the clock's windows
alone: each run begins another tenth of a window later. As many as have time go on at once, on one
Prefect server, each with its own simulator whose clock is that much ahead, so that their windows
begin one after the other.
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.benchmarks.contest import Measured, compete
from tests.benchmarks.report import Aim, table, tell
from tests.benchmarks.servers import prefect_server
from tests.benchmarks.windows import REFUSED, Reply, Window, waits, windows

TESTS: Final = 96
REPEAT: Final = 1

_LIMIT: Final = 24
_ROOM: Final = 5.0
"""Seconds of a window that each of the runs which go on at once has for itself."""

_Scene = tuple[str, dict[str, Any]]
_KINDS: Final[dict[str, dict[str, Any]]] = {
    "the clock": {"windows": "clock"},
    "a call, Reset up": {"windows": "first_call", "reset_rounding": "up"},
    "a call, Reset down": {"windows": "first_call", "reset_rounding": "down"},
}


def benchmark(
    console: Console, repeat: int, *, quick: bool, window_seconds: float, phases: int, tests: int
) -> None:
    """Run with each kind of windows, or in each phase of the clock's; a row a run and a window."""
    tests = tests // 2 if quick else tests
    runs = table(
        f"quota: {tests} tests, {_LIMIT} in {window_seconds:g} s, replies after 50 ms",
        *("windows begin with", "accepted", "ideal s", "calls s", "planned", "flow s"),
        *("ideal/calls", "ideal/flow", "lengths/calls", "429s", "429s a window"),
    )
    each = table(
        "quota: each window",
        *("windows begin with", "window", "accepted", "429s", "sending s", "told length s"),
        *("told wait s", "waited s"),
    )
    scenes = _phases(window_seconds, phases) if phases else list(_KINDS.items())
    at_once = max(1, int(window_seconds // _ROOM)) if phases else 1
    ratios, refusals = list[float](), list[int]()
    for _ in range(repeat):
        found = _measure(scenes, at_once, tests, window_seconds, phases=bool(phases))
        for (kind, _), measured in zip(scenes, found, strict=True):
            _add(runs, each, kind, measured)
        ratios += map(_of_ideal, found)
        refusals += map(_refused, found)
    console.print(runs, *() if phases else (each,))
    tell(
        console,
        Aim("ideal/calls, the least", min(ratios), "at least", 0.97),
        Aim("429s of a run, the most", max(refusals), "at most", 1),
    )


def _measure(
    scenes: list[_Scene], at_once: int, tests: int, window_seconds: float, *, phases: bool
) -> list[Measured]:
    """Let the runs happen, so many at once, and return what came of them in their order."""
    with tempfile.TemporaryDirectory(prefix="quota-") as directory:
        with prefect_server(Path(directory)) if phases else nullcontext() as server:

            def measured(scene: _Scene) -> Measured:
                return compete(
                    "observed",
                    tests,
                    phase=(window_seconds, 0.0) if phases else None,
                    server=server,
                    instant_limit=_LIMIT,
                    organization_limit=10 * _LIMIT,
                    window_seconds=window_seconds,
                    latency_seconds=0.05,
                    **scene[1],
                )

            # Those that go on at once stand as far from each other as may be.
            rounds = -(-len(scenes) // at_once)
            found: dict[str, Measured] = {}
            with ThreadPoolExecutor(at_once) as pool:
                for first in range(rounds):
                    now = scenes[first::rounds]
                    names = [name for name, _ in now]
                    found |= zip(names, pool.map(measured, now), strict=True)
    return [found[name] for name, _ in scenes]


def _of_ideal(measured: Measured) -> float:
    replies = [Reply(**reply) for reply in measured.notes["replies"]]
    return _ideal(windows(replies)) / _calls_took(replies)


def _ideal(found: list[Window]) -> float:
    return sum(window.told_wait for window in found[:-1])


def _calls_took(replies: list[Reply]) -> float:
    return max(reply.arrived for reply in replies) - min(reply.sent for reply in replies)


def _add(runs: Table, each: Table, kind: str, measured: Measured) -> None:
    replies = [Reply(**reply) for reply in measured.notes["replies"]]
    found = windows(replies)
    ideal, calls = _ideal(found), _calls_took(replies)
    lengths = sum(window.told_length for window in found[:-1])
    runs.add_row(
        kind,
        str(measured.accepted),
        f"{ideal:.0f}",
        f"{calls:.2f}",
        measured.notes["plan"],
        f"{measured.wall_seconds:.2f}",
        f"{ideal / calls:.3f}",
        f"{ideal / measured.wall_seconds:.3f}",
        f"{lengths / calls:.3f}",
        str(_refused(measured)),
        " ".join(str(window.refused) for window in found),
    )
    for number, (window, waited) in enumerate(zip(found, [*waits(found), None], strict=True), 1):
        each.add_row(
            kind,
            str(number),
            str(len(window.accepted)),
            str(window.refused),
            f"{window.sending:.2f}",
            f"{window.told_length:.0f}",
            f"{window.told_wait:.0f}",
            "" if waited is None else f"{waited:.2f}",
        )
    each.add_section()


def _phases(window_seconds: float, phases: int) -> list[_Scene]:
    """Return what each run is called, and the simulator's options."""
    ahead = [number * window_seconds / phases for number in range(phases)]
    return [(f"the clock, {at:g} s in", {"clock_offset_seconds": at}) for at in ahead]


def _refused(measured: Measured) -> int:
    """Return how many 429s the simulator counted, whatever the client saw."""
    return sum(call["status"] == REFUSED for call in measured.calls)
