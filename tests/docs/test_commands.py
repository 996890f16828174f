"""Each command of README, changelog and docs, typed by somebody who knows the page alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.processes import free_port
from tests.docs.commands import ELSEWHERE, IDS, RUN, TOKEN, elsewhere, parameters, told
from tests.docs.pages import ROOT, Script, scripts
from tests.docs.shell import begun, run, stays
from thousandeyes.simulator import create_app, serve

SCRIPTS = scripts()
ALONE = [one for one in SCRIPTS if told(one) and not any(each.on_server for each in told(one))]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begun(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    with serve(create_app(tests=IDS, token=TOKEN)) as server:
        yield server.url


def test_every_command_is_in_the_table_and_no_other() -> None:
    commands = {command for script in SCRIPTS for command in script.commands}
    others = commands - RUN.keys()
    assert {command for command in others if not elsewhere(command)} == set()
    assert RUN.keys() - commands == set()
    assert ELSEWHERE.keys() - {elsewhere(command) for command in others} == set()


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_is_not_run_here_is_run_by_what_the_table_names(command: str) -> None:
    _, by = ELSEWHERE[command]
    path, _, test = by.partition("::")
    assert (f"def {test}(" if test else command) in (ROOT / path).read_text()


@pytest.mark.parametrize("script", parameters(ALONE))
def test_a_command_does_what_its_page_says(script: Script, project: Path, api: str) -> None:
    if any(one.stays for one in told(script)):
        with stays(script, project, {"port": str(free_port())}):
            return
    run(script, project, {}, TE_BASE_URL=api)


def test_the_token_is_put_where_nobody_else_can_read_it(project: Path) -> None:
    assert (project / ".env").stat().st_mode & 0o777 == 0o600
