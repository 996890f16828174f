"""What becomes of a run's tests when their results are read again, on the virtual clock."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from flows.rerun.reading_again import LONGEST
from tests.flows.rerun.test_results import ALL_ONLINE, HTTP, IDS, NETWORK, verdict_of
from tests.flows.rerun.world import NOON, World
from thousandeyes.client import ThousandEyesClient
from thousandeyes.simulator import Behaviour, Fault
from thousandeyes.simulator.faults import ResultFaults

LATE = Behaviour(agents=list(range(5)), late_seconds=480, loss=100)


@pytest.mark.parametrize("test_id", IDS[:2])
@pytest.mark.parametrize("skew", [0.0, 3600.0, -3600.0])
def test_late_laptops_count_and_the_verdict_is_final(test_id: str, skew: float) -> None:
    world = World(tests=IDS, agents_of={test_id: [LATE]}, skew=skew, **ALL_ONLINE)
    records = world.rerun(wait_for_results=True)
    assert verdict_of(records[test_id]).provisional
    assert world.read_again([records[test_id]], after=1200) == ""
    verdict = verdict_of(records[test_id])
    assert (verdict.name, verdict.agents_answered, verdict.provisional) == ("failed", 25, False)
    assert world.known == [test_id]
    assert not any(call.path.endswith("/run") for call in world.simulator.calls)


def test_results_that_all_came_late_are_linked_to_with_their_round() -> None:
    world = World(tests=IDS, agents_of={NETWORK: [Behaviour(late_seconds=480)]}, **ALL_ONLINE)
    record = world.rerun([NETWORK], wait_for_results=True)[NETWORK]
    assert "roundId=" not in str(record.app_link)
    world.read_again([record], after=1200)
    assert f"roundId={int(NOON)}" in str(record.app_link)


def test_a_doubt_that_no_result_settles_stays_as_it_was_and_has_no_verdict() -> None:
    lost = Fault(replies=["dropped_before"])
    world = World(tests=IDS, faults={NETWORK: lost}, **ALL_ONLINE)
    record = world.rerun([NETWORK], wait_for_results=True, delivery="at_most_once")[NETWORK]
    before = replace(record)
    assert world.read_again([record], after=1200, delivery="at_most_once") == ""
    assert record == before
    assert (record.outcome, record.verdict) == ("unknown", None)


def test_who_never_answered_and_is_offline_by_now_is_told_without_a_word_of_a_deadline() -> None:
    never = Behaviour(agents=list(range(18)), answers="never")
    world = World(tests=IDS, agents_of={"*": [never]}, **ALL_ONLINE)
    records = world.rerun([NETWORK], wait_for_results=True)
    agents = world.simulator.agents
    agents[:18] = [replace(agent, seen_seconds_ago=7_200) for agent in agents[:18]]
    world.read_again(records.values(), after=1200)
    sentence = verdict_of(records[NETWORK]).sentence
    assert sentence == "passed: 7 of 7 agents passed (18 more did not answer)"


@pytest.mark.parametrize("hidden", [False, True])
def test_http_results_that_come_after_the_run_s_end_count_for_those_that_have_them(
    *, hidden: bool
) -> None:
    """Also where only these tell that it is an HTTP test, so that fewer have answered by now."""
    never = Behaviour(agents=[0], http_late_seconds=86_400)
    late = Behaviour(http_late_seconds=480, error_type="ssl")
    options = {**ALL_ONLINE, "agents_of": {HTTP: [never, late]}, "hide_instant_tests": hidden}
    world = World(tests=IDS, **options)
    records = world.rerun([HTTP], wait_for_results=True, expected_agents=26)
    assert verdict_of(records[HTTP]).provisional
    world.read_again(records.values(), after=1200, expected_agents=26)
    verdict = verdict_of(records[HTTP])
    assert (verdict.name, verdict.agents_answered, verdict.provisional) == ("failed", 24, False)


@pytest.mark.parametrize("seconds", [120, 300, 660])
def test_a_later_rerun_of_the_test_changes_nothing(seconds: int) -> None:
    world = World(tests=IDS, agents_of={NETWORK: [LATE]}, **ALL_ONLINE)
    records = world.rerun([NETWORK], wait_for_results=True)
    world.simulator.run_times[NETWORK].append(world.starts_at + seconds)
    noted = int(world.starts_at) + seconds - 60
    world.read_again(records.values(), after=1200, later={NETWORK: [noted]})
    assert f"roundId={int(NOON)}" in str(records[NETWORK].app_link)


def test_where_the_api_tells_of_fewer_agents_by_now_the_verdict_stays() -> None:
    world = World(tests=IDS, agents_of={"*": [LATE]}, **ALL_ONLINE)
    records = world.rerun([NETWORK], wait_for_results=True)
    before = verdict_of(records[NETWORK])
    world.simulator.run_times[NETWORK].clear()
    world.read_again(records.values(), after=30 * 86_400)
    assert records[NETWORK].verdict is before
    assert world.known == []
    assert world.fewer == {NETWORK: (0, before.agents_answered)}


def test_what_is_new_though_not_final_is_written_down_too() -> None:
    world = World(tests=IDS, agents_of={NETWORK: [LATE]}, **ALL_ONLINE)
    records = world.rerun([NETWORK], wait_for_results=True, expected_agents=30)
    world.read_again(records.values(), after=600, expected_agents=30)
    verdict = verdict_of(records[NETWORK])
    assert (verdict.name, verdict.agents_answered, verdict.provisional) == ("failed", 25, True)
    assert world.known == [NETWORK]
    world.read_again(records.values(), after=0, expected_agents=30)
    assert world.known == [], "nothing is new"


@pytest.mark.parametrize("test_id", IDS[:2])
def test_more_agents_than_were_expected_count_though_their_results_are_on_a_later_page(
    test_id: str,
) -> None:
    world = World(tests=IDS, agents_of={test_id: [LATE]}, page_size=22, **ALL_ONLINE)
    records = world.rerun([test_id], wait_for_results=True, expected_agents=22)
    assert verdict_of(records[test_id]).provisional
    world.read_again(records.values(), after=1200, expected_agents=22)
    verdict = verdict_of(records[test_id])
    assert (verdict.agents_expected, verdict.agents_answered, verdict.failed) == (22, 25, 5)


def test_without_a_verdict_as_many_agents_are_expected_as_the_run_was_told() -> None:
    world = World(tests=IDS, **ALL_ONLINE)
    records = world.rerun([NETWORK], wait_for_results=True)
    records[NETWORK].verdict = None
    world.read_again(records.values(), after=1200, expected_agents=30)
    assert verdict_of(records[NETWORK]).agents_expected == 30


def test_many_tests_are_read_in_parts_and_a_part_that_fails_leaves_its_verdicts() -> None:
    late = Behaviour(agents=[0], late_seconds=480, loss=100)
    few = {**ALL_ONLINE, "agents": 2}
    world = World(tests=300, agents_of={"*": [late]}, page_size=10_000, **few)
    records = list(world.rerun(wait_for_results=True).values())
    world.simulator.result_faults = ResultFaults([200, 200, 503])
    assert world.read_again(records, after=1200).startswith("503: ")
    assert [record.ending for record in records] == ["failed"] * 200 + ["passed"] * 100
    assert len(world.result_calls) == 3


def test_one_test_that_spoils_every_call_keeps_its_verdict_and_others_get_theirs() -> None:
    world = World(tests=IDS, agents_of={"*": [LATE]}, **ALL_ONLINE)
    records = world.rerun(wait_for_results=True)
    world.simulator.options = world.simulator.options.model_copy(update={"unreadable": [HTTP]})
    assert world.read_again(records.values(), after=1200).startswith("404: ")
    final = [test_id for test_id in IDS if not verdict_of(records[test_id]).provisional]
    assert final == [test_id for test_id in IDS if test_id != HTTP]


def test_an_account_group_that_can_not_be_read_leaves_its_own_verdicts_alone() -> None:
    world = World(tests=IDS, agents_of={"*": [LATE]}, **ALL_ONLINE)
    records = list(world.rerun(wait_for_results=True).values())
    for record in records[:2]:
        record.aid = "1234"
    theirs = [record.test_id for record in records[:2]]
    world.simulator.options = world.simulator.options.model_copy(update={"unreadable": theirs})
    trouble = world.read_again(records, after=1200)
    assert trouble.startswith("404: ")
    assert trouble.endswith(" (account group 1234)")
    assert [verdict_of(record).provisional for record in records] == [True, True, False, False]


def test_reading_that_takes_too_long_ends_and_the_verdicts_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(tests=IDS, agents_of={"*": [LATE]}, **ALL_ONLINE)
    records = list(world.rerun(wait_for_results=True).values())
    for record in records[:2]:
        record.aid = "1234"
    read = ThousandEyesClient.read

    async def slow(client: ThousandEyesClient, method: str, path: str, **asked: Any) -> Any:
        pages = 90 if asked["aid"] and "/test-results/" in path else 1
        for _ in range(pages):
            told = await read(client, method, path, **asked)
            await asyncio.sleep(20 if pages > 1 else 0)
        return told

    monkeypatch.setattr(ThousandEyesClient, "read", slow)
    trouble = world.read_again(records, after=1200)
    assert trouble == "no answer in time (account group 1234)"
    assert [verdict_of(record).provisional for record in records] == [True, True, False, False]
    assert world.clock() - world.starts_at < LONGEST + 30


def test_a_verdict_that_was_final_stays_and_its_laptops_are_known_again() -> None:
    failing = [Behaviour(agents=[1, 2], loss=100)]
    world = World(tests=IDS, agents_of={NETWORK: failing}, **ALL_ONLINE)
    record = world.rerun([NETWORK], wait_for_results=True)[NETWORK]
    before = verdict_of(record)
    record.judged(replace(before, failing=(), sightings=()))  # as it is read back
    world.read_again([record], after=1200)
    assert (verdict_of(record), verdict_of(record).sightings) == (before, before.sightings)
    assert world.known == []
