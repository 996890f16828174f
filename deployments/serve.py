"""`make serve`: Prefect server, worker and deployments on one machine, until Ctrl-C.

All of it lives in a home of its own: the user's Prefect home and profile are neither read nor
written, and of Prefect's variables only those that guard the server reach it. These and the token
come from the environment, or from the project's `.env` or the file that TE_ENV_FILE names. The
token reaches the worker, and is saved on the server as the credentials block `thousandeyes`.
"""

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import IO, Final, NoReturn

from dotenv import dotenv_values  # which comes with pydantic-settings
from rich.console import Console

from deployments.home import HOME, ROOT, guarded, make_private
from tasks.server import ServerNotStarted, wait_until_up
from thousandeyes.errors import SettingsError
from thousandeyes.ports import port_of
from thousandeyes.proxies import prepare
from thousandeyes.release import add_version
from thousandeyes.settings import ENV_FILE
from thousandeyes.terminal import LONGEST_LINE, hangup, status_of, verbatim_console

PASSED_ON: Final = (
    "PREFECT_SERVER_API_AUTH_STRING",
    "PREFECT_SERVER_CORS_ALLOWED_ORIGINS",
    "PREFECT_SERVER_CSRF_PROTECTION_ENABLED",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD",
)
"""Variables of Prefect that reach the server; all others are the user's own Prefect's."""

_POOL: Final = "thousandeyes"
_LOG: Final = "server.log"
_SECONDS_TO_TELL: Final = 5
_SECONDS_TO_END: Final = 40  # a cancelled run may take 30 to write its report


class ServeError(Exception):
    """One of the processes ended, or could not be started; the message says which and why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; returns 0 then.

    1 when one of the processes did not start or ended by itself, 2 when a variable is wrong or the
    home can't be used.
    """
    parser = argparse.ArgumentParser(prog="python -m deployments.serve", description=__doc__)
    add_version(parser)
    usual = " (default: %(default)s)"
    parser.add_argument(
        "--port", type=port_of, metavar="N", default=4200, help=f"port of the server{usual}"
    )
    parser.add_argument("--home", type=Path, default=HOME, help=f"where it keeps its data{usual}")
    given = parser.parse_args(arguments)
    _end_by_signals()
    console = verbatim_console(soft_wrap=True)
    try:
        prepare(os.environ)
        _serve(given.port, given.home, console)
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 0
    except SettingsError as error:
        console.print(f"error: {error}")
        return 2
    except ServerNotStarted as error:
        console.print(f"error: {error}; all it said stands in {given.home / _LOG}")
        return 1
    except ServeError as error:
        console.print(f"error: {error}")
        return 1


def _end_by_signals() -> None:
    """Let whatever asks this process to end do as Ctrl-C does: its children know of no terminal."""
    # A shell that isn't interactive has SIGINT ignored by what it starts in the background.
    for number in (signal.SIGINT, signal.SIGTERM, hangup()):
        if number:
            signal.signal(number, signal.default_int_handler)


def _ending_signals() -> list[int]:
    """Return those signals that raise KeyboardInterrupt here."""
    return [
        number
        for number in signal.valid_signals()
        if signal.getsignal(number) is signal.default_int_handler
    ]


def _serve(port: int, home: Path, console: Console) -> NoReturn:
    with socket.socket() as there:
        if not there.connect_ex(("127.0.0.1", port)):
            raise ServeError(f"port {port} is taken: choose another one with PORT=N")
    make_private(home)
    url = f"http://127.0.0.1:{port}"
    file = _env_file()
    server_env = _environment(url, home) | guarded(port) | _chosen(file)
    env = server_env | _settings(file)
    with ExitStack() as stack:
        log = stack.enter_context((home / _LOG).open("w+b"))
        console.print(f"Prefect starts at {url}, which takes some seconds …")
        command = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
        server = stack.enter_context(_running(command, server_env, log, home))
        wait_until_up(url, server, log, console.print)
        with _running(_bootstrap(), env, None, home) as bootstrap:
            if bootstrap.wait():
                raise ServeError("the deployments could not be put on the server: see above")
        # Before the worker, which would end at a pipe that nobody reads any more: see `status_of`.
        console.print(
            f"Start runs at {url}/deployments, read them at {url}/artifacts. Ctrl-C ends it."
        )
        worker = stack.enter_context(
            _running(("prefect", "worker", "start", "--pool", _POOL), env, None, home)
        )
        while True:
            for process, name in ((server, f"server, see {log.name}"), (worker, "worker")):
                if process.poll() is not None:
                    raise ServeError(f"the {name} has ended with status {process.returncode}")
            time.sleep(0.5)


def _bootstrap() -> tuple[str, ...]:
    """Return the command: a run that was under way at the last end may have no process any more."""
    # The server takes calls of this machine alone, so this is where its workers are.
    told = ("--on-this-machine",) if sys.platform == "linux" else ()
    return ("deployments.bootstrap", *told)


def _environment(url: str, home: Path) -> dict[str, str]:
    """Return the environment of all processes: nothing of the user's Prefect, no token."""
    not_kept = ("PREFECT_", "TE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(not_kept)}
    return kept | {
        "PREFECT_HOME": str(home.resolve()),
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_SERVER_UI_API_URL": f"{url}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def _env_file() -> Path:
    """Return the file that holds what is not in the environment: one that is named, or `.env`."""
    named = os.environ.get(ENV_FILE)
    return Path(named).resolve() if named else ROOT / ".env"


def _chosen(file: Path) -> dict[str, str]:
    """Return what a user may choose for the server, and the password that its clients then need.

    Raises:
        SettingsError: The file can't be read.
    """
    try:
        written = dotenv_values(file, encoding="utf-8-sig") if file.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", "it must be a text file in UTF-8")
        raise SettingsError(f"{file} can't be read: {why}") from None
    given = written | os.environ
    chosen = {name: value for name in PASSED_ON if (value := given.get(name))}
    if password := chosen.get("PREFECT_SERVER_API_AUTH_STRING"):
        chosen["PREFECT_API_AUTH_STRING"] = password
    return chosen


def _settings(file: Path) -> dict[str, str]:
    """Return what runs on the worker need: variables, and the file that has the others.

    Runs are executed in directories of their own, where the project's `.env` does not lie.
    """
    variables = {name: value for name, value in os.environ.items() if name.startswith("TE_")}
    if "TE_TOKEN" in variables and not variables.get(ENV_FILE) and not file.is_file():
        return variables
    return variables | {ENV_FILE: str(file)}  # one that is made later counts for the runs then


@contextlib.contextmanager
def _running(
    module: Sequence[str], env: Mapping[str, str], log: IO[bytes] | None, home: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module until the block ends. A Ctrl-C reaches it through us alone, in our order."""
    with ExitStack() as stack:
        with _no_interrupt():  # one in between would leave a process that nobody ends
            process = subprocess.Popen(  # noqa: S603 - our own commands
                [sys.executable, "-m", *module],
                cwd=home,  # Prefect reads a `.env` where it runs
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log or subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            telling = Thread(target=_tell, args=(process.stdout,), daemon=True)
            if process.stdout:
                telling.start()
            stack.callback(_end, process, telling)
        yield process


def _end(process: subprocess.Popen[bytes], telling: Thread) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        telling.join(_SECONDS_TO_TELL)  # a run that outlives the worker holds its pipe


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Let signals that end us wait until the block is done."""
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in _ending_signals()
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _tell(output: IO[bytes]) -> None:
    """Say what a process says, by our own way to the terminal: it repeats what the API told."""
    while line := output.readline(LONGEST_LINE):
        sys.stdout.write(line.decode("utf-8", "replace"))
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(status_of(main))
