"""`make serve` on one machine: up, a run, and down with Ctrl-C."""

import asyncio
import contextlib
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.deployments import arun_deployment

from deployments.home import ROOT, reserved
from deployments.serve import ServeError, _running, _watch
from tests.benchmarks.processes import environment, free_port
from tests.deployments.scene import client_of, simulated
from tests.deployments.topology import Topology
from tests.docs.pages import clone
from thousandeyes.errors import SettingsError

pytestmark = pytest.mark.servers

NOBODY = "http://127.0.0.1:9"
PASSWORD = "on-call:s3cret"


def test_it_serves_a_run_with_the_token_of_the_dotenv_file_and_stops_with_ctrl_c(
    tmp_path: Path,
) -> None:
    port, project, elsewhere = free_port(), clone(tmp_path / "project"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    with simulated(tests=["202701"]) as (_, settings):
        others = tmp_path / "others.db"
        written = settings | {
            # What the server may be given, and what it may not.
            "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{others}",
        }
        (project / ".env").write_text("".join(f"{k}={v}\n" for k, v in written.items()))
        env = environment(
            tmp_path / "of-the-user",
            # A user's own profile, which it must leave alone, and proxies that nobody runs.
            PREFECT_API_URL=NOBODY,
            http_proxy=NOBODY,
            HTTPS_PROXY=NOBODY,
            no_proxy="example.org",
            PYTHONPATH=str(project),
        )
        del env["NO_PROXY"]
        serving = subprocess.Popen(
            [sys.executable, "-m", "deployments.serve", "--port", str(port)],
            cwd=elsewhere,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            assert serving.stdout
            said = []
            for line in serving.stdout:
                said.append(line)
                if "started!" in line:
                    break
            with client_of(Topology(tmp_path, port, auth=PASSWORD)):
                starting = arun_deployment(
                    "rerun-endpoint-tests/on-demand",
                    parameters={"test_ids": ["202701"]},
                    poll_interval=0.5,
                    timeout=300,
                )
                run = asyncio.run(starting)
            assert_guarded(port, project / ".prefect", PASSWORD)
            assert_reserved(port, project / ".prefect")
            assert not others.exists()
            assert run.state, "".join(said)
            assert run.state.message == "1 of 1 tests accepted.", "".join(said)
            [server] = servers(project / ".prefect")
            assert settings["TE_TOKEN"] not in server
            serving.send_signal(signal.SIGINT)
            rest = serving.communicate(timeout=300)[0]
        finally:
            if serving.poll() is None:
                os.killpg(serving.pid, signal.SIGKILL)
    assert serving.returncode == 0, rest
    assert rest.rstrip().endswith("Stopped.")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/api/health", trust_env=False)
    assert not (tmp_path / "of-the-user").exists()


CHOSEN = {
    "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
    "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "https://prefect.example.net",
    "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": "86400",
}
OF_THE_USER = {"PREFECT_API_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:////other.db"}


def assert_guarded(port: int, home: Path, password: str) -> None:
    """No page of another site can use the server, and no other user can read what it keeps."""
    url = f"http://127.0.0.1:{port}/api"
    assert httpx.get(f"{url}/admin/version", trust_env=False).status_code == 401
    foreign = {"Origin": "http://127.0.0.1:1"}
    user = httpx.BasicAuth(*password.split(":"))
    read = httpx.post(f"{url}/block_documents/filter", auth=user, headers=foreign, trust_env=False)
    assert "access-control-allow-origin" not in read.headers
    assert read.status_code == 403, "it wants a CSRF token"
    own = {"Origin": f"http://localhost:{port}"}
    asked = httpx.get(f"{url}/health", headers=own, trust_env=False)
    assert asked.headers["access-control-allow-origin"] == own["Origin"]
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def assert_reserved(port: int, home: Path) -> None:
    """Nobody else can use the home, and whoever tries is told which processes do."""
    with pytest.raises(SettingsError) as refused, reserved(home):
        pass
    words = rf"process (\d+), port {port}; its worker is process (\d+)\. Use"
    told = re.search(words, str(refused.value))
    assert told, refused.value
    server, worker = (Path(f"/proc/{pid}/cmdline").read_text() for pid in told.groups())
    assert "tasks.guarded_server" in server
    assert "worker\0start" in worker


def servers(home: Path) -> list[str]:
    """Return the environment of each server that lives in this home."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            text = (process / "environ").read_text()
            is_server = b"tasks.guarded_server" in (process / "cmdline").read_bytes()
            if is_server and f"PREFECT_HOME={home}\0" in text:
                found.append(text)
    return found


def test_a_port_that_is_taken_is_told(tmp_path: Path, one_machine: Topology) -> None:
    done = one_machine.run(
        *("deployments.serve", "--port", str(one_machine.port), "--home", str(tmp_path / "home")),
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert f"port {one_machine.port} is in use" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_in_the_background_of_a_script_it_ends_by_any_signal_and_takes_its_server_with_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    home, port = tmp_path / "home", free_port()
    serve = ("-m", "deployments.serve", "--port", str(port), "--home", str(home))
    with subprocess.Popen(
        [sys.executable, *serve],
        cwd=ROOT,
        env=environment(tmp_path / "of-the-user", **CHOSEN, **OF_THE_USER),
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        # As a shell without job control starts what stands before its "&".
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509
    ) as serving:
        try:
            assert serving.stdout
            assert "Starting Prefect at" in serving.stdout.readline()
            while not servers(home):
                assert serving.poll() is None
                time.sleep(0.1)
            [server] = servers(home)
            serving.send_signal(number)
            said = serving.communicate(timeout=300)[0]
        finally:
            serving.kill()
    assert (serving.returncode, said) == (0, "Stopped.\n")
    assert servers(home) == []
    variables = dict(line.split("=", 1) for line in server.split("\0") if line)
    assert variables.items() >= CHOSEN.items()
    assert not variables.keys() & OF_THE_USER.keys()


def test_a_process_that_ends_by_itself_is_told_with_its_status() -> None:
    lasting = [sys.executable, "-c", "import time; time.sleep(30)"]
    with subprocess.Popen(lasting) as server, subprocess.Popen(["false"]) as worker:
        with pytest.raises(ServeError, match=r"^the worker has ended with status 1$"):
            _watch((server, "server"), (worker, "worker"))
        server.kill()


def test_a_signal_while_a_process_starts_leaves_none_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with (
        pytest.raises(KeyboardInterrupt),
        _running(("http.server", str(free_port())), dict(os.environ), None, tmp_path),
    ):
        pass
    [process] = started
    assert process.poll() == -signal.SIGTERM
