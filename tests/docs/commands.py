"""What each command of the pages needs, and what must come of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import pytest

from tests.docs.pages import Script

TOKEN: Final = "tkn-0f-a-reader"
PASSWORD: Final = "pa55-0f-a-reader"
IDS: Final = ["765231567", "765231568", *(str(765_231_600 + number) for number in range(10))]
"""The tests that the readers' organization has; the first two stand in the README."""


@dataclass(frozen=True)
class Told:
    """What a command needs, and what must come of it."""

    shows: str = ""
    """A pattern of what it prints."""
    instead: Mapping[str, str] = field(default_factory=dict)
    """What readers put in the place of a word; a name in braces is known when it runs."""
    stays: bool = False
    """It goes on until it is ended: once it shows what it must, it is."""
    takes_minutes: bool = False
    """`make test-servers` runs it, and `make test` does not."""
    on_server: bool = False
    """It needs a Prefect server with the deployments; the page says that it uses one."""
    given: str = ""
    """What must be there before: a fixture of the tests on a server."""
    comes_to: str = ""
    """A pattern of the state of the run that it starts, as `<name>: <message>`."""
    emits: str = ""
    """The event that the server has from it."""


_SERVER: Final = {"http://127.0.0.1:4200": "{server}"}
_RERUN, _LIST = ".venv/bin/python -m flows.rerun", ".venv/bin/python -m thousandeyes"
_PREFECT, _BOOTSTRAP = ".venv/bin/prefect", ".venv/bin/python -m deployments.bootstrap"
_EVENT: Final = "Successfully emitted event"

RUN: Final[Mapping[str, Told]] = {
    "make setup": Told(takes_minutes=True),
    "make demo": Told("http://127.0.0.1:4200/artifacts/key/endpoint-reruns-local"),
    "make ui": Told("Read reports at", {"make ui": "make ui PORT={port}"}, stays=True),
    "echo 'TE_TOKEN=…' > .env": Told(instead={"…": TOKEN}),
    "chmod 600 .env": Told(),
    f"{_LIST} tests": Told("765231567"),
    f"{_LIST} tests --name 'Payroll*'": Told("Payroll over VPN"),
    f"{_LIST} agents --online": Told(r"-mac-\d+ .* yes"),
    f"{_LIST}.simulator --port 8765": Told(
        r"TE_BASE_URL=http://127\.0\.0\.1:\d+/v7\n", {"8765": "0"}, stays=True
    ),
    f"{_RERUN} 765231567 765231568": Told(r"Passed\. 2 of 2 tests accepted\.", on_server=True),
    f"{_RERUN} - < ids.txt": Told(r"Passed\. 1 of 1 tests accepted\.", given="ids"),
    f"{_RERUN} --help": Told("usage: python -m flows.rerun"),
    f"{_LIST} tests --type http-server --ids | {_RERUN} -": Told(
        r"Passed\. 6 of 6 tests accepted\.", on_server=True
    ),
    f"{_RERUN} 765231567 --wait-for-results --thresholds max_loss_percent=5,min_agents=3": Told(
        r"Passed\. 1 of 1 tests passed\.", on_server=True
    ),
    f"{_BOOTSTRAP} --dry-run": Told(r"would be \w+", _SERVER, on_server=True, given="groups"),
    _BOOTSTRAP: Told(r"(made|changed|found) +block endpoint-test-group/morning-checks"),
    f"{_BOOTSTRAP} --on-this-machine": Told(
        r"changed +flow run \S+ \S+ \(was Running without a process",
        _SERVER,
        on_server=True,
        given="dead_run",
    ),
    f"{_PREFECT} deployment run rerun-endpoint-tests/on-demand "
    """-p test_ids=765231567,765231568 -p 'options={"wait_for_results": true}'""": Told(
        "on-demand",
        _SERVER,
        on_server=True,
        comes_to=r"Completed: 2 of 2 tests passed",
        takes_minutes=True,
    ),
    f"{_PREFECT} deployment run rerun-around-change/around-change "
    """-p 'groups=["branch-offices"]'""": Told(
        "around-change",
        _SERVER,
        on_server=True,
        given="groups",
        comes_to="Suspended: .* 2 of 2 tests passed",
        takes_minutes=True,
    ),
    f"{_PREFECT} event emit network.change.made --resource-id prefect.flow-run.ID": Told(
        _EVENT, {"ID": str(UUID(int=1))}, on_server=True, emits="network.change.made"
    ),
    "mkdir definitions": Told(given="definitions"),
    "mv tests.yaml definitions": Told(),
    'echo "TE_FILES_DIR=$PWD/definitions" >> .env': Told(),
    f"{_PREFECT} deployment run create-endpoint-tests/create -p group=branch-offices "
    "-p file=tests.yaml": Told(
        "create", _SERVER, on_server=True, comes_to=r"Completed: 2 of 2 tests created"
    ),
    f"{_PREFECT} deployment run judge-run-again/judge-again "
    "-p run=rerun-endpoint-tests/scheduled": Told(
        "judge-again",
        _SERVER,
        on_server=True,
        given="scheduled_run",
        comes_to="Completed: ",
        takes_minutes=True,
    ),
    f"{_RERUN} --judge-again rerun-endpoint-tests/scheduled": Told(
        r"Passed\. .*1 of 1 tests passed"
    ),
    f"{_PREFECT} event emit network.change.finished --resource-id network.change.CHG0042 "
    """--payload '{"groups": ["branch-offices"]}'""": Told(
        _EVENT, on_server=True, emits="network.change.finished"
    ),
    f"COLUMNS=200 {_PREFECT} flow-run ls --state Running --state Pending": Told(
        r"{given}.* RUNNING ", {"ID": "{given}"}, on_server=True, given="dead_run"
    ),
    f"{_PREFECT} flow-run cancel ID": Told("Flow run '{given}' was successfully"),
    f"{_PREFECT} flow-run delete ID": Told("Successfully deleted flow run '{given}'"),
    # Without a terminal nobody can be asked for a password.
    "createuser --pwprompt prefect": Told(
        "", {" --pwprompt": ""}, takes_minutes=True, on_server=True
    ),
    "createdb --owner prefect --encoding UTF8 --template template0 prefect": Told(
        takes_minutes=True, on_server=True
    ),
    f"{_PREFECT} --no-prompt server start --host 0.0.0.0": Told(
        "the dashboard at",
        {
            "prefect:…@db.example.net": "{database}",
            "prefect.example.net:4200": "127.0.0.1:{port}",
            "0.0.0.0": "127.0.0.1 --port {port}",
            "…": PASSWORD,
        },
        stays=True,
        takes_minutes=True,
        on_server=True,
    ),
    f"{_PREFECT} worker start --pool thousandeyes": Told(
        "Worker .* started!", {"/etc/thousandeyes.env": "{env_file}"}, stays=True, on_server=True
    ),
    f"{_PREFECT} work-queue create organizations --pool NAME --limit 8": Told(
        "organizations", {"NAME": "{given}"}, on_server=True, given="pool"
    ),
}
"""What is run as a page tells it."""

_CI: Final = "it is the check itself"
_SERVE: Final = "test_it_serves_a_run_with_the_token_of_the_dotenv_file_and_stops_with_ctrl_c"
_BACKGROUND: Final = (
    "test_in_the_background_of_a_script_it_ends_by_any_signal_and_takes_its_server_with_it"
)
_DEPLOY: Final = (
    "test_prefect_deploy_from_a_clean_clone_makes_the_same_deployments_with_longer_forms"
)
_NAMES: Final = "tests/docs/test_pages.py::test_every_command_of_a_page_is_there"
_CLUSTER: Final = "tests/deployments/test_several_servers.py"
_WHEEL: Final = "tests/deployments/test_wheel.py"

ELSEWHERE: Final[Mapping[str, tuple[str, str]]] = {
    "make lint": (_CI, ".ci/run"),
    "make test": (_CI, ".ci/run"),
    "make chaos": (_CI, ".ci/run"),
    "make bench": ("it takes hours: its name alone is looked up", _NAMES),
    "python -m tests.benchmarks": ("it takes minutes: names and options are looked up", _NAMES),
    "make serve": ("it installs the whole", f"tests/deployments/test_serve.py::{_SERVE}"),
    ".venv/bin/python -m deployments.serve &": (
        "it needs a script's background",
        f"tests/deployments/test_serve.py::{_BACKGROUND}",
    ),
    "pip install git+": (
        "it names a host of the reader's",
        f"{_WHEEL}::test_every_module_is_imported_under_one_name_and_no_other",
    ),
    "python -m thousandeyes tests": (
        "it stands for its name alone, as does the next one",
        f"{_WHEEL}::test_a_command_tells_the_name_that_it_has_there",
    ),
    "python -m prefect_thousandeyes.thousandeyes tests": (
        "only an installed package has it",
        f"{_WHEEL}::test_a_command_tells_the_name_that_it_has_there",
    ),
    "python -m flows.rerun --judge-again RUN": ("the changelog names it alone", _NAMES),
    ".venv/bin/prefect --no-prompt deploy --all": (
        "it overwrites what other tests look at",
        f"tests/deployments/test_bootstrap.py::{_DEPLOY}",
    ),
    ".venv/bin/pip install prefect-redis": (
        "it needs the network; the lock has it",
        f"{_CLUSTER}::test_what_a_run_tells_reaches_the_services_through_the_one_address",
    ),
    ".venv/bin/prefect --no-prompt server start --no-services --host 0.0.0.0": (
        "it needs PostgreSQL and Redis",
        f"{_CLUSTER}::test_what_a_run_tells_reaches_the_services_through_the_one_address",
    ),
    ".venv/bin/prefect server services start": (
        "it needs PostgreSQL and Redis",
        f"{_CLUSTER}::test_what_a_run_tells_reaches_the_services_through_the_one_address",
    ),
}
"""What a command begins with that is not run here: why, and what runs it.

That is a test, or a file that has the command.
"""


def told(script: Script) -> list[Told]:
    """Return what the table says of a script's commands; none: it is run elsewhere."""
    return [RUN[command] for command in script.commands if command in RUN]


def parameters(scripts: Iterable[Script]) -> list[Any]:
    """Return scripts for the tests that run them, with what they are called and marked."""
    return [
        pytest.param(
            script,
            id=str(script),
            marks=[pytest.mark.servers] * any(one.takes_minutes for one in told(script)),
        )
        for script in scripts
    ]


def elsewhere(command: str) -> str | None:
    """Return the entry of what is not run here that a command belongs to."""
    return next((one for one in ELSEWHERE if command.startswith(one)), None)
