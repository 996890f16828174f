"""One machine or several, from ordinary processes: a Prefect server, its database, workers.

What the docs tell to do for one machine and for more, done on loopback: SQLite and no password,
or PostgreSQL with basic auth on the API; any number of workers, each in a directory of its own.
Nothing is left behind: each process is ended by its ID, and its log is shown when it fails.
"""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import httpx

from deployments.environments import OF_THE_SERVER
from tests.benchmarks.processes import environment, free_port, running, tail

TOKEN: Final = "tkn-0f-the-workers-environment"
PASSWORD: Final = "night:watch-5ecret"
"""What basic auth on the API of a server on PostgreSQL asks for, as `user:password`."""

_SECONDS_TO_START = 600
_SOONER: Final = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
}


def postgresql() -> Path | None:
    """Return where PostgreSQL's programs lie, the newest version of Debian's; None without it."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda path: float(path.parts[-3]), default=None)
    return newest.parent if newest else None


@dataclass
class Topology:
    """A Prefect server and its workers, which run until the block that starts them ends."""

    directory: Path
    port: int
    auth: str | None = None
    database_url: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    process_id: int = 0
    """The server's, and its group's, from its start on."""
    _server: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self.stop)
            self.start()
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The server's address, which is the UI's too."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of a client of this server, with nothing of the user's."""
        ours = {"PREFECT_API_URL": f"{self.url}/api"}
        if self.auth:
            ours["PREFECT_API_AUTH_STRING"] = self.auth
        env = environment(self.directory / "home", **ours)
        del env["PYTHONPATH"]  # the project is installed, wherever a process runs
        return env | variables

    def start(self) -> None:
        """Start the server as `make serve` does, or as the docs tell, and wait until it answers."""
        several = ("prefect", "server", "start", "--host", "127.0.0.1")
        command = several if self.database_url else ("tasks.guarded_server",)
        process = self._server.enter_context(
            running(
                *(*command, "--port", str(self.port)),
                directory=self.directory,
                env=self.server_environment(),
                name="server",
            )
        )
        self.process_id = process.pid
        self._wait(self._healthy, process, "server")

    def server_environment(self) -> dict[str, str]:
        """Return the environment of the server."""
        env = self.environment(
            PREFECT_UI_URL=self.url,
            PREFECT_SERVER_UI_API_URL=f"{self.url}/api",
            PREFECT_UI_STATIC_DIRECTORY=str(self.directory / "ui"),
            PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED="events,flow_runs",
            **(OF_THE_SERVER | dict(self.settings) | _SOONER),
        )
        # A server is no client of its own.
        del env["PREFECT_API_URL"]
        if auth := env.pop("PREFECT_API_AUTH_STRING", None):
            env["PREFECT_SERVER_API_AUTH_STRING"] = auth
        if self.database_url:
            env["PREFECT_API_DATABASE_CONNECTION_URL"] = self.database_url
            env["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = self.url
        return env

    def stop(self) -> None:
        """Stop the server; its database stays."""
        self._server.close()

    @contextlib.contextmanager
    def worker(self, name: str, **variables: str) -> Iterator[Path]:
        """Run a process worker in a directory of its own, until the block ends.

        What it is given for the runs, `TE_…`, stands in a file that its environment names, as the
        docs tell.

        Yields:
            The directory.
        """
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        for_runs = [f"{k}={v}\n" for k, v in variables.items() if k.startswith("TE_")]
        (env_file := directory / "thousandeyes.env").write_text("".join(for_runs))
        env = self.environment(
            PREFECT_HOME=str(directory / "home"),  # another machine's
            PREFECT_WORKER_QUERY_SECONDS="1",
            PREFECT_WORKER_PREFETCH_SECONDS="0",
            TE_ENV_FILE=str(env_file),
            **{k: v for k, v in variables.items() if not k.startswith("TE_")},
        )
        command = ("prefect", "worker", "start", "--pool", "thousandeyes", "--name", name)
        with running(*command, directory=directory, env=env, name="worker") as process:
            self._wait(
                lambda: "started!" in tail(directory, "worker"), process, "worker", directory
            )
            yield directory

    def run(self, *module: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m …` against the server and return what it said; it must end by itself."""
        return subprocess.run(
            [sys.executable, "-m", *module],
            cwd=cwd,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS_TO_START,
            check=False,
        )

    def logs(self) -> str:
        """Return all that its processes said."""
        return "\n".join(
            path.read_text(errors="replace") for path in sorted(self.directory.rglob("*.log"))
        )

    def _healthy(self) -> bool:
        # Health needs no password; whether the API takes ours, the tests see.
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/api/health").is_success
        return False

    def _wait(
        self,
        condition: Callable[[], bool],
        process: subprocess.Popen[bytes],
        name: str,
        directory: Path | None = None,
    ) -> None:
        until = time.monotonic() + _SECONDS_TO_START
        while not condition():
            if process.poll() is not None or time.monotonic() > until:
                said = tail(directory or self.directory, name)
                raise RuntimeError(f"the {name} did not start:\n{said}")
            time.sleep(0.1)


@contextlib.contextmanager
def on_sqlite(directory: Path) -> Iterator[Topology]:
    """Run what one machine runs: a server on SQLite, without a password."""
    with Topology(directory, free_port()) as topology:
        yield topology


@contextlib.contextmanager
def on_postgresql(directory: Path, database: "Database | None" = None) -> Iterator[Topology]:
    """Run what several machines share: a server on PostgreSQL, with basic auth on its API.

    Args:
        directory: Where the server runs.
        database: One that runs already; else one of its own.
    """
    with contextlib.ExitStack() as stack:
        url = (database or stack.enter_context(Database())).url
        yield stack.enter_context(Topology(directory, free_port(), auth=PASSWORD, database_url=url))


class Database:
    """PostgreSQL with a new, empty database, until the block that starts it ends.

    It refuses to run as root, and runs as `postgres` then.
    """

    def __enter__(self) -> Self:
        programs = postgresql()
        assert programs, "PostgreSQL is not installed"
        self._programs = programs
        self._user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        self._port = free_port()
        self._env = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        with ExitStack() as stack:
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="postgresql-"))
            shutil.chown(home, self._user)
            self._home = Path(home)
            # As the docs tell. By the locale: SQL_ASCII, which takes no `\u2060` in JSON.
            options = ("--username", self._user, "--auth", "trust", "--encoding", "UTF8")
            subprocess.run(
                (programs / "initdb", "-D", self._home / "data", *options),
                **self._as_its_user(),
                check=True,
                capture_output=True,
            )
            stack.callback(self.stop)
            self.start()
            self._left = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.close()

    @property
    def url(self) -> str:
        """What a Prefect server calls it."""
        return f"postgresql+asyncpg://{self._user}@127.0.0.1:{self._port}/postgres"

    @property
    def process_id(self) -> int:
        """Its first process, which starts all others."""
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = self._home / "postgresql.log"
        listen = ("-k", self._home, "-h", "127.0.0.1", "-p", str(self._port))
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                (self._programs / "postgres", "-D", self._home / "data", *listen),
                **self._as_its_user(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + _SECONDS_TO_START
        while not listens(self._port):
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it; its data stays until the block ends."""
        self._process.send_signal(signal.SIGINT)  # its "fast shutdown", which waits for no client
        self._process.wait(_SECONDS_TO_START)

    def _as_its_user(self) -> dict[str, Any]:
        return {"user": self._user, "cwd": self._home, "env": self._env}


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port of the loopback interface."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False
