"""The token of a block, and that of a worker: in nothing that the Prefect server shows."""

import json
from typing import Any

import pytest
from prefect.deployments import arun_deployment

from tests.deployments.scene import client_of, shown, simulated, until
from tests.deployments.topology import TOKEN, Topology
from tests.flows.rerun.test_secrecy import forms
from thousandeyes.simulator import Fault

KINDS = (
    *("work_pools", "deployments", "automations", "variables"),
    *("block_types", "block_schemas", "block_documents"),
    *("flow_runs", "task_runs", "logs", "artifacts", "events"),
)
# The API sends the token back, and then refuses it.
FAULTS = {"202701": Fault(replies=["echo"]), "202702": Fault(replies=[401])}


@pytest.mark.servers
@pytest.mark.parametrize("of_a_block", [True, False], ids=["of a block", "of the worker"])
async def test_the_token_is_shown_nowhere(machines: Topology, of_a_block: bool) -> None:  # noqa: FBT001
    with simulated(tests=list(FAULTS), faults=FAULTS) as (_, env), client_of(machines):
        done = machines.run("deployments.bootstrap", cwd=machines.directory, **env)
        assert done.returncode == 0, done.stderr
        with machines.worker("secretive", **({} if of_a_block else env)) as directory:
            run = await arun_deployment(
                "rerun-endpoint-tests/on-demand",
                parameters={
                    "test_ids": list(FAULTS),
                    "credentials": "thousandeyes" if of_a_block else None,
                },
                poll_interval=0.5,
                timeout=300,
            )

            async def logged() -> dict[str, Any] | None:
                found = shown(machines, *KINDS)
                mine = [log for log in found["logs"] if log["flow_run_id"] == str(run.id)]
                return found if any("Finished in" in log["message"] for log in mine) else None

            found = await until(logged)
    assert run.state
    assert "forbidden" in str(run.state.message)
    said = done.stdout + (directory / "worker.log").read_text() + machines.logs()
    text = (json.dumps(found) + said).encode()
    assert b"thousandeyes-credentials" in text
    assert [form for form in forms(TOKEN) if form in text] == []
