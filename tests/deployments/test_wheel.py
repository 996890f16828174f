"""What a foreign project gets that installs this one, and has folders of the same names itself."""

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from deployments.wheel import PACKAGES, modules, under_one_name
from tests.deployments.scene import simulated
from tests.deployments.topology import Topology, on_sqlite
from tests.flows.scene import sent

# In one process of the tests, which then builds the wheel once.
pytestmark = pytest.mark.xdist_group("wheel")

ROOT = Path(__file__).parents[2]
NAMES = modules(ROOT)
IDS = ["202801", "202802"]

THEIR_FLOW = """
import asyncio
import sys

from prefect import flow

import deployments
import tasks
from prefect_thousandeyes.flows.rerun import rerun_endpoint_tests

assert (deployments.WHOSE, tasks.WHOSE) == ("theirs", "theirs")


@flow
async def after_the_maintenance(test_ids: list[str]) -> list[str]:
    return [one.test_id for one in await rerun_endpoint_tests(test_ids)]


if __name__ == "__main__":
    print(asyncio.run(after_the_maintenance(sys.argv[1:])))
"""

# Prefect's own look comes first, when nothing of ours has been imported.
LOOKS = f"""
import json, pkgutil, sys
from prefect.plugins import load_prefect_collections
found = load_prefect_collections()["prefect_thousandeyes"]
blocks = f"{{found.__name__}} {{found.ThousandEyesCredentials.__name__}}"
import prefect_thousandeyes as ours
from prefect_thousandeyes.deployments.home import HOME
for one in pkgutil.walk_packages(ours.__path__, "prefect_thousandeyes."):
    if not one.name.endswith(("__main__", ".deployments.wheel")):
        __import__(one.name)
print(json.dumps([blocks, str(HOME), [name for name in {PACKAGES!r} if name in sys.modules]]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel, and the libraries that it needs."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--target", packages, ROOT], check=True
    )
    # What lies there is found. Its .pth files, of which one leads to the checkout, are not read.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin" / "python"


def with_the_three_folders(project: Path) -> Path:
    for name in ("deployments", "flows", "tasks"):
        (project / name).mkdir()
        (project / name / "__init__.py").write_text('WHOSE = "theirs"\n')
    (project / "flows" / "maintenance.py").write_text(THEIR_FLOW)
    return project


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A project that has the three folders, too."""
    return with_the_three_folders(tmp_path)


class Seen(NamedTuple):
    """What one process sees in a foreign project: it takes long to import all there is."""

    project: Path
    blocks: str
    home: str
    other_names: list[str]


@pytest.fixture(scope="module")
def seen(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    project = with_the_three_folders(tmp_path_factory.mktemp("foreign"))
    return Seen(project, *json.loads(run(python, "-c", LOOKS, cwd=project)))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    with on_sqlite(tmp_path_factory.mktemp("server")) as topology:
        yield topology


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("from flows.runs import ending", "from prefect_thousandeyes.flows.runs import ending"),
        ("from flows import restart", "from prefect_thousandeyes.flows import restart"),
        ("entrypoint: flows.rerun.it", "entrypoint: prefect_thousandeyes.flows.rerun.it"),
        ("`python -m thousandeyes tests`", "`python -m prefect_thousandeyes.thousandeyes tests`"),
        ("https://api.thousandeyes.com/v7", "https://api.thousandeyes.com/v7"),
        ("client.deployments.deploy()", "client.deployments.deploy()"),
        ("deployments/groups.yaml", "deployments/groups.yaml"),
        ("flows.run is none of ours", "flows.run is none of ours"),
    ],
)
def test_modules_are_named_as_in_a_wheel_and_nothing_else_is(here: str, there: str) -> None:
    assert under_one_name(here, NAMES) == there
    assert under_one_name(there, NAMES) == there


def test_prefect_finds_the_blocks_in_a_project_with_tasks_of_its_own(seen: Seen) -> None:
    assert seen.blocks == "prefect_thousandeyes.tasks.blocks ThousandEyesCredentials"


def test_serve_and_demo_keep_what_they_record_where_they_are_started(seen: Seen) -> None:
    assert seen.home == str(seen.project / ".prefect")


def test_every_module_is_imported_under_one_name_and_no_other(seen: Seen) -> None:
    assert seen.other_names == []


def test_type_checkers_find_that_it_is_typed(python: Path) -> None:
    [top] = python.parents[1].glob("lib/python*/site-packages/prefect_thousandeyes")
    assert (top / "py.typed").is_file()
    assert (top / "__init__.py").is_file()


@pytest.mark.parametrize(
    "module", ["thousandeyes", "flows.rerun", "deployments.bootstrap", "deployments.serve"]
)
def test_a_command_tells_the_name_that_it_has_there(
    python: Path, foreign: Path, module: str
) -> None:
    said = run(python, "-m", f"prefect_thousandeyes.{module}", "--help", cwd=foreign)
    assert f"python -m prefect_thousandeyes.{module}" in said


@pytest.mark.servers
def test_a_flow_of_theirs_runs_ours_as_a_subflow(
    python: Path, foreign: Path, server: Topology
) -> None:
    with simulated(tests=IDS) as (simulator, variables):
        env = server.environment(**variables)
        said = run(python, "-m", "flows.maintenance", *IDS, cwd=foreign, env=env)
        assert sent(simulator) == dict.fromkeys(IDS, 1)
    assert said.endswith(str(IDS))


@pytest.mark.servers
def test_its_deployments_are_made_from_the_wheel_and_run_by_a_worker_in_their_folder(
    python: Path, foreign: Path, server: Topology
) -> None:
    env = server.environment()
    said = run(python, "-m", "prefect_thousandeyes.deployments.bootstrap", cwd=foreign, env=env)
    assert "rerun-endpoint-tests/on-demand" in said
    deployment = "rerun-endpoint-tests/on-demand"
    prefect = (python, "-m", "prefect")
    asked = ("-p", f'test_ids=["{IDS[0]}"]')
    run(*prefect, "deployment", "run", deployment, *asked, cwd=foreign, env=env)
    with simulated(tests=IDS) as (simulator, variables):
        worker = ("worker", "start", "--pool", "thousandeyes", "--run-once")
        run(*prefect, *worker, cwd=foreign, env=env | variables)
        assert sent(simulator) == {IDS[0]: 1}


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PREFECT_HOME": str(cwd / "home")} | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()
