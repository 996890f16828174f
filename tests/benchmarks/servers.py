"""The other sides: a fresh Prefect server and the simulator, each in a process of its own."""

import contextlib
import socket
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


@dataclass(frozen=True)
class PrefectServer:
    """A Prefect server of one contestant's own."""

    api_url: str

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
    env = environment(directory / "home", PREFECT_SERVER_UI_ENABLED="false")
    command = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    with running(*command, directory=directory, env=env, name="prefect") as process:

        def healthy() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{api_url}/health").is_success
            return False

        _wait(healthy, process, directory, "prefect")
        time.sleep(_SECONDS_TO_SETTLE)
        yield PrefectServer(api_url)


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
