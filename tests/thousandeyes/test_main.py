"""`python -m thousandeyes`, against the simulator."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from thousandeyes.__main__ import main
from thousandeyes.fleet import MOST_PAGES
from thousandeyes.lists import LONGEST_ID
from thousandeyes.simulator import Simulator, create_app, serve

TOKEN = "tkn-of-the-finder"
Simulate = Callable[..., Simulator]


@pytest.fixture
def simulate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulate]:
    with ExitStack() as stack:

        def start(**options: Any) -> Simulator:
            app = create_app(**{"token": TOKEN, "tests": ["11", "12", "13"]} | options)
            monkeypatch.setenv("TE_TOKEN", TOKEN)
            monkeypatch.setenv("TE_BASE_URL", stack.enter_context(serve(app)).url)
            monkeypatch.setenv("COLUMNS", "200")
            simulator: Simulator = app.state.simulator
            return simulator

        yield start


def test_it_lists_every_test_with_its_name_and_type(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator = simulate()
    assert main(["tests"]) == 0
    shown = capsys.readouterr().out
    for test in simulator.tests.values():
        [line] = [line for line in shown.splitlines() if line.split()[:1] == [test.id]]
        assert test.name in line
        assert test.kind in line
    assert "3 tests." in shown


@pytest.mark.parametrize("name", ["3C:AB:CD:12:AB:01", "Gate :key: [b]B10:no_entry:", "C:\\"])
def test_a_name_is_shown_as_it_is(
    name: str, simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator = simulate(tests=["11"])
    simulator.tests["11"] = replace(simulator.tests["11"], name=name)
    assert main(["tests"]) == 0
    assert f"{name} agent-to-server" in " ".join(capsys.readouterr().out.split())


def test_it_prints_ids_alone_for_the_next_command(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate()
    assert main(["tests", "--type", "agent-to-server", "--ids"]) == 0
    assert sorted(capsys.readouterr().out.split()) == ["11", "13"]


def test_an_id_is_never_cut(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    simulate(tests=["7" * LONGEST_ID])
    for form in ([], ["--ids"], ["--json"]):
        assert main(["tests", *form]) == 0
        assert "7" * LONGEST_ID in capsys.readouterr().out


def test_it_finds_by_name(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    name = simulate().tests["12"].name
    assert main(["tests", "--name", name[:5].upper() + "*", "--ids"]) == 0
    assert "12" in capsys.readouterr().out.split()
    assert main(["tests", "--name", "no such test", "--ids"]) == 0
    assert capsys.readouterr().out == ""


def test_it_says_that_instant_tests_may_not_be_listed(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(hide_instant_tests=True)
    assert main(["tests"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "0 tests. The API's documentation doesn't say" in said


def test_it_lists_agents_with_their_last_contact(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    agents = simulate(agents=40).agents
    online = [agent for agent in agents if agent.is_online]
    assert 0 < len(online) < len(agents)
    assert main(["agents"]) == 0
    shown = capsys.readouterr().out
    assert all(agent.name in shown for agent in agents)
    assert f"{len(online)} of 40 agents are online" in shown
    assert main(["agents", "--online", "--name", "*"]) == 0
    listed = [line.split()[1] for line in capsys.readouterr().out.splitlines() if " yes " in line]
    assert listed == sorted(agent.name for agent in online)


def test_a_last_contact_is_told_in_utc_whatever_its_zone(
    simulate: Simulate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = "thousandeyes.simulator.agents.iso_utc"
    monkeypatch.setattr(there, lambda _: "2026-11-30T01:30:00+02:00")
    simulate(agents=1)
    assert main(["agents"]) == 0
    assert "2026-11-29 23:30" in capsys.readouterr().out


def test_it_says_so_when_there_are_more_agents_than_it_reads(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(agents=MOST_PAGES + 5, page_size=1)
    assert main(["agents"]) == 0
    told = capsys.readouterr()
    assert "of 60 agents are online: seen within the last hour." in " ".join(told.out.split())
    assert "Only 60 of 65 agents" in told.err


def test_it_lists_account_groups(simulate: Simulate, capsys: pytest.CaptureFixture[str]) -> None:
    simulate(aid="4321")
    assert main(["account-groups"]) == 0
    assert "4321" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["tests", "agents", "account-groups"])
def test_each_list_is_told_as_ids_and_as_json(
    what: str, simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate()
    assert main([what, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert main([what, "--ids"]) == 0
    assert capsys.readouterr().out.split() == [next(iter(row.values())) for row in rows]


def test_json_names_what_the_table_shows(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    test = simulate(tests=["11"]).tests["11"]
    assert main(["tests", "--json"]) == 0
    told = {"test_id": "11", "test_name": test.name, "type": test.kind, "is_enabled": True}
    assert json.loads(capsys.readouterr().out) == [told]


def test_what_was_not_read_is_told_beside_json(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(agents=MOST_PAGES + 5, page_size=1)
    assert main(["agents", "--json"]) == 0
    told = capsys.readouterr()
    assert len(json.loads(told.out)) == MOST_PAGES
    assert "Only 60 of 65 agents" in told.err


@pytest.mark.parametrize("what", ["tests", "agents", "account-groups"])
@pytest.mark.parametrize("columns", ["1", "5", "30", "40", "80"])
def test_no_id_is_broken_however_narrow_the_terminal(
    columns: str,
    what: str,
    simulate: Simulate,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulate(agents=3, aid="43210987")
    assert main([what, "--ids"]) == 0
    ids = capsys.readouterr().out.split()  # those of agents have 36 characters
    monkeypatch.setenv("COLUMNS", columns)
    assert main([what]) == 0
    shown = [line.split()[:1] for line in capsys.readouterr().out.splitlines()]
    assert all([one] in shown for one in ids)


def test_an_agent_is_a_line_at_80_columns(
    simulate: Simulate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = simulate(agents=3).agents
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["agents"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    told = {line[0]: line[-1] for line in lines if len(line) == 5}
    assert told == {agent.id: "yes" if agent.is_online else "no" for agent in agents}


@pytest.mark.parametrize("proxy", ["//proxy:3128", "http://u:s3cret@", "http://127.0.0.1:99999"])
def test_a_proxy_that_is_none_is_refused_as_by_every_command(
    proxy: str,
    simulate: Simulate,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator = simulate()
    monkeypatch.setenv("https_proxy", proxy)
    assert main(["tests"]) == 2
    assert capsys.readouterr().err == "error: https_proxy has an unusable value\n"
    assert simulator.calls == []


def test_a_wrong_account_group_is_an_error_with_a_status(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate()
    assert main(["tests", "--aid", "999"]) == 1
    assert capsys.readouterr().err.startswith("error: 403")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--aid", ""], "--aid: names no account group: its value is empty"),
        (["--name", " "], "--name: names no pattern"),
        (["--type", ""], "--type: names no type"),
        (["--name", "A*", "--name", "B*"], "--name: is given twice, and takes one value"),
    ],
)
def test_an_empty_value_and_a_second_one_are_refused(
    arguments: list[str], reason: str, simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator = simulate()
    with pytest.raises(SystemExit) as exited:
        main(["tests", *arguments])
    assert exited.value.code == 2
    assert reason in capsys.readouterr().err
    assert simulator.calls == []


def test_without_a_token_nothing_is_sent(
    simulate: Simulate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate()
    monkeypatch.delenv("TE_TOKEN")
    assert main(["tests"]) == 2
    assert "TE_TOKEN is not set" in capsys.readouterr().err
    assert simulator.calls == []
