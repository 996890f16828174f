"""`python -m tests.benchmarks`: take the project's figures and print them; asserts nothing."""

import argparse
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Final

from rich.console import Console

from tests.benchmarks import (
    at_once,
    growth,
    hostile,
    many_organizations,
    month,
    opening,
    organizations,
    quota,
    sharing,
    speed,
    spent,
    start,
)
from tests.benchmarks.many_organizations import Sizes
from tests.benchmarks.report import surroundings

Benchmark = Callable[..., None]

_BENCHMARKS: Final[dict[str, tuple[Benchmark, int]]] = {
    "speed": (speed.benchmark, speed.REPEAT),
    "quota": (quota.benchmark, quota.REPEAT),
    "sharing": (sharing.benchmark, sharing.REPEAT),
    "spent": (spent.benchmark, spent.REPEAT),
    "organizations": (organizations.benchmark, organizations.REPEAT),
    "many-organizations": (many_organizations.benchmark, many_organizations.REPEAT),
    "at-once": (at_once.benchmark, at_once.REPEAT),
    "growth": (growth.benchmark, growth.REPEAT),
    "month": (month.benchmark, month.REPEAT),
    "start": (start.benchmark, start.REPEAT),
    "hostile": (hostile.benchmark, hostile.REPEAT),
    "opening": (opening.benchmark, opening.REPEAT),
}

_SIZES: Final = {
    "organizations": "how many",
    "tests": "tests of each",
    "workers": "Prefect workers",
    "at_once": "limit of the work queue of their runs",
    "quota": "reruns that each may make in a window, 0: about 24 a minute",
    "seconds": "length of a window",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks that were asked for; return 1 if one could not be taken."""
    parsed = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140)
    signal.signal(signal.SIGINT, _interrupted)
    signal.signal(signal.SIGTERM, _interrupted)
    broken = 0
    console.print(surroundings(), highlight=False)
    try:
        for name in parsed.benchmarks or _BENCHMARKS:
            benchmark, repeat = _BENCHMARKS[name]
            if name in ("quota", "sharing"):
                benchmark = partial(benchmark, window_seconds=parsed.window)
            if name == "quota":
                benchmark = partial(benchmark, phases=parsed.phases, tests=parsed.quota_tests)
            if name == "many-organizations":
                sizes = Sizes(**{name: getattr(parsed, name) for name in _SIZES})
                benchmark = partial(benchmark, sizes=sizes)
            try:
                benchmark(console, parsed.repeat or repeat, quick=parsed.quick)
            except RuntimeError as error:
                console.print(f"{name}: {error}", style="red", markup=False)
                broken = 1
    except KeyboardInterrupt:
        return 130
    return broken


def _interrupted(*_: object) -> None:
    # A second one must not cut short the ending of the processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Takes the project's figures on this machine, each contestant in a process of "
        "its own on a fresh Prefect server. About two hours for all; best when nothing else runs.",
    )
    parser.add_argument(
        "benchmarks", nargs="*", metavar="NAME", help=f"all, or some of: {', '.join(_BENCHMARKS)}"
    )
    parser.add_argument("--repeat", type=int, metavar="N", help="turns of each contestant")
    parser.add_argument(
        "--window", type=float, default=10, metavar="S", help="windows of quota and sharing (10)"
    )
    parser.add_argument(
        "--quota-tests",
        type=int,
        default=quota.TESTS,
        metavar="N",
        help=f"tests of quota ({quota.TESTS})",
    )
    parser.add_argument(
        "--phases",
        type=int,
        default=0,
        metavar="N",
        help="run quota N times, each begun at another moment of a window",
    )
    many = parser.add_argument_group("many-organizations")
    for name, what in _SIZES.items():
        usual = getattr(Sizes, name)
        option = f"--{name.replace('_', '-')}"
        many.add_argument(option, type=int, default=usual, metavar="N", help=f"{what} ({usual})")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    return parser


if __name__ == "__main__":
    sys.exit(main())
