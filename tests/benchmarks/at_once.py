"""How many runs at once a Prefect server bears: on SQLite and on PostgreSQL, side by side.

Each run is a process of its own with as many tests as the next, no quota in its way. `longest gap`
is the longest time in which any of them sent nothing, once it had begun: it waits for Prefect to
record what it sent before. `not answered` counts the calls of Prefect that a run had to make again.
"""

import asyncio
import random
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.benchmarks.report import table
from tests.chaos.scene import Stage, Trial
from tests.deployments.scene import client_of
from tests.deployments.topology import Topology, on_postgresql, on_sqlite

REPEAT: Final = 1

_RUNS: Final = (1, 4, 8, 12)
_TESTS: Final = 50
_DATABASES: Final[dict[str, Callable[[Path], AbstractContextManager[Topology]]]] = {
    "SQLite": on_sqlite,
    "PostgreSQL": on_postgresql,
}
_WAITED: Final = "does not answer as it should"


def benchmark(console: Console, repeat: int, *, quick: bool) -> None:
    """Let more and more runs go on at once and print a row each."""
    shown = table(
        f"runs at once, {_TESTS} tests each",
        *("database", "runs", "tests/s", "longest gap s", "not answered", "recorded"),
    )
    for _ in range(repeat):
        for name, database in _DATABASES.items():
            for runs in _RUNS[:2] if quick else _RUNS:
                with tempfile.TemporaryDirectory(prefix="at-once-") as directory:
                    row = asyncio.run(_measure(database(Path(directory)), runs))
                shown.add_row(name, str(runs), *row)
                console.print(f"[dim]{name}, {runs} at once: {row[0]} tests/s[/]")
            shown.add_section()
    console.print(shown)


async def _measure(server: AbstractContextManager[Topology], runs: int) -> tuple[str, ...]:
    async with AsyncExitStack() as stack:
        topology = stack.enter_context(server)
        stack.enter_context(client_of(topology))
        stage = Stage(topology, random.Random(0))
        first = await stack.enter_async_context(
            stage.trial(tests=_TESTS * runs, latency_seconds=0.05, max_in_flight=4)
        )
        trials = [first.share(first.test_ids[_TESTS * n : _TESTS * (n + 1)]) for n in range(runs)]
        for trial in trials:
            stack.push_async_callback(trial.close)
            await trial.begin()
        await asyncio.gather(*(trial.ended(seconds=1800) for trial in trials))
        judged = [await trial.judge() for trial in trials]
        times = [_times(trial) for trial in trials]
        took = max(map(max, times)) - min(map(min, times))
        gap = max(later - sooner for one in times for sooner, later in pairwise(one))
        waited = topology.logs().count(_WAITED)
    right = sum(_TESTS - one.lost - one.wrong for one in judged)
    return f"{_TESTS * runs / took:.1f}", f"{gap:.1f}", str(waited), f"{right} of {_TESTS * runs}"


def _times(trial: Trial) -> list[float]:
    own = set(trial.test_ids)
    return [call.at for call in trial.simulator.calls if call.applied and call.test_id in own]
