"""A Prefect server on this machine: waited for while it lives, and gone with who started it."""

import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from flows.rerun.command_line import main
from tasks import server
from tasks.server import ServerNotStarted, wait_until_up
from tests.benchmarks.processes import environment, free_port
from thousandeyes.simulator import create_app, serve
from thousandeyes.simulator.server import listen

TOKEN = "tkn-5ecret-0f-the-tests"
NOBODY = "http://127.0.0.1:9"


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@contextlib.contextmanager
def child(*python: str) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    with tempfile.TemporaryFile() as log:
        started = subprocess.Popen(
            [sys.executable, "-c", *python],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield started, log
        finally:
            started.kill()
            started.wait()


class TestWaiting:
    def test_goes_on_as_long_as_the_server_lives_and_says_so(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, "_TOLD_EVERY", 0.0)
        port, told = free_port(), []
        started: list[ThreadingHTTPServer] = []

        def say(words: str) -> None:
            told.append(words)
            if len(told) == 3:  # by now it has been waited for
                started.append(ThreadingHTTPServer(("127.0.0.1", port), Healthy))
                threading.Thread(target=started[0].serve_forever, daemon=True).start()

        with child("input()") as (alive, log):
            wait_until_up(f"http://127.0.0.1:{port}", alive, log, say)
        started[0].shutdown()
        started[0].server_close()
        assert re.fullmatch(r"Prefect's server is still starting, after \d+ s …", told[0])

    def test_ends_with_the_last_words_of_a_server_that_dies(self) -> None:
        with child("import sys; print('starts'); print(); sys.exit('the disk is full')") as (
            dying,
            log,
        ):
            with pytest.raises(ServerNotStarted) as caught:
                wait_until_up(f"http://127.0.0.1:{free_port()}", dying, log, lambda _: None)
        assert str(caught.value) == (
            "Prefect's server ended with status 1 while starting: starts the disk is full"
        )

    def test_of_many_lines_tells_the_last_error(self) -> None:
        lines = "sqlite3.OperationalError: the disk is full\n[SQL:\nDROP TABLE x\n]\nExiting."
        with child(f"import sys; sys.exit({lines!r})") as (dying, log):
            with pytest.raises(ServerNotStarted) as caught:
                wait_until_up(f"http://127.0.0.1:{free_port()}", dying, log, lambda _: None)
        assert str(caught.value).endswith("starting: sqlite3.OperationalError: the disk is full")

    def test_gives_up_one_that_lives_and_never_answers(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, "LONGEST_START", 0.0)
        url = f"http://127.0.0.1:{free_port()}"
        with child("input()") as (silent, log):
            with pytest.raises(ServerNotStarted, match=f"does not answer at {url} after 0 s: "):
                wait_until_up(url, silent, log, lambda _: None)


def rerun(home: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start the command line as a user would, with no Prefect server to go to."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows.rerun", *arguments],
        cwd=home,
        env=environment(home / "prefect", **variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.prefect
def test_nobody_else_can_take_its_port_while_it_starts(tmp_path: Path) -> None:
    run = rerun(tmp_path, "202701", TE_TOKEN=TOKEN, TE_BASE_URL=NOBODY)
    assert run.stderr
    found = re.search(r":(\d+) …", run.stderr.readline())
    assert found
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(("127.0.0.1", int(found[1])))
    run.kill()
    run.communicate()


@pytest.mark.prefect
def test_one_that_can_not_start_ends_a_run_with_one_sentence(tmp_path: Path) -> None:
    database = "sqlite+aiosqlite:////nowhere/at/all.db"
    run = rerun(tmp_path, "1", TE_TOKEN=TOKEN, PREFECT_SERVER_DATABASE_CONNECTION_URL=database)
    _, said = run.communicate()
    assert run.returncode == 3
    [starting, *waiting, error] = said.splitlines()
    assert starting.startswith("Prefect is starting a temporary server at http://127.0.0.1:")
    assert all("is still starting, after" in line for line in waiting), "on a busy machine"
    assert error.startswith("error: Prefect's server ended with status 3 while starting: ")
    assert "unable to open database file" in error


def test_a_home_that_is_no_folder_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TE_TOKEN", TOKEN)
    home = tmp_path / "home"
    home.write_text("")
    with temporary_settings({PREFECT_HOME: home}, restore_defaults={PREFECT_API_URL}):
        assert main(["1"]) == 2
    assert capsys.readouterr().err == (
        f"error: {home}, the home of Prefect (PREFECT_HOME), can't be used: File exists\n"
    )


@pytest.mark.prefect
def test_a_run_reaches_loopback_past_every_proxy_and_all_of_it_is_recorded(
    tmp_path: Path, prefect_database: Path
) -> None:
    (tmp_path / "prefect").mkdir()
    shutil.copy(prefect_database, tmp_path / "prefect" / "prefect.db")
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "ws_proxy")
    proxies = dict.fromkeys(names, NOBODY)
    with serve(create_app(tests=["202701"], token=TOKEN)) as simulator:
        variables = {"TE_TOKEN": TOKEN, "TE_BASE_URL": simulator.url, "no_proxy": "example.org"}
        run = rerun(tmp_path, "202701", NO_PROXY="", **variables, **proxies)
        said, problems = run.communicate()
    assert run.returncode == 0, said + problems
    with contextlib.closing(sqlite3.connect(tmp_path / "prefect" / "prefect.db")) as database:
        [states] = database.execute("SELECT state_name FROM task_run").fetchall()
    # Prefect's events bring it there, by a WebSocket.
    assert states == ("Completed",)


def refusal(directory: Path, *command: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=directory,
        env=environment(directory, TE_TOKEN=TOKEN, **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("flows.rerun", "1"),
        ("deployments.bootstrap",),
        ("deployments.demo",),
        ("deployments.serve", "--home", "home"),
        ("thousandeyes", "tests"),
    ],
    ids=lambda command: str(command[0]),
)
def test_variables_that_no_client_can_use_are_told_before_anything_starts(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    # Prefect stumbles over the second when it is imported.
    wrong = {"https_proxy": "gopher://user:s3cret@proxy", "SSL_CERT_FILE": "/nowhere/s3cret.pem"}
    said = refusal(tmp_path, *command, **wrong)
    assert said == "error: https_proxy or SSL_CERT_FILE has an unusable value\n"


def test_an_address_that_is_empty_is_told_and_not_taken_for_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TE_TOKEN", TOKEN)
    with temporary_settings({PREFECT_API_URL: ""}):
        assert main(["1"]) == 2
    assert capsys.readouterr() == (
        "",
        "error: PREFECT_API_URL is empty: unset it, or set it to your Prefect server's address\n",
    )


@pytest.mark.servers
def test_one_that_is_killed_is_started_again_and_nothing_is_lost(tmp_path: Path) -> None:
    tests = [str(202_701 + number) for number in range(8)]
    with serve(create_app(tests=tests, token=TOKEN, latency_seconds=0.5)) as simulator:
        variables = {"TE_TOKEN": TOKEN, "TE_BASE_URL": simulator.url}
        run = rerun(tmp_path, *tests, "--max-in-flight", "1", **variables)
        assert run.stderr
        assert next(line for line in run.stderr if "accepted" in line)
        [server] = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        os.kill(int(server), signal.SIGKILL)
        said, problems = run.communicate()
    assert run.returncode == 0, problems
    assert "Prefect's temporary server ended with status -9, and is being restarted …" in problems
    assert said.endswith("Passed. 8 of 8 tests accepted.\n")
    with contextlib.closing(sqlite3.connect(tmp_path / "prefect" / "prefect.db")) as database:
        keys = database.execute("SELECT key FROM artifact WHERE key LIKE 'endpoint-test-%'")
        assert sorted(keys.fetchall()) == [(f"endpoint-test-{test_id}",) for test_id in tests]


def taken(port: int) -> socket.socket:
    while True:
        with contextlib.suppress(OSError):  # its server may not be quite gone yet
            return listen(port)


@pytest.mark.servers
def test_one_whose_port_somebody_takes_when_it_ends_is_told_of(tmp_path: Path) -> None:
    with serve(create_app(tests=["202701"], token=TOKEN, latency_seconds=600)) as simulator:
        run = rerun(tmp_path, "202701", TE_TOKEN=TOKEN, TE_BASE_URL=simulator.url)
        assert run.stderr
        found = re.search(r":(\d+) …", run.stderr.readline())
        assert found
        assert next(line for line in run.stderr if "Beginning flow run" in line)
        [server] = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        os.kill(run.pid, signal.SIGSTOP)  # or it would be the first to take the port again
        os.kill(int(server), signal.SIGKILL)
        with taken(int(found[1])):
            os.kill(run.pid, signal.SIGCONT)
            assert next(line for line in run.stderr if "can't be restarted (Address alr" in line)
        run.kill()
        run.communicate()


@pytest.mark.servers
def test_two_runs_that_start_at_once_on_a_new_home_both_pass(tmp_path: Path) -> None:
    with serve(create_app(tests=["202701"], token=TOKEN)) as simulator:
        variables = {"TE_TOKEN": TOKEN, "TE_BASE_URL": simulator.url}
        runs = [rerun(tmp_path, "202701", **variables) for _ in range(2)]
        said = [run.communicate()[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert sum("Another server is starting on" in words for words in said) == 1


@pytest.mark.servers
def test_it_answers_no_other_site_and_ends_with_a_run_that_is_killed(tmp_path: Path) -> None:
    with serve(create_app(tests=["202701"], token=TOKEN, latency_seconds=600)) as simulator:
        run = rerun(tmp_path, "202701", TE_TOKEN=TOKEN, TE_BASE_URL=simulator.url)
        assert run.stderr
        found = re.search(r"http://[\d.:]+", run.stderr.readline())
        assert found
        assert next(line for line in run.stderr if "Beginning flow run" in line)
        health = f"{found[0]}/api/health"
        assert httpx.get(health, trust_env=False).is_success
        foreign = httpx.get(health, headers={"Origin": "http://evil.example"}, trust_env=False)
        assert foreign.status_code == 403
        os.kill(run.pid, signal.SIGKILL)
        run.communicate()
    with contextlib.suppress(httpx.TransportError):
        while True:
            httpx.get(health, trust_env=False)
