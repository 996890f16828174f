"""One contestant, alone in a process of its own, against servers of its own."""

import contextlib
import json
import resource
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.benchmarks.processes import environment, running, tail
from tests.benchmarks.servers import (
    PLENTY,
    TOKEN,
    PrefectServer,
    prefect_server,
    simulator,
)

Name = Literal["ours", "observed", "against", "floor", "naive", "bare"]
Watch = Callable[[PrefectServer], None]

_LONGEST = 3_600.0
_LOOK = 0.5


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


def compete(
    name: Name,
    tests: int,
    *,
    watch: Watch | None = None,
    prefect: dict[str, str] | None = None,
    options: dict[str, Any] | None = None,
    phase: tuple[float, float] | None = None,
    **simulated: object,
) -> Measured:
    """Let a contestant rerun that many tests once, and return what came of it.

    Args:
        name: Which contestant.
        tests: How many tests the simulator holds; each is rerun.
        watch: Is called now and then while the contestant runs.
        prefect: More of its environment, such as Prefect's settings.
        options: The contestant's own, such as `max_in_flight`.
        phase: A window's seconds, and the fraction of a window of the clock at which it begins.
        simulated: The simulator's options; its quota is out of the way unless they say otherwise.

    Raises:
        RuntimeError: It failed or took longer than an hour; holds the end of its log.
    """
    with _arena() as directory:
        given = PLENTY | {"tests": tests} | simulated
        with contextlib.ExitStack() as stack:
            api = stack.enter_context(simulator(directory, **given))
            server = None
            variables = {"TE_TOKEN": TOKEN, "TE_BASE_URL": api.url} | (prefect or {})
            if name != "bare":
                server = stack.enter_context(prefect_server(directory))
                variables["PREFECT_API_URL"] = server.api_url
            job = {"test_ids": api.test_ids(), "options": options or {}, "phase": phase}
            (directory / "job.json").write_text(json.dumps(job))
            env = environment(directory / "home", **variables)
            if server:
                server.drain()
            requests, size = _books(server)
            started, cpu = time.monotonic(), _cpu_of_children()
            command = ("tests.benchmarks.contestants", name, "job.json", "result.json")
            process = stack.enter_context(
                running(*command, directory=directory, env=env, name="contestant")
            )
            _follow(process, server, watch)
            took = time.monotonic() - started
            if process.returncode != 0:
                raise RuntimeError(
                    f"the contestant {name} failed:\n{tail(directory, 'contestant')}"
                )
            cpu = _cpu_of_children() - cpu
            if server:
                server.drain()
            requests_after, size_after = _books(server)
            told = json.loads((directory / "result.json").read_text())
            before = told.pop("before_cpu_seconds")
            return Measured(
                **told,
                process_seconds=took,
                calls=api.calls(),
                whole_cpu_seconds=cpu - before,
                requests=requests_after - requests,
                database_bytes=size_after - size,
            )


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
def _arena() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)
