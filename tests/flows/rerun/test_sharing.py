"""What a run says of its failing laptops, from the simulator's rows to the sentence.

How seldom chance misleads it is tried with many more runs in `tests/thousandeyes/test_shared.py`.
"""

import json
from typing import Any

import pytest

from flows.rerun.sharing import what_they_share
from tasks.rows import row
from tests.flows.rerun.world import World
from thousandeyes.judging import judge
from thousandeyes.record import Record
from thousandeyes.rounds import NetworkRound
from thousandeyes.simulator import Behaviour, Cause
from thousandeyes.thresholds import Thresholds
from thousandeyes.verdict import from_row

OFFICE: dict[str, Any] = {
    "tests": 6,
    "agents": 200,
    "max_machines": 200,
    "noise": 0.03,
    "page_size": 1000,
    "results_after_seconds": 1,
}
GUEST = Cause(attribute="ssid", value="Guest-7F")


def rerun(seed: int, flow: Any = (), **options: Any) -> tuple[World, list[Record]]:
    world = World(seed=seed, **OFFICE | options)
    return world, list(world.rerun(wait_for_results=True, **dict(flow)).values())


@pytest.mark.parametrize("seed", range(2))
def test_a_network_that_is_cut_off_is_named_and_nothing_else(seed: int) -> None:
    _, records = rerun(seed, causes=[GUEST])
    headline, text = what_they_share(records, with_names=True)
    assert text.startswith(headline.removesuffix("."))
    assert text.startswith("All ")
    assert " laptops on Wi-Fi Guest-7F failed, none of 1" in text
    assert text.count(" failed, ") == 1
    assert text.endswith("as failed if it failed in more than half of its tests.")


@pytest.mark.parametrize("seed", range(2))
def test_with_noise_alone_it_says_that_nothing_separates_them(seed: int) -> None:
    _, records = rerun(seed)
    assert what_they_share(records, with_names=True).text.startswith(
        "Nothing that the laptops report differs"
    )


def test_it_costs_no_call() -> None:
    healthy, _ = rerun(0, noise=0.0, agents=50)
    failing, records = rerun(0, causes=[GUEST], agents=50)
    assert "laptops on Wi-Fi Guest-7F failed" in what_they_share(records, with_names=True).text
    assert len(failing.simulator.calls) == len(healthy.simulator.calls)


def test_names_can_be_left_out() -> None:
    world, records = rerun(0, {"name_laptops_and_networks": False}, causes=[GUEST], tests=2)
    assert "laptops on one Wi-Fi network failed" in what_they_share(records, with_names=False).text
    written = json.dumps([row(record) for record in records]) + repr(records)
    assert "100 % loss" in written
    for agent in world.simulator.agents:
        assert agent.name not in written
    assert "Guest" not in written


def test_laptops_go_by_their_names_unless_told_otherwise() -> None:
    world, records = rerun(0, agents_of={"*": [Behaviour(agents=[0], loss=100)]}, tests=1, noise=0)
    [record] = records
    assert record.verdict
    assert record.verdict.agents_failed == world.simulator.agents[0].name


def as_read_back(record: Record) -> Record:
    assert record.verdict
    return Record(record.test_id, outcome=record.outcome, verdict=from_row(record.verdict.row()))


def test_what_an_earlier_attempt_judged_is_told_not_to_count() -> None:
    _, records = rerun(0, causes=[GUEST], tests=3)
    earlier = as_read_back(records[0])
    text = what_they_share([earlier, *records[1:]], with_names=True).text
    assert "laptops on Wi-Fi Guest-7F failed" in text
    where = "see an earlier version of this report."
    assert text.endswith(
        f" This covers only the 2 tests judged now; for the one judged earlier, {where}"
    )
    alone = what_they_share([earlier], with_names=True).text
    told = "For what the failing laptops of the one test judged earlier share,"
    assert alone == f"{told} {where}"


def test_a_test_for_which_icmp_is_blocked_is_not_taken_for_one_judged_earlier() -> None:
    _, records = rerun(0, causes=[GUEST], tests=2)
    rows = [NetworkRound(test_id="9", agent_id="a", round_id=60, is_icmp_blocked=True)]
    blocked = Record("9", verdict=judge(rows, Thresholds(), expected=1, complete=True))
    told = what_they_share([*records, blocked], with_names=True)
    assert told == what_they_share(records, with_names=True)


def test_a_run_without_verdicts_or_failures_says_nothing() -> None:
    assert what_they_share([Record("1")], with_names=True).text == ""
    _, records = rerun(0, noise=0.0, tests=2)
    assert what_they_share(records, with_names=True).text == ""
    assert what_they_share(map(as_read_back, records), with_names=True).text == ""
