"""A Prefect server on this machine: started, and waited for as long as it shows life.

Prefect gives its temporary server 20 seconds to start, which is too short on a busy machine, and
lets a Ctrl-C end it before the run has written its report. This one ends with the process that
started it, however that one ends.
"""

import atexit
import fcntl
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import httpx

from thousandeyes.errors import SettingsError
from thousandeyes.ports import HOST, bind

if TYPE_CHECKING:
    from prefect.server.api.server import SubprocessASGIServer

LONGEST_START: Final = 600.0
"""Seconds after which a live server is given up. It usually takes 10, and 40 on a busy machine."""
_TOLD_EVERY: Final = 15.0
_RESTARTS: Final = 10
_LAST_LINES: Final = 3
_ERROR: Final = re.compile(r"[\w.]+(Error|Exception): ")
_READ_BACK: Final = 10_000

Say = Callable[[str], object]


class ServerNotStarted(Exception):
    """A Prefect server on this machine did not start; the message has its last words."""


def wait_until_up(url: str, server: subprocess.Popen[bytes], log: IO[bytes], say: Say) -> None:
    """Return when the server answers; wait as long as its process lives, up to ten minutes.

    Args:
        url: Its address, without `/api`.
        server: Its process.
        log: What it writes, open for reading.
        say: Called now and then with what is waited for.

    Raises:
        ServerNotStarted: It ended, or is silent for too long.
    """
    began = told = time.monotonic()
    with httpx.Client(trust_env=False) as client:
        while not _answers(client, url):
            now = time.monotonic()
            if server.poll() is not None:
                what = f"ended with status {server.returncode} while starting"
                raise ServerNotStarted(f"Prefect's server {what}: {_last_words(log)}")
            if now - began > LONGEST_START:
                what = f"does not answer at {url} after {LONGEST_START:.0f} s"
                raise ServerNotStarted(f"Prefect's server {what}: {_last_words(log)}")
            if now - told > _TOLD_EVERY:
                say(f"Prefect's server is still starting, after {now - began:.0f} s …")
                told = now
            time.sleep(0.1)


def start_temporary_server(say: Say) -> None:
    """Start the server that Prefect's clients would start by themselves, if there is none to use.

    They find it as if it were their own. It ends with this process.

    Raises:
        ServerNotStarted: It did not start.
        SettingsError: PREFECT_API_URL is set but empty, which Prefect's clients take differently,
            or Prefect's home can't be used.
    """
    # Not before: Prefect reads its settings when it is imported.
    from prefect.settings import get_current_settings  # noqa: PLC0415

    settings = get_current_settings()
    if settings.api.url is not None and not settings.api.url.strip():
        raise SettingsError(
            "PREFECT_API_URL is empty: unset it, or set it to your Prefect server's address"
        )
    if settings.api.url or not settings.server.ephemeral.enabled:
        return
    with _one_at_a_time(settings.home, say), tempfile.TemporaryFile() as log:
        from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415 - slow

        temporary = SubprocessASGIServer()
        if temporary.running:
            return
        # Bound here: until the server listens, seconds later, others could take a free port.
        listener = bind(0)
        port = listener.getsockname()[1]
        url = f"http://{HOST}:{port}"
        say(f"Prefect is starting a temporary server at {url} …")
        server = _launch(listener, log)
        try:
            wait_until_up(url, server, log, say)
        except ServerNotStarted:
            server.kill()
            server.communicate()
            raise
    temporary.port, temporary.server_process, temporary.running = port, server, True
    ending = threading.Event()
    # Exit functions run in reverse order, so these run after what Prefect still sends at exit: it
    # registers that later.
    atexit.register(temporary.stop)
    atexit.register(ending.set)
    threading.Thread(target=_keep_up, args=(temporary, ending, say), daemon=True).start()


def _keep_up(temporary: "SubprocessASGIServer", ending: threading.Event, say: Say) -> None:
    """Restart a server that ends before its time: runs wait for it, and nobody else would."""
    for _ in range(_RESTARTS):
        if not (server := temporary.server_process) or not temporary.port:
            return
        status = server.wait()
        if ending.is_set():
            return
        say(f"Prefect's temporary server ended with status {status}, and is being restarted …")
        try:
            with tempfile.TemporaryFile() as log:
                temporary.server_process = _launch(bind(temporary.port), log)
        except OSError as error:
            say(f"It can't be restarted ({error.strerror}). Stop the run: it can't finish")
            return
    say(f"Prefect's temporary server ended {_RESTARTS} times. Stop the run: it can't finish")


def _launch(listener: socket.socket, log: IO[bytes]) -> subprocess.Popen[bytes]:
    from prefect.settings import get_current_settings  # noqa: PLC0415 - see above

    env = {
        **os.environ,
        **get_current_settings().to_environment_variables(exclude_unset=True),
        "PREFECT_UI_ENABLED": "0",
        "PREFECT__SERVER_EPHEMERAL": "1",
    }
    server = Path(__file__).with_name("guarded_server.py")
    with listener:  # from then on the server's alone: calls are refused when it ends
        return subprocess.Popen(  # noqa: S603 - our own command
            # Not as a module: the caller's directory may have a package `tasks` of its own.
            [sys.executable, "-P", server, "--socket", str(listener.fileno())],
            env=env,
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for the run, which has a report to write
        )


@contextmanager
def _one_at_a_time(home: Path, say: Say) -> Iterator[None]:
    """Make others that start a server on the same home wait: two would create its tables twice."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        locked = (home / "temporary-server.lock").open("w")
    except OSError as error:
        raise SettingsError(
            f"{home}, the home of Prefect (PREFECT_HOME), can't be used: {error.strerror}"
        ) from None
    with locked as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another server is starting on {home}; waiting for it …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/api/health").is_success
    except httpx.RequestError:
        return False


def _last_words(log: IO[bytes]) -> str:
    size = os.fstat(log.fileno()).st_size
    end = os.pread(log.fileno(), _READ_BACK, max(0, size - _READ_BACK)).decode(errors="replace")
    lines = [line.strip() for line in end.splitlines() if line.strip()]
    # Below an error of its database, the server writes the SQL in many lines.
    errors = [line for line in lines if _ERROR.match(line)]
    if not lines and os.fstatvfs(log.fileno()).f_bavail == 0:
        return "it wrote nothing, for no space is left where its log is"
    return " ".join(errors[-1:] or lines[-_LAST_LINES:]) or "it wrote nothing"
