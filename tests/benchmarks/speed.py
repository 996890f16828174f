"""How long 200 reruns take without a quota in the way: our flow, a naive one, and bare calls.

Replies take 50 ms. The clock covers the call that reruns the tests, imports excluded: for a flow
its start, its tasks, its artifacts and its ending on the Prefect server, for bare calls the
calls. CPU is that of the same stretch, user and system, all threads; the peak is the process's
largest resident set. `process` is from the start of the process to its end, with imports and
with what Prefect still has to send at exit. Contestants take turns, each on a fresh server.
"""

from statistics import median
from typing import Any, Final

from rich.console import Console

from tests.benchmarks.contest import Measured, Name, compete
from tests.benchmarks.report import each, middle, table

TESTS: Final = 200
REPEAT: Final = 3

_OURS, _NAIVE = "ours, default options", "naive: sync tasks and .map"
_CONTESTANTS: Final[dict[str, tuple[Name, dict[str, Any]]]] = {
    _OURS: ("ours", {}),
    _NAIVE: ("naive", {}),
    "bare httpx, 20 in flight": ("bare", {"max_in_flight": 20}),
    "bare httpx, all at once": ("bare", {"max_in_flight": None}),
}


def benchmark(console: Console, repeat: int, *, quick: bool) -> None:
    """Let all take turns and print a row each."""
    tests = TESTS // 10 if quick else TESTS
    found: dict[str, list[Measured]] = {label: [] for label in _CONTESTANTS}
    for turn in range(repeat):
        for label, (name, options) in _CONTESTANTS.items():
            console.print(f"[dim]turn {turn + 1} of {repeat}: {label}[/]")
            found[label].append(compete(name, tests, options=options, latency_seconds=0.05))
    naive = median(measured.wall_seconds for measured in found[_NAIVE])
    shown = table(
        f"speed: {tests} tests, no quota in the way, replies after 50 ms",
        *("contestant", "accepted", "median s", "each s", "of naive", "CPU s", "peak MB"),
        "process s",
    )
    for label, turns in found.items():
        walls = [measured.wall_seconds for measured in turns]
        shown.add_row(
            label,
            f"{min(measured.accepted for measured in turns)}",
            middle(walls),
            each(walls),
            f"{median(walls) / naive:.2f}",
            middle([measured.cpu_seconds for measured in turns]),
            middle([measured.peak_mb for measured in turns], 0),
            middle([measured.process_seconds for measured in turns]),
        )
    console.print(shown)
