"""How long the table of a run of 500 tests takes to open in Chromium, beside that of a run of 41.

From the first request to the moment in which a row of the table is drawn, in both of Prefect's UIs,
the two sizes in turn, so that what else the machine does hits both.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from playwright.sync_api import Page
from prefect import flow
from rich.console import Console

from tasks.publication import publish
from tests.benchmarks.report import Aim, each, middle, table, tell
from tests.deployments import browser, mornings
from tests.deployments.scene import client_of
from tests.deployments.topology import on_sqlite

REPEAT: Final = 5
SMALL, LARGE = 41, 500

_UIS: Final = {"V1": "", "V2": "/v2"}
_LONGEST_MS: Final = 120_000


def benchmark(console: Console, repeat: int, *, quick: bool) -> None:
    """Publish the reports of two runs, open their tables in turn, and print a row for each UI."""
    shown = table(
        f"opening: the table of {LARGE} tests beside that of {SMALL}, medians of {repeat} in turn",
        *("UI", f"{SMALL} tests, s", f"{LARGE} tests, s", "ratio"),
        *(f"{SMALL}, each", f"{LARGE}, each"),
    )
    sizes, aims = (SMALL, LARGE // 10 if quick else LARGE), list[Aim]()

    @flow
    async def recording() -> None:
        for size in sizes:
            await publish(mornings.report(size), f"of-{size}")

    with tempfile.TemporaryDirectory() as directory, on_sqlite(Path(directory)) as server:
        with client_of(server):
            asyncio.run(recording())
        with browser.page() as page:
            for name, root in _UIS.items():
                took = _in_turn(page, f"{server.url}{root}", sizes, repeat)
                small, large = took[sizes[0]], took[sizes[1]]
                ratio = median(large) / median(small)
                figures = middle(small), middle(large), f"{ratio:.2f}", each(small), each(large)
                shown.add_row(name, *figures)
                aims.append(
                    Aim(f"{name}: {LARGE} tests, of the time of {SMALL}", ratio, "at most", 3)
                )
    console.print(shown)
    tell(console, *aims)


def _in_turn(page: Page, root: str, sizes: tuple[int, int], repeat: int) -> dict[int, list[float]]:
    """Return the seconds that opening each table took, by the number of its tests."""
    address = {}
    for size in sizes:
        page.goto(f"{root}/artifacts/key/endpoint-rerun-outcomes-of-{size}")
        newest = page.locator("a[href*='/artifacts/artifact/']").first
        address[size] = str(newest.evaluate("link => link.href", timeout=_LONGEST_MS))
    took: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(repeat + 1):
        for size in sizes:
            page.goto("about:blank")
            began = time.monotonic()
            page.goto(address[size], wait_until="commit", timeout=_LONGEST_MS)
            page.locator("tbody tr").first.wait_for(timeout=_LONGEST_MS)
            took[size].append(time.monotonic() - began)
    # The first time the browser reads the UI itself.
    return {size: figures[1:] for size, figures in took.items()}
