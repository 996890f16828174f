"""`make serve` on one machine: up, a run, and down with Ctrl-C."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from prefect.deployments import arun_deployment

from tests.benchmarks.processes import environment, free_port
from tests.deployments.scene import client_of, simulated
from tests.deployments.topology import Topology

pytestmark = pytest.mark.servers


def test_it_serves_a_run_and_stops_with_ctrl_c(tmp_path: Path) -> None:
    port = free_port()
    home = tmp_path / "home"
    with simulated(tests=["202701"]) as (_, env):
        serving = subprocess.Popen(
            [sys.executable, "-m", "deployments.serve", "--port", str(port), "--home", str(home)],
            cwd=tmp_path,
            # A user's own profile, which it must leave alone.
            env=environment(tmp_path / "of-the-user", PREFECT_API_URL="http://127.0.0.1:9", **env),
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
            with client_of(Topology(tmp_path, port)):
                starting = arun_deployment(
                    "rerun-endpoint-tests/on-demand",
                    parameters={"test_ids": ["202701"]},
                    poll_interval=0.5,
                    timeout=120,
                )
                run = asyncio.run(starting)
            assert run.state, "".join(said)
            assert run.state.message == "1 of 1 tests accepted.", "".join(said)
            serving.send_signal(signal.SIGINT)
            rest = serving.communicate(timeout=90)[0]
        finally:
            if serving.poll() is None:
                os.killpg(serving.pid, signal.SIGKILL)
    assert serving.returncode == 0, rest
    assert rest.rstrip().endswith("Stopped.")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/api/health", trust_env=False)
    assert not (tmp_path / "of-the-user").exists()


def test_a_port_that_is_taken_is_told(tmp_path: Path, one_machine: Topology) -> None:
    done = one_machine.run(
        *("deployments.serve", "--port", str(one_machine.port), "--home", str(tmp_path / "home")),
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert f"port {one_machine.port} is taken" in done.stdout
