"""What several runs at once make of one quota, what a competitor leaves them, and what others do.

Tests fill nine windows of the clock and a half, so that a call which nobody took in time costs no
whole window. Replies take 50 ms. Each run is a process of its own that knows nothing of the others,
on one Prefect server. The competitor sends at random what a quarter of the quota is on average.
`least` is how long a sender that takes no time would need from the first call on, by what the
simulator granted to others; `took` is from the first call to the last that was accepted. `share` is
that of the run which had least, of an equal share, from when all had begun until the first of them
had all: a busy Prefect server lets one begin seconds after another.
"""

import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console

from tests.benchmarks.contest import (
    WITHOUT_PREFECT,
    Job,
    Name,
    arena,
    entered,
    result_of,
    variables_of,
)
from tests.benchmarks.report import Aim, table, tell
from tests.benchmarks.servers import prefect_server, simulator
from tests.benchmarks.windows import REFUSED, least_seconds

REPEAT: Final = 1

_LIMIT: Final = 24
_WINDOWS: Final = 9.5
_COMPETITOR: Final = "competitor"


@dataclass(frozen=True)
class _Scene:
    label: str
    contestant: Name = "ours"
    runs: int = 1
    competitor: bool = False
    least: float | None = None
    """What it should make of the ideal."""


@dataclass(frozen=True)
class _Made:
    accepted: str
    least: float
    took: float
    refused: int
    most_refused: int
    share: float | None

    def row(self) -> tuple[str, ...]:
        return (
            self.accepted,
            f"{self.least:.1f}",
            f"{self.took:.1f}",
            f"{self.least / self.took:.3f}",
            str(self.refused),
            str(self.most_refused),
            "" if self.share is None else f"{self.share:.2f}",
        )

    def aims(self, label: str, least: float) -> list[Aim]:
        found = [
            Aim(f"{label}: least/took", self.least / self.took, "at least", least),
            Aim(f"{label}: 429s in a window, the most", self.most_refused, "at most", 2),
        ]
        if self.share is not None:
            found.append(Aim(f"{label}: the smallest share", self.share, "at least", 0.5))
        return found


_SCENES: Final = (
    _Scene("ours", least=0.97),
    _Scene("ours, two runs", runs=2, least=0.93),
    _Scene("ours, four runs", runs=4, least=0.93),
    _Scene("ours, and a competitor", competitor=True),
    _Scene("ours, two runs, and a competitor", runs=2, competitor=True),
    _Scene("the vendor's SDK, a pool of 8", "sdk"),
    _Scene("naive: .map, retries", "naive"),
    _Scene("pyrate-limiter at the documented rate", "limiter"),
)


def benchmark(console: Console, repeat: int, *, quick: bool, window_seconds: float) -> None:
    """Let each scene happen and print a row each."""
    tests = int(_LIMIT * (1.5 if quick else _WINDOWS))
    shown = table(
        f"sharing: {tests} tests, {_LIMIT} in {window_seconds:g} s",
        *("who", "accepted", "least s", "took s", "least/took", "429s", "most a window", "share"),
    )
    aims: list[Aim] = []
    for _ in range(repeat):
        for scene in _SCENES:
            made = _measure(scene, tests, window_seconds)
            shown.add_row(scene.label, *made.row())
            console.print(f"[dim]{scene.label}: done[/]")
            if scene.least:
                aims += made.aims(scene.label, scene.least)
        shown.add_section()
    console.print(shown)
    tell(console, *aims)


def _measure(scene: _Scene, tests: int, window: float) -> _Made:
    with arena() as directory, ExitStack() as stack:
        api = stack.enter_context(
            simulator(
                directory,
                tests=tests + _LIMIT,
                instant_limit=_LIMIT,
                organization_limit=10 * _LIMIT,
                window_seconds=window,
                latency_seconds=0.05,
            )
        )
        bare = scene.contestant in WITHOUT_PREFECT
        server = None if bare else stack.enter_context(prefect_server(directory))
        variables = variables_of(api, server)
        ids, others = api.test_ids()[:tests], api.test_ids()[tests:]
        parts = [ids[n :: scene.runs] for n in range(scene.runs)]
        limits = {"limit": _LIMIT, "window_seconds": window}
        options: dict[str, Any] = limits if scene.contestant == "limiter" else {}
        phase = (window, 0.5)
        if scene.competitor:
            rival = Job(_COMPETITOR, others, {"a_second": _LIMIT / window / 4}, phase)
            stack.enter_context(entered(rival, directory, variables))
        runs = []
        for number, part in enumerate(parts, 1):
            label, job = f"run-{number}", Job(scene.contestant, part, options, phase)
            runs.append((label, stack.enter_context(entered(job, directory, variables, label))))
        while any(process.poll() is None for _, process in runs):
            time.sleep(0.5)
        for label, process in runs:
            result_of(process, directory, label)
        return _told(api.calls(), parts, window)


def _told(calls: list[dict[str, Any]], parts: list[list[str]], window: float) -> _Made:
    ours = {test_id for part in parts for test_id in part}
    sent = [call for call in calls if call["test_id"] in ours]
    applied = [call for call in sent if call["applied"]]
    taken = Counter(
        call["at"] // window for call in calls if call["applied"] and call["test_id"] not in ours
    )
    refused = Counter(call["at"] // window for call in sent if call["status"] == REFUSED)
    begin, end = sent[0]["at"], max(call["at"] for call in applied)
    return _Made(
        accepted=f"{len({call['test_id'] for call in applied})} of {len(ours)}",
        least=least_seconds(begin, len(applied), _LIMIT, window, taken),
        took=end - begin,
        refused=refused.total(),
        most_refused=max(refused.values(), default=0),
        share=_least_share(sent, parts) if len(parts) > 1 else None,
    )


def _least_share(sent: list[dict[str, Any]], parts: list[list[str]]) -> float | None:
    """Return the smallest share of an equal one; None if they were never at it together."""
    of_each = [[call for call in sent if call["test_id"] in part] for part in map(set, parts)]
    granted = [[call["at"] for call in calls if call["applied"]] for calls in of_each]
    begun, done = max(calls[0]["at"] for calls in of_each), min(map(max, granted))
    had = [sum(begun <= at <= done for at in each) for each in granted]
    return min(had) * len(parts) / sum(had) if any(had) else None
