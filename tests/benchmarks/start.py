"""How long a run takes from the start of its process to its first rerun call.

Beside it, in turn: the same for the floor, which does the least that Prefect can do, and a process
that imports Prefect and ends. The Prefect server runs already.
"""

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.benchmarks.contest import Job, Name, arena, entered, result_of, variables_of
from tests.benchmarks.processes import environment
from tests.benchmarks.report import Aim, each, middle, table, tell
from tests.benchmarks.servers import Simulated, prefect_server, simulator

REPEAT: Final = 5


def benchmark(console: Console, repeat: int, *, quick: bool) -> None:  # noqa: ARG001
    """Start each in turn and print a row each."""
    imports = {"import prefect": "prefect", "import our flow": "flows.rerun.flow"}
    contestants: dict[str, Name] = {"the floor's first call": "floor", "our first call": "ours"}
    took: dict[str, list[float]] = {label: [] for label in (*imports, *contestants)}
    with arena() as directory, ExitStack() as stack:
        api = stack.enter_context(simulator(directory, tests=1))
        server = stack.enter_context(prefect_server(directory))
        server.drain()
        variables = variables_of(api, server)
        for turn in range(repeat + 1):
            for label, module in imports.items():
                took[label].append(_imported(module, directory, variables))
            for label, name in contestants.items():
                took[label].append(_first_call(name, api, directory, variables))
            console.print(f"[dim]turn {turn} of {repeat}[/]")
    shown = table("start: the first call, seconds", "what", "median", "each", "more than import")
    of_prefect = float(middle(took["import prefect"][1:]))
    for label, seconds in took.items():
        counted = seconds[1:]  # the first time fills the disk's cache
        more = float(middle(counted)) - of_prefect
        shown.add_row(label, middle(counted), each(counted), f"{more:.2f}")
    console.print(shown)
    more = float(middle(took["our first call"][1:])) - of_prefect
    tell(console, Aim("our first call, seconds after `import prefect`", more, "at most", 0.4))


def _imported(module: str, directory: Path, variables: dict[str, str]) -> float:
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        cwd=directory,
        env=environment(directory / "home", **variables),
        check=True,
    )
    return time.monotonic() - began


def _first_call(name: Name, api: Simulated, directory: Path, variables: dict[str, str]) -> float:
    job, seen = Job(name, api.test_ids(), {}, None), len(api.calls())
    began = time.time()
    with entered(job, directory, variables) as process:
        process.wait(120)
    result_of(process, directory, name)
    reruns = [call["at"] for call in api.calls()[seen:] if call["path"].endswith("/run")]
    return float(reruns[0]) - began
