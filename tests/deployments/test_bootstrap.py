"""`python -m deployments.bootstrap` on real servers: once, again, and where it can't."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.bootstrap import _group, main
from deployments.project import FILE, ROOT, read_deployments
from deployments.steps import Found
from tasks.blocks import EndpointTestGroup
from tests.deployments.scene import client_of, shown
from tests.deployments.topology import TOKEN, Topology

DEPLOYMENTS = [f"deployment {one.full_name}" for one in read_deployments()]
MADE = ("work pool thousandeyes", *DEPLOYMENTS)


@pytest.fixture
def machines(machines: Topology) -> Iterator[Topology]:
    with client_of(machines):
        yield machines


def objects(topology: Topology) -> dict[str, Any]:
    """Return what the API shows of all that bootstrap looks after."""
    blocks = ("block_types", "block_schemas", "block_documents")
    return shown(topology, "work_pools", "deployments", "automations", *blocks)


def stable(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a server changes by itself: whether workers were seen."""
    passing = ("status", "last_polled")
    return {
        kind: [{k: v for k, v in one.items() if k not in passing} for one in many]
        for kind, many in found.items()
    }


def bootstrap(topology: Topology, *arguments: str, **variables: str) -> str:
    done = topology.run("deployments.bootstrap", *arguments, cwd=topology.directory, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_second_time_finds_all_as_it_is_and_changes_nothing(machines: Topology) -> None:
    bootstrap(machines, TE_TOKEN=TOKEN)
    before = objects(machines)
    said = bootstrap(machines, TE_TOKEN=TOKEN).splitlines()
    after = objects(machines)
    found = ("found", "off")
    assert all(line.startswith(found) for line in said[1:]), said
    for what in (*MADE, "block thousandeyes-credentials/thousandeyes"):
        assert any(line.split(maxsplit=1)[1].startswith(what) for line in said[1:]), what
    # With the times of their last update.
    assert stable(before) == stable(after)


async def test_what_was_changed_by_hand_is_set_right_and_a_dry_run_only_says_so(
    machines: Topology,
) -> None:
    async def schedule() -> DeploymentSchedule:
        there = await client.read_deployment_by_name("rerun-endpoint-tests/scheduled")
        return there.schedules[0]

    async with get_client() as client:
        there = await client.read_deployment_by_name("rerun-endpoint-tests/scheduled")
        await client.update_deployment_schedule(there.id, there.schedules[0].id, active=True)
        said = bootstrap(machines, "--dry-run")
        assert "would be changed deployment rerun-endpoint-tests/scheduled (schedules)" in said
        assert (await schedule()).active
        said = bootstrap(machines)
        assert "changed          deployment rerun-endpoint-tests/scheduled (schedules)" in said
        assert not (await schedule()).active


def test_prefect_deploy_from_a_clean_clone_makes_the_same_deployments(
    machines: Topology, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    shutil.copy(FILE, clone)  # one that isn't committed yet is tested too
    done = machines.run("prefect", "--no-prompt", "deploy", "--all", cwd=clone)
    assert done.returncode == 0, done.stdout + done.stderr
    deployed = [line for line in bootstrap(machines).splitlines() if " deployment " in line]
    assert len(deployed) == len(DEPLOYMENTS)
    assert all(line.startswith("found") for line in deployed)


@pytest.mark.servers
def test_without_the_password_it_tells_what_to_set(several_machines: Topology) -> None:
    done = several_machines.run(
        "deployments.bootstrap", cwd=several_machines.directory, PREFECT_API_AUTH_STRING=""
    )
    assert done.returncode == 1
    assert "set PREFECT_API_AUTH_STRING to user:password" in done.stderr


def test_a_server_that_does_not_answer_is_an_error_and_not_another_server(
    one_machine: Topology, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = "http://127.0.0.1:9/api"
    done = one_machine.run(
        "deployments.bootstrap", cwd=one_machine.directory, PREFECT_API_URL=nobody
    )
    assert done.returncode == 1
    assert f"no Prefect server answers at {nobody}" in done.stderr
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert main([]) == 1
    assert "PREFECT_API_URL is not set" in capsys.readouterr().err


@pytest.mark.usefixtures("prefect_server")
async def test_a_group_of_the_file_keeps_the_tests_that_were_created_for_it() -> None:
    there = {"test_ids": ["9"], "names": {"9": "Voice"}, "created": ["9"]}
    await EndpointTestGroup.model_validate(there).save("kept", overwrite=True)
    of_the_file = EndpointTestGroup(test_ids=["1"])
    steps = [await _group("kept", of_the_file, dry_run=False) for _ in range(2)]
    assert [step.found for step in steps] == [Found.DIFFERENT, Found.AS_IT_SHOULD_BE]
    group: EndpointTestGroup = await EndpointTestGroup.aload("kept")
    assert (group.test_ids, group.names) == (["1", "9"], {"9": "Voice"})
