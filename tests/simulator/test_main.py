import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from thousandeyes.simulator.__main__ import main

COMMAND = [sys.executable, "-m", "thousandeyes.simulator", "--port", "0"]


@contextmanager
def started(*options: str, token: str | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    environment = {name: value for name, value in os.environ.items() if name != "TE_TOKEN"}
    if token:
        environment["TE_TOKEN"] = token
    with subprocess.Popen(
        [*COMMAND, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout
        greeting = ""
        while "Ctrl-C" not in greeting:
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            greeting += line
        try:
            yield process, greeting
        finally:
            process.kill()


def test_it_tells_where_it_answers_and_ends_cleanly_on_ctrl_c(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("tests: ['202701']\ninstant_limit: 5\n")
    with started("--scenario", str(scenario), "--instant-limit", "2") as (process, greeting):
        variables = dict(line.split("=") for line in greeting.splitlines()[:2])
        reply = httpx.post(
            f"{variables['TE_BASE_URL']}/endpoint/tests/scheduled-tests/202701/run",
            headers={"Authorization": f"Bearer {variables['TE_TOKEN']}"},
        )
        assert reply.headers["X-Instant-Test-Rate-Limit-Limit"] == "2"
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0
        assert process.stderr
        assert process.stderr.read() == ""


def test_a_token_of_ones_own_is_not_printed() -> None:
    with started("--rate-headers", "--hide-instant-tests", token="s3cret") as (_, greeting):
        assert "s3cret" not in greeting
        url = greeting.splitlines()[0].partition("=")[2]
        headers = {"Authorization": "Bearer s3cret"}
        reply = httpx.get(f"{url}/endpoint/tests/scheduled-tests", headers=headers)
        assert reply.json()["tests"] == []
        assert not [name for name in reply.headers if "rate-limit" in name]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--tests", "-1"], "tests must be a number"),
        (["--window-seconds", "soon"], "window_seconds: Input should be a valid number"),
        (["--reset-rounding", "sideways"], "reset_rounding: Input should be 'up' or 'down'"),
        (["--scenario", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_options_that_cannot_be_used_are_told_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert main(["--port", "0", *arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith("simulator: ")
    assert complaint in told
    assert told.count("\n") == 1


def test_a_port_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--port", "99999"])
    assert exited.value.code == 2
    assert "argument --port: a port is a number from 0 to 65535" in capsys.readouterr().err


def test_a_taken_port_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["--port", str(taken.getsockname()[1])]) == 2
    assert "in use" in capsys.readouterr().err
