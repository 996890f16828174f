"""What 200 reruns take without a quota in the way: ours, the floor, a naive flow, bare calls.

The floor is a task run and an artifact a test, awaited in one loop, and nothing else.

Replies take 50 ms. The clock covers the call that reruns the tests, imports excluded: for a flow
its start, its tasks, its artifacts and its ending on the Prefect server, for bare calls the
calls. CPU is that of the same stretch, user and system, all threads; the peak is the process's
largest resident set. `process` is from the start of the process to its end, with imports and
with what Prefect still has to send at exit. Contestants take turns, each on a fresh server.

The second table counts what does not depend on how busy the machine is: CPU of the client's
process from the call to its end, requests to the Prefect server by its access log, and bytes by
which the server's database grew, all a test.
"""

from collections.abc import Callable
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.benchmarks.contest import Measured, Name, compete
from tests.benchmarks.report import each, middle, table

TESTS: Final = 200
REPEAT: Final = 3
_SHOWN: Final = 6
"""Paths of a contestant's requests that are named."""

_OURS, _NAIVE = "ours, default options", "naive: sync tasks and .map"
_FLOOR = "floor: a task run, an artifact"
_CONTESTANTS: Final[dict[str, tuple[Name, dict[str, Any]]]] = {
    _OURS: ("ours", {}),
    _FLOOR: ("floor", {}),
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
    floor = median(measured.wall_seconds for measured in found[_FLOOR])
    shown = table(
        f"speed: {tests} tests, no quota in the way, replies after 50 ms",
        *(
            "contestant",
            "accepted",
            "median s",
            "each s",
            "of floor",
            "of naive",
            "CPU s",
            "peak MB",
        ),
        "process s",
    )
    for label, turns in found.items():
        walls = [measured.wall_seconds for measured in turns]
        shown.add_row(
            label,
            f"{min(measured.accepted for measured in turns)}",
            middle(walls),
            each(walls),
            f"{median(walls) / floor:.2f}",
            f"{median(walls) / naive:.2f}",
            middle([measured.cpu_seconds for measured in turns]),
            middle([measured.peak_mb for measured in turns], 0),
            middle([measured.process_seconds for measured in turns]),
        )
    console.print(shown)
    console.print(_counted(found, tests))


def _counted(found: dict[str, list[Measured]], tests: int) -> Table:
    shown = table(
        "a test, in brackets how many times the floor's, and from which turn to which",
        *("contestant", "client CPU ms", "requests", "database kB", "most requests"),
    )
    floor = found[_FLOOR]
    for label, turns in found.items():
        figures = []
        for of, scale in ((_cpu, 1_000), (_requests, 1), (_size, 1 / 1_000)):
            each_turn = [of(measured) * scale / tests for measured in turns]
            taken, least = median(each_turn), _middle(floor, of) * scale / tests
            spread = f"{min(each_turn):.2f} to {max(each_turn):.2f}"
            figures.append(f"{taken:.2f} ({taken / least:.2f})\n{spread}")
        most = turns[0].requests.most_common(_SHOWN)
        shown.add_row(label, *figures, "\n".join(f"{count} {path}" for path, count in most))
    return shown


def _middle(turns: list[Measured], of: Callable[[Measured], float]) -> float:
    return median(map(of, turns))


def _cpu(measured: Measured) -> float:
    return measured.whole_cpu_seconds


def _requests(measured: Measured) -> float:
    return measured.requests.total()


def _size(measured: Measured) -> float:
    return measured.database_bytes
