"""Thirty mornings of 500 tests on a Prefect server: what they weigh, and how long its pages take.

The runs are real, and happen one after the other. Then the server is stopped, and each run's rows
are moved back by as many days as it stands before the last, so that Prefect's own vacuum finds
what a month would have left: events of a week and runs of 90 days, as the docs tell, and then runs
of a week. A page's time goes from the first request to the moment in which what it is for is drawn.
"""

import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from playwright.sync_api import Page
from rich.console import Console
from rich.table import Table

from tasks.artifacts import artifact_key
from tests.benchmarks.contest import Job, entered, result_of, variables_of
from tests.benchmarks.processes import free_port
from tests.benchmarks.report import each, middle, table
from tests.benchmarks.servers import PLENTY, PrefectServer, simulator
from tests.deployments import browser
from tests.deployments.topology import Topology

REPEAT: Final = 3
MORNINGS: Final = 30
TESTS: Final = 500

_WEEK: Final = timedelta(days=7)
_LONGEST: Final = 600.0
_STAMPS: Final = "%Y-%m-%d %H:%M:%S.%f"
"""As Prefect keeps moments in SQLite, in UTC."""


def benchmark(console: Console, repeat: int, *, quick: bool) -> None:
    """Run the mornings, and print a row for each state of the database and each page."""
    mornings, tests = (3, 20) if quick else (MORNINGS, TESTS)
    shown = table(
        f"a month: {mornings} mornings of {tests} tests, SQLite; pages: medians of {repeat}",
        *("runs", "in use MB", "file MB", "page", "first UI s", "second UI s"),
    )
    with tempfile.TemporaryDirectory(prefix="month-", ignore_cleanup_errors=True) as name:
        directory, ended = Path(name), list[datetime]()
        with _server(directory) as server, simulator(directory, **PLENTY, tests=tests) as api:
            variables = variables_of(api, _books(server))
            test_ids = api.test_ids()
            for morning in range(mornings):
                job = Job("ours", test_ids, {}, None)
                with entered(job, directory, variables) as process:
                    process.wait(_LONGEST)
                result_of(process, directory, job.name)
                ended.append(datetime.now(UTC))
                console.print(f"[dim]morning {morning + 1} of {mornings}[/]")
                if morning in (0, mornings - 1):
                    _books(server).drain()
                    _add(shown, "one morning" if not morning else "all", server, test_ids, repeat)
        _move_back(_database(directory), ended)
        for what, days in (("events of a week", 90), ("runs of a week", _WEEK.days)):
            with _server(directory, days) as server:
                _until(lambda days=days: _kept(directory, days))  # type: ignore[misc]
                _books(server).drain()
                _add(shown, what, server, test_ids, repeat)
    console.print(shown)


def _server(directory: Path, days: int = 90) -> Topology:
    seconds = str(timedelta(days=days) // timedelta(seconds=1))
    kept = {"PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": seconds}
    return Topology(directory, free_port(), settings=kept)


def _books(server: Topology) -> PrefectServer:
    return PrefectServer(f"{server.url}/api", server.directory)


def _database(directory: Path) -> Path:
    return directory / "home" / "prefect.db"


def _move_back(database: Path, ended: list[datetime]) -> None:
    """Move all moments of each run back by the days that it stands before the last."""
    with contextlib.closing(sqlite3.connect(database)) as there, there:
        tables = there.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        moments = [
            (name, column)
            for (name,) in tables
            for _, column, kind, *_ in there.execute(f"PRAGMA table_info('{name}')")
            if kind.upper() in ("DATETIME", "TIMESTAMP")
        ]
        since = "0000"
        for days, until in zip(range(len(ended) - 1, 0, -1), ended, strict=False):
            upto = until.strftime(_STAMPS)
            for name, column in moments:
                there.execute(
                    f"UPDATE OR IGNORE {name} SET {column} = strftime('%Y-%m-%d %H:%M:%f000', "
                    f"{column}, '-{days} days') WHERE {column} > ? AND {column} <= ?",
                    (since, upto),
                )
            since = upto


def _kept(directory: Path, days: int) -> bool:
    """Tell whether no event is older than a week, and no run older than so many days."""
    now = datetime.now(UTC)

    def older(query: str, kept: timedelta) -> bool:
        (oldest,) = there.execute(query).fetchone()
        return oldest is not None and oldest < (now - kept).strftime(_STAMPS)

    with contextlib.closing(sqlite3.connect(_database(directory), timeout=60)) as there:
        events = older("SELECT min(occurred) FROM events", _WEEK)
        return not events and not older("SELECT min(end_time) FROM flow_run", timedelta(days=days))


def _until(condition: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not condition():
        if time.monotonic() > began + _LONGEST:
            raise RuntimeError("the vacuum of the Prefect server has not done its work")
        time.sleep(1)


def _add(shown: Table, runs: str, server: Topology, test_ids: list[str], repeat: int) -> None:
    with contextlib.closing(sqlite3.connect(_database(server.directory), timeout=60)) as there:
        query = "SELECT key FROM artifact_collection WHERE key LIKE 'endpoint-reruns-%'"
        (summary,) = there.execute(query).fetchone()
    pages = {
        "list of artifacts": ("/artifacts", "a[href*='/artifacts/key/']"),
        "summary": (f"/artifacts/key/{summary}", "a[href*='/artifacts/artifact/']"),
        "a test's history": (
            f"/artifacts/key/{artifact_key(test_ids[0])}",
            "a[href*='/artifacts/artifact/']",
        ),
    }
    in_use = _books(server).database_bytes() / 1e6
    size = _database(server.directory).stat().st_size / 1e6
    first = (runs, f"{in_use:.0f}", f"{size:.0f}")
    with browser.page() as page:
        for what, (path, drawn) in pages.items():
            took = [_opened(page, f"{server.url}{ui}{path}", drawn, repeat) for ui in ("", "/v2")]
            shown.add_row(*first, what, *(f"{middle(one)} ({each(one)})" for one in took))
            first = ("", "", "")
    shown.add_section()


def _opened(page: Page, address: str, drawn: str, repeat: int) -> list[float]:
    """Return the seconds that a page took, each time; the first time is none of them."""
    took = []
    for _ in range(repeat + 1):
        page.goto("about:blank")
        began = time.monotonic()
        page.goto(address, wait_until="commit", timeout=_LONGEST * 1_000)
        page.locator(drawn).first.wait_for(timeout=_LONGEST * 1_000)
        took.append(time.monotonic() - began)
    return took[1:]
