"""A Prefect home and an environment of the tests' own: the user's are neither read nor written."""

import fcntl
import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import certifi
import pytest
from hypothesis import settings


def _one_authority(file: Path) -> Path:
    """Write the first of the authorities that are trusted by default."""
    first, end, _ = Path(certifi.where()).read_text("utf-8").partition("-----END CERTIFICATE-----")
    file.write_text(first + end + "\n", "utf-8")
    return file


for name in list(os.environ):
    # Users find modules compiled; without, each process that a test starts compiles them again.
    if name.startswith(("PREFECT_", "TE_", "PYTHONDONTWRITEBYTECODE")):
        del os.environ[name]
_home = TemporaryDirectory(prefix="prefect-home-")
# PostgreSQL, which has a user of its own where root runs the tests, must get to what lies below.
Path(_home.name).chmod(0o711)
# Before Prefect is imported, since it reads its settings then.
os.environ |= {
    "PREFECT_HOME": _home.name,
    # What processes that are killed leave behind goes with it.
    "TMPDIR": _home.name,
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # A task may run outside a flow, and then Prefect's server keeps no log of it.
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # No test reads the events of this server, and they are a third of what a run costs it. A server
    # that stands for a user's has an environment of its own, and keeps them.
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    # Nor does any need the states of task runs at once: recording them together saves a third of
    # the server's CPU.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "20",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "20",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # One authority, for servers that are asked without TLS: each of Prefect's many clients reads
    # them all, and with some hundred and forty that was a third of what a run here costs.
    "PREFECT_API_SSL_CERT_FILE": str(_one_authority(Path(_home.name) / "authority.pem")),
}


# How long an example takes is the machine's affair, and a busy one is no failure.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

_MACHINES = {"machines", "one_machine", "several_machines", "several_servers"}
_RERUNS = Path(__file__).parent / "flows" / "rerun"


def _group(item: pytest.Item) -> str | None:
    """Return the group of a test that shares a server: one process runs all tests of a group.

    Half of the largest part has a server of its own, and so have the pages that a browser opens, so
    that no group is the longest by far.
    """
    needs = set(getattr(item, "fixturenames", ()))
    if needs & _MACHINES:
        return "pages" if "chromium" in needs else "machines"
    if "prefect_server" in needs:
        half = _RERUNS in item.path.parents and item.path.name < "test_n"
        return "reruns" if half else "server"
    return None


# Before pytest-xdist reads the groups, which it does among the first.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tell which tests need a Prefect server, and which of them share one with its workers."""
    for item in items:
        group = _group(item)
        if group:
            item.add_marker(pytest.mark.xdist_group(group))
        if group or Path(__file__).parent / "deployments" in item.path.parents:
            item.add_marker(pytest.mark.prefect)


def pytest_collection_finish() -> None:
    """Keep the collector of garbage from looking again at all modules and tests, which stay."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where no `.env` of the user's lies: in the test's own directory, or in an empty one."""
    # pytest looks at all earlier ones to make a test's own, which few tests need.
    own = "tmp_path" in request.fixturenames
    monkeypatch.chdir(request.getfixturevalue("tmp_path") if own else mkdtemp(dir=_home.name))


@pytest.fixture(autouse=True)
def _tokens_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the tokens of earlier tests: each reply is searched for all that a process knows."""
    monkeypatch.setattr("thousandeyes.redaction._tokens", {})


@pytest.fixture(scope="session")
def prefect_home() -> Path:
    return Path(_home.name)


@pytest.fixture(scope="session")
def prefect_database(pytestconfig: pytest.Config) -> Path:
    """Return a new database of a Prefect server, to be copied.

    To make its tables takes a server eight seconds, so they are made once for each version.
    """
    assert pytestconfig.cache
    directory = pytestconfig.cache.mkdir("prefect-database")
    database = directory / f"{version('prefect')}.db"
    with (directory / "lock").open("w") as lock:  # for other processes of these tests
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not database.exists():
            with TemporaryDirectory() as home:
                making = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
                subprocess.run(making, env={**os.environ, "PREFECT_HOME": home}, check=True)
                shutil.copy(Path(home) / "prefect.db", database)
    return database


@pytest.fixture(scope="session")
def prefect_server(
    prefect_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Start one Prefect server for all tests that need one: it takes its time."""
    from prefect.testing import utilities  # noqa: PLC0415 - slow

    home = tmp_path_factory.mktemp("prefect-server")
    shutil.copy(prefect_database, home / "prefect-test.db")
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(utilities, "mkdtemp", lambda: str(home))
            stack.enter_context(utilities.prefect_test_harness(server_startup_timeout=600))
        yield
