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
alone: each run begins another tenth of a window later.
"""

from typing import Any, Final

from rich.console import Console

from tests.benchmarks.contest import Measured, compete
from tests.benchmarks.report import table
from tests.benchmarks.windows import REFUSED, Reply, waits, windows

TESTS: Final = 96
REPEAT: Final = 1

_LIMIT = 24
_KINDS: Final[dict[str, dict[str, Any]]] = {
    "the clock": {"windows": "clock"},
    "a call, Reset up": {"windows": "first_call", "reset_rounding": "up"},
    "a call, Reset down": {"windows": "first_call", "reset_rounding": "down"},
}


def benchmark(
    console: Console, repeat: int, *, quick: bool, window_seconds: float, phases: int
) -> None:
    """Run with each kind of windows, or in each phase of the clock's; a row a run and a window."""
    tests = TESTS // 2 if quick else TESTS
    runs = table(
        f"quota: {tests} tests, {_LIMIT} in {window_seconds:g} s, replies after 50 ms",
        *(
            "windows begin with",
            "accepted",
            "ideal s",
            "calls s",
            "planned",
            "flow s",
            "ideal/calls",
            "ideal/flow",
        ),
        *("lengths/calls", "429s", "429s a window"),
    )
    each = table(
        "quota: each window",
        *("windows begin with", "window", "accepted", "429s", "sending s", "told length s"),
        *("told wait s", "waited s"),
    )
    for kind, simulated, phase in _scenes(window_seconds, phases) * repeat:
        measured = compete(
            "observed",
            tests,
            phase=phase,
            instant_limit=_LIMIT,
            window_seconds=window_seconds,
            latency_seconds=0.05,
            **simulated,
        )
        replies = [Reply(**reply) for reply in measured.notes["replies"]]
        found = windows(replies)
        ideal = sum(window.told_wait for window in found[:-1])
        lengths = sum(window.told_length for window in found[:-1])
        calls = max(reply.arrived for reply in replies) - min(reply.sent for reply in replies)
        refusals = [window.refused for window in found]
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
            " ".join(map(str, refusals)),
        )
        for number, (window, waited) in enumerate(
            zip(found, [*waits(found), None], strict=True), 1
        ):
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
    console.print(runs, each)


def _scenes(
    window_seconds: float, phases: int
) -> list[tuple[str, dict[str, Any], tuple[float, float] | None]]:
    """Return what each run is called, the simulator's options, and when it begins."""
    if not phases:
        return [(kind, simulated, None) for kind, simulated in _KINDS.items()]
    begins = [number / phases for number in range(phases)]
    return [
        (f"the clock, {at * window_seconds:g} s in", _KINDS["the clock"], (window_seconds, at))
        for at in begins
    ]


def _refused(measured: Measured) -> int:
    """Return how many 429s the simulator counted, whatever the client saw."""
    return sum(call["status"] == REFUSED for call in measured.calls)
