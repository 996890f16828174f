"""The paths of failing agents are read within what quota and time allow, and put into words."""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from flows.rerun import RerunOptions, failing_paths
from flows.rerun.failing_paths import FailingPaths
from tasks.server_calls import NoAccess
from tests.flows.rerun.test_results import ALL_ONLINE, HTTP, IDS, NETWORK
from tests.flows.rerun.world import Noted, World
from tests.thousandeyes.virtual_time import run
from thousandeyes.errors import NotFound
from thousandeyes.judging import judge
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.rounds import NetworkRound
from thousandeyes.simulator import Behaviour, Cause
from thousandeyes.thresholds import Thresholds

CUT_OFF = Behaviour(agents=[1, 2, 3, 4, 5], loss=100)
ALL_FAIL: dict[str, Any] = {"agents_of": {"*": [CUT_OFF]}}


def rerun(paths: int = 3, flow: Any = (), **options: Any) -> tuple[World, dict[str, Record]]:
    world = World(**{"tests": IDS} | ALL_ONLINE | options)
    chosen: dict[str, Any] = {"wait_for_results": True, "paths_of_failing_agents": paths}
    return world, world.rerun(**chosen | dict(flow))


def replies_to_paths(*replies: Any) -> list[Any]:
    """Return what calls for results get, so that those for paths get these."""
    world, _ = rerun(0, **ALL_FAIL)
    return [200] * len(world.result_calls) + list(replies)


def test_by_default_no_path_is_read() -> None:
    world, records = rerun(0, **ALL_FAIL)
    assert {record.ending for record in records.values()} == {"failed"}
    assert world.path_calls == []
    assert {record.paths for record in records.values()} == {None}
    assert world.paths.spent == ""


def test_of_each_failed_test_the_paths_of_so_many_agents_are_read_the_worst_first() -> None:
    world, records = rerun(2, agents_of={NETWORK: [CUT_OFF], HTTP: [CUT_OFF]})
    before, _ = rerun(0, agents_of={NETWORK: [CUT_OFF], HTTP: [CUT_OFF]})
    assert len(world.simulator.calls) == len(before.simulator.calls) + 4
    for test_id in (NETWORK, HTTP):
        verdict = records[test_id].verdict
        assert verdict
        asked = [call.path.split("/")[-3] for call in world.path_calls if call.test_id == test_id]
        assert asked == [agent.agent_id for agent in verdict.failing[:2]]
        said = str(records[test_id].paths)
        for agent in verdict.failing[:2]:
            assert f"The path of {agent.name} " in said
        assert said.count(".1, the gateway): nothing beyond it answered") == 2
    assert records["3"].paths is None
    assert world.paths.spent == "4 calls were spent on the paths of failing laptops"
    assert [world.known.count(test_id) for test_id in IDS[:3]] == [3, 3, 2], "is written down too"


def test_an_agent_that_failed_in_a_test_that_passed_is_left_alone() -> None:
    tolerant = {"thresholds": {"min_agents_passing_percent": 50}}
    world, records = rerun(3, flow=tolerant, **ALL_FAIL)
    assert {record.ending for record in records.values()} == {"passed"}
    assert world.path_calls == []


@pytest.mark.parametrize(
    ("cause", "where"),
    [
        (Cause(attribute="ssid", value="Guest-7F"), "the gateway)"),
        (Cause(attribute="vpn_gateway", value="192.0.2.11"), "(192.0.2.11, the VPN gateway)"),
    ],
)
def test_a_cause_that_laptops_share_shows_on_their_paths(cause: Cause, where: str) -> None:
    office = {"agents": 60, "max_machines": 60, "page_size": 500}
    world, records = rerun(3, causes=[cause], **office)
    assert len(world.path_calls) == 12
    for record in records.values():
        assert str(record.paths).count(f"{where}: nothing beyond it answered") == 3


def test_loss_and_delay_are_told_where_they_begin() -> None:
    limits = {"thresholds": {"max_loss_percent": 1, "max_latency_ms": 200}}
    slow, lossy = Behaviour(agents=[1], latency_ms=300), Behaviour(agents=[2], loss=40)
    _, records = rerun(3, flow=limits, agents_of={NETWORK: [slow, lossy]})
    said = str(records[NETWORK].paths)
    assert "is slow: delay begins at hop " in said
    assert "loss begins after hop " in said
    assert "4 of 10 traces end on the way" in said


def test_names_and_addresses_can_be_left_out() -> None:
    world, records = rerun(3, flow={"name_laptops_and_networks": False}, **ALL_FAIL)
    said = " ".join(str(record.paths) for record in records.values())
    assert said.count("(the gateway): nothing beyond it answered") == 12
    for agent in world.simulator.agents:
        assert agent.name not in said
        assert agent.surroundings["networkProfile"]["gateway"] not in said


def test_half_of_the_window_stays_for_others_and_no_call_waits() -> None:
    limits = {"organization_limit": 40, "window_seconds": 3600}
    without, _ = rerun(0, **ALL_FAIL | limits)
    world, records = rerun(10, **ALL_FAIL | limits)
    spent = len(world.path_calls)
    assert len(without.simulator.calls) + spent == 20
    assert world.paths.spent == (
        f"{spent} calls were spent on the paths of failing laptops, and {20 - spent} paths were "
        "left out: less than half of the organization's quota is left"
    )
    assert world.took - without.took < 2
    assert {call.status for call in world.simulator.calls} == {200}
    *_, last_sent = [n for n, c in enumerate(world.simulator.calls) if c.path.endswith("/run")]
    assert not any("/path-vis/" in call.path for call in world.simulator.calls[:last_sent])
    by_test = Counter(call.test_id for call in world.path_calls)
    assert max(by_test.values()) - min(by_test.values()) <= 1, "each test has its turn"
    assert all(record.paths for record in records.values())


def test_a_429_is_not_waited_out() -> None:
    world, records = rerun(3, result_replies=replies_to_paths(200, 429), **ALL_FAIL)
    without, _ = rerun(0, **ALL_FAIL)
    assert len(world.path_calls) == 2
    assert world.took - without.took < 2
    assert "could not be read: 429" in str(records[HTTP].paths)
    assert "and 10 paths were left out: 429" in world.paths.spent


def test_what_can_not_be_read_costs_its_words_and_nothing_else() -> None:
    replies = replies_to_paths(404, 503, "html", 400, "empty")
    world, records = rerun(3, result_replies=replies, **ALL_FAIL)
    _, without = rerun(0, **ALL_FAIL)
    assert len(world.path_calls) == 12
    said = " ".join(str(record.paths) for record in records.values())
    assert said.count("could not be read: ") == 5
    for why in ("404: ", "503: ", "status 200 with a web page", "400: ", "no hop of it"):
        assert said.count(f"could not be read: {why}") + said.count("the API reports " + why) == 1
    assert {t: r.verdict for t, r in records.items()} == {t: r.verdict for t, r in without.items()}


def test_three_calls_in_a_row_without_an_answer_end_it() -> None:
    replies = replies_to_paths(200, 503, 503, 200, "dropped", 503, "half_body")
    world, _ = rerun(3, result_replies=replies, **ALL_FAIL)
    assert len(world.path_calls) == 7
    assert world.paths.spent.startswith("7 calls were spent on the paths of failing laptops")
    assert "and 5 paths were left out: sent, and no answer" in world.paths.spent


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_that_holds_for_all_ends_it(status: int) -> None:
    world, _ = rerun(3, result_replies=replies_to_paths(status), **ALL_FAIL)
    assert len(world.path_calls) == 1
    assert f"and 11 paths were left out: {status}: " in world.paths.spent


def test_one_that_holds_for_an_account_group_leaves_those_of_the_others_to_be_read() -> None:
    def paths_of(most: int, replies: Sequence[Any] = ()) -> World:
        world = World(tests=IDS, result_replies=list(replies), **ALL_ONLINE, **ALL_FAIL)
        records = [Record(one, aid="1234" if one == NETWORK else None) for one in IDS]
        options = RerunOptions(wait_for_results=True, paths_of_failing_agents=most)
        run(world.execute(records, options))
        return world

    world = paths_of(3, [200] * len(paths_of(0).result_calls) + [403])
    assert len(world.path_calls) == 10
    assert "and 2 paths were left out: 403: " in world.paths.spent


def test_an_api_that_does_not_answer_costs_a_minute() -> None:
    world, records = rerun(3, latency_seconds=20.0, **ALL_FAIL)
    slow, _ = rerun(0, latency_seconds=20.0, **ALL_FAIL)
    assert world.took - slow.took <= 60
    assert len(world.path_calls) == 3
    assert world.paths.spent == (
        "3 calls were spent on the paths of failing laptops, and 10 paths were left out: the 60 s "
        "allowed for paths ran out"
    )
    assert sum("The path of " in str(record.paths) for record in records.values()) == 2


def test_a_run_that_was_stopped_reads_none() -> None:
    world, records = rerun(0, **ALL_FAIL)
    options = RerunOptions(paths_of_failing_agents=1)
    paths = FailingPaths(options, Noted(world.known).keep, logging.getLogger("world"))
    paths.stop("cancelled")
    paths.stop("the other reason")

    async def main() -> None:
        async with world.client() as client:
            await paths.read(client, records.values())

    run(main())
    assert world.path_calls == []
    assert paths.spent == "4 paths of failing laptops were left out: cancelled"


def test_a_mistake_of_ours_costs_the_paths_and_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(failing_paths, "words", broken)
    world, records = rerun(1, **ALL_FAIL)
    assert {record.ending for record in records.values()} == {"failed"}
    assert "4 paths were left out: unexpected ZeroDivisionError, see the log" in world.paths.spent


class Reader:
    """A client that knows no path, and says so at length."""

    def __init__(self) -> None:
        self.gate = self
        self.asked: list[str] = []

    def has_spare(self, *_: object) -> bool:
        return True

    async def path(self, _test_id: str, agent_id: str, *_: object) -> object:
        self.asked.append(agent_id)
        raise NotFound(f"404: {'x' * 400}", 404)


def failed(*agents: str) -> Record:
    """Return a test in which these agents lost everything."""
    rounds = [NetworkRound(test_id="1", agent_id=agent, round_id=60, loss=100) for agent in agents]
    verdict = judge(rounds, Thresholds(), expected=None, complete=True)
    return Record("1", outcome=Outcome.ACCEPTED, verdict=verdict)


async def read_paths(reader: Any, record: Record, keep: Any) -> None:
    options = RerunOptions(paths_of_failing_agents=3)
    await FailingPaths(options, keep, logging.getLogger("world")).read(reader, [record])


async def test_an_id_that_would_name_another_address_is_passed_over_and_long_reasons_are_cut() -> (
    None
):
    reader = Reader()
    known: list[str] = []
    record = failed("a-1", "../a-2", "a 3", "a?4")
    await read_paths(reader, record, Noted(known).keep)
    assert reader.asked == ["a-1"]
    assert str(record.paths).endswith("xx…")
    assert len(str(record.paths)) < 300
    assert known == ["1"]


async def test_a_prefect_server_that_lets_nobody_in_costs_the_paths_and_not_the_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def keep(_: Record) -> None:
        raise NoAccess("no entry (401)")

    await read_paths(Reader(), failed("a-1"), keep)
    assert "Paths are not recorded: no entry (401)" in caplog.text
