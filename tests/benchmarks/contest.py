"""One contestant, alone in a process of its own, against servers of its own."""

import contextlib
import json
import resource
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from tests.benchmarks.processes import environment, running, tail
from tests.benchmarks.servers import (
    PLENTY,
    TOKEN,
    PrefectServer,
    Simulated,
    prefect_server,
    simulator,
)

Name = Literal[
    "ours", "observed", "against", "floor", "naive", "bare", "sdk", "limiter", "competitor"
]
Phase = tuple[float, float]
"""A window's seconds, and the fraction of a window of the clock at which a contestant begins."""
Watch = Callable[[PrefectServer], None]

WITHOUT_PREFECT: Final = ("bare", "sdk", "limiter", "competitor")

_LONGEST = 3_600.0
_LOOK = 0.5


@dataclass(frozen=True)
class Job:
    """What a contestant is to do."""

    name: Name
    test_ids: list[str]
    options: dict[str, Any]
    phase: Phase | None


@dataclass(frozen=True)
class Measured:
    """What a contestant measured of itself, and what the simulator saw of it.

    `wall_seconds` and `cpu_seconds` (user and system, all threads) cover the call that reruns the
    tests, imports excluded; for a flow that is the whole flow call, its start and its ending on
    the Prefect server included, and what Prefect still sends when the process ends excluded.
    `process_seconds` covers the process from its start to its end, so both of these too;
    `whole_cpu_seconds` is CPU from the call to the end of the process, so the sending counts.
    `peak_mb` is the process's largest resident set, `before_mb` what it was before the call.
    """

    wall_seconds: float
    cpu_seconds: float
    process_seconds: float
    peak_mb: float
    before_mb: float
    accepted: int
    notes: dict[str, Any]
    calls: list[dict[str, Any]]
    whole_cpu_seconds: float
    requests: Counter[str]
    """Requests to the Prefect server, by method and path."""
    database_bytes: int
    """What the Prefect server's database grew by, once all was written."""
    lines: int
    """What it wrote, its log."""


def compete(
    name: Name,
    tests: int,
    *,
    watch: Watch | None = None,
    prefect: dict[str, str] | None = None,
    options: dict[str, Any] | None = None,
    phase: Phase | None = None,
    server: PrefectServer | None = None,
    **simulated: object,
) -> Measured:
    """Let a contestant rerun that many tests once, and return what came of it.

    Args:
        name: Which contestant.
        tests: How many tests the simulator holds; each is rerun.
        watch: Is called now and then while the contestant runs.
        prefect: More of its environment, such as Prefect's settings.
        options: The contestant's own, such as `max_in_flight`.
        phase: When it begins.
        server: The Prefect server; one of its own if not told. What others do to it then counts
            in `requests` and `database_bytes`.
        simulated: The simulator's options; its quota is out of the way unless they say otherwise.

    Raises:
        RuntimeError: It failed or took longer than an hour; holds the end of its log.
    """
    with arena() as directory, contextlib.ExitStack() as stack:
        api = stack.enter_context(simulator(directory, **PLENTY | {"tests": tests} | simulated))
        if name not in WITHOUT_PREFECT and not server:
            server = stack.enter_context(prefect_server(directory))
            server.drain()
        variables = variables_of(api, server) | (prefect or {})
        requests, size = _books(server)
        started, cpu = time.monotonic(), _cpu_of_children()
        job = Job(name, api.test_ids(), options or {}, phase)
        with entered(job, directory, variables) as process:
            _follow(process, server, watch)
        took = time.monotonic() - started
        told = result_of(process, directory, name)
        cpu = _cpu_of_children() - cpu
        if server:
            server.drain()
        requests_after, size_after = _books(server)
        before = told.pop("before_cpu_seconds")
        return Measured(
            **told,
            process_seconds=took,
            calls=api.calls(),
            whole_cpu_seconds=cpu - before,
            requests=requests_after - requests,
            database_bytes=size_after - size,
            lines=len((directory / f"{name}.log").read_text().splitlines()),
        )


def variables_of(api: Simulated, server: PrefectServer | None) -> dict[str, str]:
    """Return the environment variables that lead a contestant to both."""
    own = {"TE_TOKEN": TOKEN, "TE_BASE_URL": api.url}
    return own | ({"PREFECT_API_URL": server.api_url} if server else {})


@contextlib.contextmanager
def entered(
    job: Job, directory: Path, variables: dict[str, str], label: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a contestant until the block ends; `label`, its name if not told, names its files."""
    label = label or job.name
    (directory / f"{label}.json").write_text(json.dumps(asdict(job)))
    command = ("tests.benchmarks.contestants", job.name, f"{label}.json", f"{label}-result.json")
    env = environment(directory / "home", **variables)
    with running(*command, directory=directory, env=env, name=label) as process:
        yield process


def result_of(process: subprocess.Popen[bytes], directory: Path, label: str) -> dict[str, Any]:
    """Return what a contestant that has ended measured; raise `RuntimeError` if it failed."""
    if process.returncode != 0:
        raise RuntimeError(f"the contestant {label} failed:\n{tail(directory, label)}")
    told: dict[str, Any] = json.loads((directory / f"{label}-result.json").read_text())
    return told


def _books(server: PrefectServer | None) -> tuple[Counter[str], int]:
    return (server.requests(), server.database_bytes()) if server else (Counter(), 0)


def _cpu_of_children() -> float:
    """Return the CPU seconds of the processes that have ended: the contestants, one at a time."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _follow(
    process: subprocess.Popen[bytes], server: PrefectServer | None, watch: Watch | None
) -> None:
    until = time.monotonic() + _LONGEST
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK)
        if watch and server:
            watch(server)


@contextlib.contextmanager
def arena() -> Iterator[Path]:
    """Make a directory for the files of contestants and their servers."""
    with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)
