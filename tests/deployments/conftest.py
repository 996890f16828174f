"""A Prefect server on one machine, one for several, and several of them, each started once."""

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.deployments.browser import CHROMIUM
from tests.deployments.cluster import HAPROXY, REDIS, Cluster, on_several_servers
from tests.deployments.topology import Database, Topology, on_postgresql, on_sqlite, postgresql


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the processes said where a test that uses them fails."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for name, value in item.funcargs.items():
            if isinstance(value, Topology):
                report.sections.append((f"processes of {name}", value.logs()[-20_000:]))
    return report


def _needed(there: object, what: str) -> None:
    """Leave a test out without a tool, and say so; where CI runs it, that is a failure."""
    if there:
        return
    words = f"{what} is not installed: on Debian, apt install {what.lower()}"
    if os.environ.get("CI"):
        pytest.fail(words)
    pytest.skip(words)


@pytest.fixture(scope="session")
def one_machine(
    tmp_path_factory: pytest.TempPathFactory, prefect_database: Path
) -> Iterator[Topology]:
    directory = tmp_path_factory.mktemp("one-machine")
    (directory / "home").mkdir()
    shutil.copy(prefect_database, directory / "home" / "prefect.db")
    with on_sqlite(directory) as topology:
        _bootstrapped(topology)
        yield topology


@pytest.fixture
def database() -> Iterator[Database]:
    _needed(postgresql(), "PostgreSQL")
    with Database() as database:
        yield database


@pytest.fixture(scope="session")
def several_machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    _needed(postgresql(), "PostgreSQL")
    with on_postgresql(tmp_path_factory.mktemp("several-machines")) as topology:
        _bootstrapped(topology)
        yield topology


@pytest.fixture(scope="session")
def several_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    _needed(postgresql(), "PostgreSQL")
    _needed(REDIS.exists(), "Redis")
    _needed(HAPROXY.exists(), "HAProxy")
    with on_several_servers(tmp_path_factory.mktemp("several-servers")) as cluster:
        _bootstrapped(cluster)
        yield cluster


@pytest.fixture(params=["one_machine", pytest.param("several_machines", marks=pytest.mark.servers)])
def machines(request: pytest.FixtureRequest) -> Topology:
    topology: Topology = request.getfixturevalue(request.param)
    return topology


@pytest.fixture
def chromium(tmp_path: Path) -> Path:  # noqa: ARG001 - a page leaves a picture there if a test fails
    _needed(CHROMIUM.exists(), "Chromium")
    return CHROMIUM


def _bootstrapped(topology: Topology) -> None:
    done = topology.run("deployments.bootstrap", cwd=topology.directory)
    assert done.returncode == 0, done.stderr
