"""`make serve`: Prefect server, worker and deployments on one machine, until Ctrl-C.

`make ui` is the server alone, to read reports.

It has its own Prefect home: the user's Prefect home and profile are neither read nor changed, and
of Prefect's variables only those for the server's protection and clean-up are passed on. These and
the token come from the environment, from the project's `.env`, or from the file that TE_ENV_FILE
names. The worker gets the token, and the server stores it as the credentials block `thousandeyes`.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import IO, Final, NoReturn

from rich.console import Console

from deployments.environments import OF_THE_SERVER, env_file, of_all, of_the_runs, of_the_server
from deployments.home import HOME, make_private, note, opened, reserved
from tasks.server import ServerNotStarted, wait_until_up
from thousandeyes.errors import SettingsError
from thousandeyes.ports import port_of
from thousandeyes.proxies import prepare
from thousandeyes.release import add_version
from thousandeyes.terminal import LONGEST_LINE, hangup, status_of, verbatim_console

_POOL: Final = "thousandeyes"
_LOG: Final = "server.log"
_SECONDS_TO_TELL: Final = 5
_SECONDS_TO_END: Final = 40  # a cancelled run may take 30 to write its report


class ServeError(Exception):
    """A process ended or could not be started; the message says which one and why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted, and then return 0.

    1 when a process did not start or ended by itself, 2 when a variable is wrong or the home can't
    be used.
    """
    parser = argparse.ArgumentParser(prog="python -m deployments.serve", description=__doc__)
    add_version(parser)
    usual = " (default: %(default)s)"
    parser.add_argument(
        "--port", type=port_of, metavar="N", default=4200, help=f"port of the server{usual}"
    )
    parser.add_argument(
        "--reports-only", action="store_true", help="start the server, but no worker"
    )
    parser.add_argument("--home", type=Path, default=HOME, help=f"where it keeps its data{usual}")
    given = parser.parse_args(arguments)
    _end_by_signals()
    console = verbatim_console(soft_wrap=True)
    errors = verbatim_console(stderr=True, soft_wrap=True)
    try:
        prepare(os.environ)
        _serve(given.port, given.home, console, reports_only=given.reports_only)
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 0
    except SettingsError as error:
        errors.print(f"error: {error}")
        return 2
    except ServerNotStarted as error:
        errors.print(f"error: {error}; its full output is in {given.home / _LOG}")
        return 1
    except ServeError as error:
        errors.print(f"error: {error}")
        return 1


def _end_by_signals() -> None:
    """Treat every signal to end as Ctrl-C: the children have no terminal to hear of it."""
    # A non-interactive shell makes what it starts in the background ignore SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM, hangup()):
        if number:
            signal.signal(number, signal.default_int_handler)


def _ending_signals() -> list[int]:
    """Return the signals that raise KeyboardInterrupt here."""
    return [
        number
        for number in signal.valid_signals()
        if signal.getsignal(number) is signal.default_int_handler
    ]


def _serve(port: int, home: Path, console: Console, *, reports_only: bool) -> NoReturn:
    make_private(home)
    url = f"http://127.0.0.1:{port}"
    file = env_file()
    server_env = of_all(url, home) | OF_THE_SERVER | of_the_server(file)
    env = server_env | of_the_runs(file)
    with ExitStack() as stack:
        lock = stack.enter_context(reserved(home))
        _refuse_taken(port)
        log = stack.enter_context(opened(home / _LOG, "w+b"))
        console.print(f"Starting Prefect at {url}; this takes a few seconds …")
        command = ("tasks.guarded_server", "--port", str(port))
        server = stack.enter_context(_running(command, server_env, log, home, lock))
        note(lock, f"process {server.pid}, port {port}")
        wait_until_up(url, server, log, console.print)
        if reports_only:
            console.print(f"Read reports at {url}/artifacts. Ctrl-C stops it.")
            _watch((server, f"server, see {log.name}"))
        with _running(_bootstrap(), env, None, home) as bootstrap:
            if bootstrap.wait():
                raise ServeError("the deployments could not be put on the server: see above")
        # Printed before the worker starts: it would end if nobody read our output, see `status_of`.
        console.print(
            f"Start runs at {url}/deployments, read reports at {url}/artifacts. Ctrl-C stops it."
        )
        worker = stack.enter_context(
            _running(("prefect", "worker", "start", "--pool", _POOL), env, None, home, lock)
        )
        note(lock, f"; its worker is process {worker.pid}")
        _watch((server, f"server, see {log.name}"), (worker, "worker"))


def _watch(*processes: tuple[subprocess.Popen[bytes], str]) -> NoReturn:
    while True:
        for process, name in processes:
            if process.poll() is not None:
                raise ServeError(f"the {name} has ended with status {process.returncode}")
        time.sleep(0.5)


def _refuse_taken(port: int) -> None:
    with socket.socket() as there:
        if not there.connect_ex(("127.0.0.1", port)):
            raise ServeError(f"port {port} is in use: choose another one with PORT=N")


def _bootstrap() -> tuple[str, ...]:
    """Return the command; runs that were under way at the last stop may have lost their process."""
    # The server takes calls only from this machine, so all its workers are here.
    told = ("--on-this-machine",) if sys.platform == "linux" else ()
    return ("deployments.bootstrap", *told)


@contextmanager
def _running(
    module: Sequence[str],
    env: Mapping[str, str],
    log: IO[bytes] | None,
    home: Path,
    *inherited: IO[bytes],
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module until the block ends. Ctrl-C reaches it only through us, in our order."""
    with ExitStack() as stack:
        with _no_interrupt():  # in between, it would leave a process that nobody ends
            process = subprocess.Popen(  # noqa: S603 - our own commands
                [sys.executable, "-m", *module],
                cwd=home,  # Prefect reads a `.env` where it runs
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log or subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[file.fileno() for file in inherited],
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


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Delay the signals that end us until the block is done."""
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
    """Print a process's output as we print our own, because it repeats texts of the API."""
    while line := output.readline(LONGEST_LINE):
        sys.stdout.write(line.decode("utf-8", "replace"))
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(status_of(main))
