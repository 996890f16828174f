"""How much of the quota a rerun test spends: calls of each family, as the simulator counted them.

A rerun and a creation count for the organization and for instant tests, all else for the
organization alone; 429s count as calls of the organization, as in the API.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from rich.console import Console

from tests.benchmarks.contest import compete
from tests.benchmarks.report import table

TESTS: Final = 200
REPEAT: Final = 1

_CONTESTS: Final[dict[str, dict[str, Any]]] = {
    "without results": {},
    "with results": {"wait_for_results": True},
}
"""The flow's options by what they stand for."""
_LAPTOPS: Final[dict[str, Any]] = {"agents": 25, "healthy": True, "hide_instant_tests": True}
"""What the simulator holds: rows of 100 a page, and tests whose types nobody knows beforehand."""


def benchmark(console: Console, repeat: int, *, quick: bool) -> None:
    """Run the flow with each set of options and print a row each."""
    tests = TESTS // 10 if quick else TESTS
    shown = table(
        f"spent: {tests} tests, no quota in the way",
        *("run", "accepted", "reruns", "result calls", "other calls"),
        *("organization a test", "instant a test"),
    )
    for label, options in _CONTESTS.items():
        for _ in range(repeat):
            measured = compete("ours", tests, options=options, **_LAPTOPS)
            calls = families(measured.calls)
            results = sum("/test-results/" in call["path"] for call in measured.calls)
            shown.add_row(
                label,
                str(measured.accepted),
                str(calls["instant"]),
                str(results),
                str(calls["organization"] - calls["instant"] - results),
                f"{calls['organization'] / tests:.3f}",
                f"{calls['instant'] / tests:.3f}",
            )
    console.print(shown)


def families(calls: Iterable[dict[str, Any]]) -> Counter[str]:
    """Count the calls that each family was charged for."""
    counted: Counter[str] = Counter()
    for call in calls:
        counted["organization"] += 1
        is_instant = call["path"].endswith(("/run", "/instant"))
        counted["instant"] += call["method"] == "POST" and is_instant
    return counted
