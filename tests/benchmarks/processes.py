"""Processes of the benchmarks' own: a clean environment in, and none of them left behind."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_SECONDS_TO_END = 10


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Return this process's environment without anything that Prefect or the project reads.

    `home` becomes the Prefect home, so that the user's own and its profile stay out of it.
    Temporary files go beside it, so that what a killed process leaves behind goes with the rest.
    """
    temporary = home.with_name("temporary")
    temporary.mkdir(parents=True, exist_ok=True)
    left_out = ("PREFECT_", "TE_", "PYTHONDONTWRITEBYTECODE")  # users find modules compiled
    kept = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
    ours = {
        "PREFECT_HOME": str(home),
        "TMPDIR": str(temporary),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # All traffic is on loopback: a proxy of the user's has no part in it.
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
    }
    return kept | ours | variables


@contextlib.contextmanager
def running(
    *module: str, directory: Path, env: Mapping[str, str], name: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m …` until the block ends, as `started` does."""
    with started(sys.executable, "-m", *module, directory=directory, env=env, name=name) as process:
        yield process


@contextlib.contextmanager
def started(
    *command: str, directory: Path, env: Mapping[str, str], name: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the block ends, in a process group that is ended with it.

    It runs in `directory`, where no `.env` of the user's lies, reads nothing, and writes all it
    says to `<name>.log` there.
    """
    with (directory / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C reaches it through us alone
        )
        try:
            yield process
        finally:
            _end(process)


def tail(directory: Path, name: str, lines: int = 30) -> str:
    """Return the end of what a process said."""
    text = (directory / f"{name}.log").read_text(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _end(process: subprocess.Popen[bytes]) -> None:
    _signal(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_SECONDS_TO_END)
    # Also when it has ended: its own children may not have.
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
