"""The other sides: a fresh Prefect server and the simulator, each in a process of its own."""

import contextlib
import re
import socket
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from tests.benchmarks.processes import environment, free_port, running, tail

TOKEN: Final = "tkn-0f-the-benchmarks"
PLENTY: Final = {"instant_limit": 100_000, "organization_limit": 1_000_000}
"""Options of a simulator whose quota nobody meets."""

_SECONDS_TO_START = 120
_SECONDS_TO_SETTLE = 3  # its services begin their first rounds right after the first health


_REQUEST: Final = re.compile(r'"([A-Z]+|WebSocket) (/api/[^ ?"]*)')
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/name/)[^/]+")
_SECONDS_QUIET = 6.0  # longer than the server waits between two writes of events


@dataclass(frozen=True)
class PrefectServer:
    """A Prefect server of one contestant's own."""

    api_url: str
    directory: Path

    def requests(self) -> Counter[str]:
        """Count the requests so far by method and path, as in `POST /artifacts/`."""
        log = (self.directory / "prefect.log").read_text(errors="replace")
        return Counter(
            f"{method} {_ID.sub('…', path.removeprefix('/api'))}"
            for method, path in _REQUEST.findall(log)
            if path != "/api/health"
        )

    def database_bytes(self) -> int:
        """Return how many bytes of its database are in use."""
        return self._in_use()[0]

    def drain(self, longest: float = 600) -> None:
        """Return when it has written down all that it was sent.

        Raises:
            RuntimeError: It still writes after `longest` seconds.
        """
        until, quiet_since, latest = time.monotonic() + longest, time.monotonic(), self._in_use()
        while time.monotonic() - quiet_since < _SECONDS_QUIET:
            if time.monotonic() > until:
                raise RuntimeError(f"the Prefect server still writes after {longest:.0f} s")
            time.sleep(0.5)
            if (now := self._in_use()) != latest:
                quiet_since, latest = time.monotonic(), now

    def _in_use(self) -> tuple[int, int]:
        """Return bytes in use, and rows of what arrives last."""
        database = f"file:{self.directory / 'home' / 'prefect.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(database, uri=True, timeout=60)) as there:

            def number(query: str) -> int:
                return int(there.execute(query).fetchone()[0])

            free, pages = number("PRAGMA freelist_count"), number("PRAGMA page_count")
            size = (pages - free) * number("PRAGMA page_size")
            states = number("SELECT count(*) FROM task_run_state")
            return size, states + number("SELECT count(*) FROM events")

    def artifacts(self) -> int:
        """Return how many artifacts it holds."""
        return int(httpx.post(f"{self.api_url}/artifacts/count", json={}, timeout=60).json())


@dataclass(frozen=True)
class Simulated:
    """A simulator in another process."""

    url: str

    def test_ids(self) -> list[str]:
        """Return the IDs of the tests that it holds."""
        return list(self._calls()["runs"])

    def calls(self) -> list[dict[str, Any]]:
        """Return every call that came in: `at`, `method`, `path`, `test_id`, `status`."""
        calls: list[dict[str, Any]] = self._calls()["calls"]
        return calls

    def _calls(self) -> Any:
        page = self.url.removesuffix("/v7") + "/_sim/calls"
        return httpx.get(page, timeout=60).raise_for_status().json()


def statuses(calls: list[dict[str, Any]]) -> Counter[int | None]:
    """Count the replies to rerun calls by status."""
    return Counter(call["status"] for call in calls if call["path"].endswith("/run"))


@contextlib.contextmanager
def prefect_server(directory: Path) -> Iterator[PrefectServer]:
    """Run a Prefect server on an empty SQLite database in `directory` until the block ends."""
    port = free_port()
    api_url = f"http://127.0.0.1:{port}/api"
    # Without its UI: it would write the UI's pages into the installed package.
    env = environment(
        directory / "home",
        PREFECT_SERVER_UI_ENABLED="false",
        PREFECT_SERVER_LOGGING_LEVEL="INFO",  # a line a request
    )
    command = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    with running(*command, directory=directory, env=env, name="prefect") as process:

        def healthy() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{api_url}/health").is_success
            return False

        _wait(healthy, process, directory, "prefect")
        time.sleep(_SECONDS_TO_SETTLE)
        yield PrefectServer(api_url, directory)


@contextlib.contextmanager
def simulator(directory: Path, **options: object) -> Iterator[Simulated]:
    """Serve a simulator with these of its options until the block ends."""
    port = free_port()
    command = ["thousandeyes.simulator", "--port", str(port)]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    env = environment(directory / "home", TE_TOKEN=TOKEN)
    with running(*command, directory=directory, env=env, name="simulator") as process:

        def listening() -> bool:
            with (
                contextlib.suppress(ConnectionRefusedError),
                socket.create_connection(("127.0.0.1", port), timeout=5),
            ):
                return True
            return False

        _wait(listening, process, directory, "simulator")
        yield Simulated(f"http://127.0.0.1:{port}/v7")


def _wait(
    condition: Callable[[], bool],
    process: subprocess.Popen[bytes],
    directory: Path,
    name: str,
) -> None:
    until = time.monotonic() + _SECONDS_TO_START
    while not condition():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the {name} process did not start:\n{tail(directory, name)}")
        time.sleep(0.1)
