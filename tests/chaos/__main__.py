"""`python -m tests.chaos`: do faults for real and print what came of them.

Each has runs in processes of their own, a simulator over sockets and a real Prefect server. The
judge is what the simulator received, not what a run says of itself.

Not done here: the network of a machine with several addresses, a cancellation by a click (it is the
same call), and daylight saving's two nights, which the tests of `prefect.yaml` hold.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.chaos import kills, machines, outages, shortage, surroundings
from tests.chaos.kills import Fault
from tests.chaos.scene import Stage, Stuck
from tests.chaos.table import Line, show
from tests.deployments.scene import client_of
from tests.deployments.topology import on_sqlite

FAULTS: Final[Mapping[str, Fault]] = {
    **kills.FAULTS,
    **outages.FAULTS,
    **shortage.FAULTS,
    **surroundings.FAULTS,
    **machines.FAULTS,
}
TIMES: Final = {"killed": 20, "killed-at-most-once": 20, "terminated-while-busy": 20}
"""How often a full round does a fault, where once tells little."""
SHORT: Final = (
    "killed",
    "killed-at-most-once",
    "killed-before-report",
    "cancelled",
    "prefect-killed",
    "prefect-401",
    "api-stale",
    "api-half-at-most-once",
    "two-runs-one-quota",
    "parted-and-taken-over",
    "started-twice-at-most-once",
    "worker-down-over-schedule",
)
"""What a short round does, once each."""


async def round_of(stage: Stage, name: str, times: int) -> Line:
    """Do a fault so many times, and add up what came of it."""
    line = Line(name)
    for _ in range(times):
        try:
            line.add(await FAULTS[name](stage))
        except Stuck as stuck:
            line.stuck.append(str(stuck))
        except Exception as error:  # noqa: BLE001 - the other faults are done all the same
            line.stuck.append(f"{type(error).__name__}: {error}")
    return line


async def do(names: list[str], console: Console, times: int | None, seed: int) -> bool:
    """Do faults one after the other and print the table; return whether all promises held."""
    lines = []
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        with on_sqlite(Path(directory)) as topology, client_of(topology):
            stage = Stage(topology, random.Random(seed))
            for name in names:
                line = await round_of(stage, name, times or TIMES.get(name, 1))
                console.print(f"{name}: {'holds' if line.holds else 'BROKEN'}", highlight=False)
                lines.append(line)
    show(lines, console)
    return all(line.holds for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Do the faults that were asked for; return 1 if a promise broke."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("faults", nargs="*", metavar="fault", help=f"of {', '.join(FAULTS)}")
    parser.add_argument("--short", action="store_true", help="a few faults, once each")
    parser.add_argument("--times", type=int, help="how often each; 20 for random kills, else once")
    parser.add_argument("--seed", type=int, help="for the same moments again")
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.faults if name not in FAULTS]:
        parser.error(f"no such fault: {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    names = asked.faults or list(SHORT if asked.short else FAULTS)
    seed = random.randrange(1_000_000) if asked.seed is None else asked.seed
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # the server ends with it
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(f"Faults at the moments of --seed {seed}", highlight=False)
    times = asked.times or (1 if asked.short else None)
    return 0 if asyncio.run(do(names, console, times, seed)) else 1


if __name__ == "__main__":
    sys.exit(main())
