"""What a test takes in a run of 100, of 1,000 and of 10,000, and how much more memory many need.

No quota, no latency, every test accepted. Memory is the peak resident set of the process that runs
the flow, imports and exit included, as the kernel counts it; `imports` is what it was before the
flow call. CPU is of the same process, from the flow call to its end, without what a run of no test
at all takes. Lines are those of the run's log.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Final

from rich.console import Console

from tests.benchmarks.contest import Measured, Watch, compete
from tests.benchmarks.report import Aim, middle, table, tell
from tests.benchmarks.servers import PrefectServer

SIZES: Final = (1, 100, 1_000, 10_000)
REPEAT: Final = 1

_TELL_EVERY = 15.0


def benchmark(console: Console, repeat: int, *, quick: bool) -> None:
    """Run few tests and many, and print a row each."""
    sizes = SIZES[:-1] if quick else SIZES
    found = {
        size: [compete("ours", size, watch=_progress(console, size)) for _ in range(repeat)]
        for size in sizes
    }
    shown = table(
        "growth",
        *("tests", "accepted", "imports MB", "peak MB", "flow s", "CPU ms a test"),
        *("requests a test", "database kB a test", "log lines"),
    )
    alone = found[sizes[0]]
    for size, runs in found.items():
        shown.add_row(
            f"{size:,}",
            f"{min(run.accepted for run in runs):,}",
            middle([run.before_mb for run in runs], 1),
            middle([run.peak_mb for run in runs], 1),
            middle([run.wall_seconds for run in runs], 1),
            *(_a_test(runs, alone, size) if size > 1 else ("", "", "")),
            middle([run.lines for run in runs], 0),
        )
    console.print(shown)
    few, *_, many = sizes[1:]
    flat = _more(found[many], alone, many, _cpu) / _more(found[few], alone, few, _cpu)
    grown = _middle(found[many], _peak) - _middle(found[few], _peak)
    tell(
        console,
        Aim(f"CPU a test of {many:,}, of that of {few:,}", flat, "at most", 1.15),
        Aim(f"MB that {many:,} need more than {few:,}", grown, "at most", 40),
    )


def _a_test(runs: list[Measured], alone: list[Measured], size: int) -> tuple[str, ...]:
    """Return CPU, requests and bytes that each test more than one takes."""
    return tuple(f"{_more(runs, alone, size, of):.2f}" for of in (_cpu, _requests, _size))


def _more(
    runs: list[Measured], alone: list[Measured], size: int, of: Callable[[Measured], float]
) -> float:
    return (_middle(runs, of) - _middle(alone, of)) / (size - 1)


def _middle(runs: list[Measured], of: Callable[[Measured], float]) -> float:
    return median(map(of, runs))


def _cpu(run: Measured) -> float:
    return run.whole_cpu_seconds * 1_000


def _requests(run: Measured) -> float:
    return run.requests.total()


def _size(run: Measured) -> float:
    return run.database_bytes / 1_000


def _peak(run: Measured) -> float:
    return run.peak_mb


def _progress(console: Console, tests: int) -> Watch:
    """Return what tells now and then how many outcomes the Prefect server has recorded."""
    began: float | None = None
    told = 0.0

    def tell(server: PrefectServer) -> None:
        nonlocal began, told
        now = time.monotonic()
        if began is None:
            began = told = now
        if now - told < _TELL_EVERY:
            return
        told = now
        console.print(
            f"[dim]{tests:,} tests: {server.artifacts():,} artifacts after {now - began:.0f} s[/]"
        )

    return tell
