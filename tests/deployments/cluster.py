"""Several API servers behind one address, from ordinary processes.

HAProxy has the address. Behind it stand the API servers, each in a home of its own as on machines
of their own, and the background services run once. PostgreSQL holds the data; through Redis servers
and services tell one another what happens.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import httpx

from tests.benchmarks.processes import ROOT, free_port, started
from tests.deployments.topology import PASSWORD, Database, Topology, listens

HAPROXY: Final = Path("/usr/sbin/haproxy")
REDIS: Final = Path("/usr/bin/redis-server")
SERVERS: Final = ("first", "second")
"""The API servers; the other parts are `redis`, `services` and `haproxy`."""

_PREFECT: Final = (sys.executable, "-m", "prefect")
_PAGE: Final = ROOT / "docs" / "several-servers.md"
"""What it tells is what runs here: its variables, its commands, and its file for HAProxy."""


def _block(language: str, number: int = 1) -> str:
    """Return one of the page's blocks in a language."""
    return _PAGE.read_text().split(f"```{language}\n")[number].split("```", 1)[0]


def _told(what: str) -> tuple[str, ...]:
    """Return the page's command of Prefect that has these words."""
    told = _block("sh", 2).replace("--host 0.0.0.0", "--host 127.0.0.1")
    [line] = [line for line in told.splitlines() if what in line]
    return (*_PREFECT, *line.split()[1:])


@dataclass
class Cluster(Topology):
    """What a `Topology` is, with two API servers in place of one."""

    _ports: dict[str, int] = field(default_factory=dict)
    _parts: dict[str, tuple[subprocess.Popen[bytes], ExitStack]] = field(default_factory=dict)

    def start(self) -> None:
        """Start all its parts, and wait until they answer."""
        self._ports = {name: free_port() for name in ("redis", *SERVERS)} | {"haproxy": self.port}
        self.begin("redis")
        # One alone makes the tables and the types of blocks: two at a time end in a duplicate key.
        first, *others = SERVERS
        self.begin(first)
        self.begin("services", *others)
        self.begin("haproxy")

    def stop(self) -> None:
        """Stop all its parts; the database stays."""
        for name in reversed(list(self._parts)):
            self.end(name)

    def begin(self, *names: str) -> None:
        """Start these parts side by side, and wait until they answer."""
        for name in names:
            home = self.directory / name
            home.mkdir(exist_ok=True)
            stack = ExitStack()
            command = self._command(name)
            env = self._environment_in(home)
            process = stack.enter_context(started(*command, directory=home, env=env, name=name))
            self._parts[name] = process, stack
        for name in names:
            process, home = self._parts[name][0], self.directory / name
            self._wait(partial(self._answers, name), process, name, home)

    def end(self, name: str) -> None:
        """End a part, as its machine's shutdown does."""
        self._parts.pop(name)[1].close()

    def kill(self, name: str) -> None:
        """End a part, which gets no chance to do anything about it."""
        os.killpg(self._parts[name][0].pid, signal.SIGKILL)
        self.end(name)

    def _environment_in(self, home: Path) -> dict[str, str]:
        """Return the environment of a server on another machine, of which it has a directory."""
        told = _block("sh").replace("redis.example.net:6379", f"127.0.0.1:{self._ports['redis']}")
        shared = dict(re.findall(r"^export (\w+)=(.*)$", told, re.MULTILINE))
        homes = {"PREFECT_HOME": home / "home", "PREFECT_UI_STATIC_DIRECTORY": home / "ui"}
        return super().server_environment() | shared | {k: str(v) for k, v in homes.items()}

    def _command(self, name: str) -> tuple[str, ...]:
        port = str(self._ports.get(name))
        if name == "redis":
            return (str(REDIS), "--port", port, "--bind", "127.0.0.1", "--appendonly", "yes")
        if name == "services":
            return _told("server services")
        if name == "haproxy":
            told = _block("haproxy").replace("bind :4200", f"bind 127.0.0.1:{port}")
            for server in SERVERS:
                address = f"127.0.0.1:{self._ports[server]}"
                told = told.replace(f"{server}.example.net:4200", address)
            (file := self.directory / name / "haproxy.cfg").write_text(told)
            return (str(HAPROXY), "-db", "-f", str(file))
        return (*_told("server start"), "--port", port)

    def _answers(self, name: str) -> bool:
        if name == "services":  # which nobody asks anything
            return True
        if name == "redis":
            return listens(self._ports[name])
        with contextlib.suppress(httpx.TransportError):
            ready = f"http://127.0.0.1:{self._ports[name]}/api/ready"
            return httpx.get(ready, trust_env=False).is_success
        return False


@contextlib.contextmanager
def on_several_servers(directory: Path) -> Iterator[Cluster]:
    """Run two API servers behind one address, with basic auth, on a PostgreSQL of their own."""
    with (
        Database() as database,
        Cluster(directory, free_port(), auth=PASSWORD, database_url=database.url) as cluster,
    ):
        yield cluster
