"""What 200 and 1,000 reruns take without a quota: ours, the floor, a naive flow, bare calls.

The floor is a task run and an artifact a test, awaited in one loop, and nothing else. Both are
measured once more with Prefect's own lines of log left out, which its documentation offers.

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
from tests.benchmarks.report import Aim, each, middle, table, tell

SIZES: Final = (200, 1_000)
REPEAT: Final = 3
_SHOWN: Final = 6
"""Paths of a contestant's requests that are named."""

_OURS, _NAIVE = "ours, default options", "naive: sync tasks and .map"
_FLOOR = "floor: a task run, an artifact"
_QUIET: Final = {"PREFECT_LOGGING_LEVEL": "WARNING"}
_MOST: Final = 1.10
"""How many times the floor's figures ours may be."""
_CONTESTANTS: Final[dict[str, tuple[Name, dict[str, Any], dict[str, str]]]] = {
    _OURS: ("ours", {}, {}),
    _FLOOR: ("floor", {}, {}),
    _NAIVE: ("naive", {}, {}),
    "ours, Prefect's log at WARNING": ("ours", {}, _QUIET),
    "floor, Prefect's log at WARNING": ("floor", {}, _QUIET),
    "bare httpx, 20 in flight": ("bare", {"max_in_flight": 20}, {}),
    "bare httpx, all at once": ("bare", {"max_in_flight": None}, {}),
}


def benchmark(console: Console, repeat: int, *, quick: bool) -> None:
    """Let all take turns, for each number of tests, and print a row each."""
    for tests in (SIZES[0] // 10,) if quick else SIZES:
        found: dict[str, list[Measured]] = {label: [] for label in _CONTESTANTS}
        for turn in range(repeat):
            for label, (name, options, prefect) in _CONTESTANTS.items():
                console.print(f"[dim]{tests} tests, turn {turn + 1} of {repeat}: {label}[/]")
                found[label].append(
                    compete(name, tests, options=options, prefect=prefect, latency_seconds=0.05)
                )
        console.print(_timed(found, tests), _counted(found, tests))
        ours, floor = found[_OURS], found[_FLOOR]
        figures = {"wall time": _wall, "client CPU": _cpu, "requests": _requests, "bytes": _size}
        for what, of in figures.items():
            ratio = _middle(ours, of) / _middle(floor, of)
            tell(console, Aim(f"{tests} tests, {what}, of the floor's", ratio, "at most", _MOST))


def _timed(found: dict[str, list[Measured]], tests: int) -> Table:
    naive, floor = _middle(found[_NAIVE], _wall), _middle(found[_FLOOR], _wall)
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
    return shown


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


def _wall(measured: Measured) -> float:
    return measured.wall_seconds


def _cpu(measured: Measured) -> float:
    return measured.whole_cpu_seconds


def _requests(measured: Measured) -> float:
    return measured.requests.total()


def _size(measured: Measured) -> float:
    return measured.database_bytes
