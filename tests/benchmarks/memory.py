"""How much more memory 10,000 tests take than 100.

No quota, no latency, every test accepted. The figure is the peak resident set of the process that
runs the flow, imports and exit included, as the kernel counts it; `imports` is what it was before
the flow call.
"""

import time
from typing import Final

from rich.console import Console

from tests.benchmarks.contest import Measured, Watch, compete
from tests.benchmarks.report import middle, table
from tests.benchmarks.servers import PrefectServer

FEW: Final = 100
MANY: Final = 10_000
REPEAT: Final = 1

_TELL_EVERY = 15.0


def benchmark(console: Console, repeat: int, *, quick: bool) -> None:
    """Run few tests and many, print a row each and the difference."""
    sizes = (FEW, MANY // 10 if quick else MANY)
    found = {
        size: [compete("ours", size, watch=_progress(console, size)) for _ in range(repeat)]
        for size in sizes
    }
    shown = table("memory", "tests", "accepted", "imports MB", "peak MB", "flow s", "process s")
    for size, runs in found.items():
        shown.add_row(
            f"{size:,}",
            f"{min(run.accepted for run in runs):,}",
            middle([run.before_mb for run in runs], 1),
            middle([run.peak_mb for run in runs], 1),
            middle([run.wall_seconds for run in runs], 1),
            middle([run.process_seconds for run in runs], 1),
        )
    shown.add_section()
    shown.add_row("difference", "", "", f"{_peak(found[sizes[1]]) - _peak(found[sizes[0]]):.1f}")
    console.print(shown)


def _peak(runs: list[Measured]) -> float:
    return float(middle([run.peak_mb for run in runs], 3))


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
