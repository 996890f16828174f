"""What becomes of a run's results, on the virtual clock against the simulator."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.rerun import RerunOptions
from flows.rerun.judging import judged_otherwise
from flows.rerun.results import wants_results
from tasks.server_calls import NoAccess
from tests.flows.rerun.world import NOON, Noted, World
from tests.tasks.reports import judged
from tests.thousandeyes.steady import steady
from tests.thousandeyes.virtual_time import run
from thousandeyes.client import ThousandEyesClient
from thousandeyes.delivery import Delivery
from thousandeyes.fleet import MOST_PAGES, AgentsPage
from thousandeyes.models import EndpointTest
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.simulator import Behaviour, Fault
from thousandeyes.thresholds import Thresholds
from thousandeyes.verdict import Verdict

NETWORK, HTTP = "1", "2"  # the simulator's kinds take turns
IDS = [NETWORK, HTTP, "3", "4"]
ALL_ONLINE: dict[str, Any] = {"seed": 9, "agents": 25}
LATE_IN_A_LONG_INTERVAL: dict[str, Any] = {
    "faults": {NETWORK: Fault(replies=["dropped_after"])},
    "intervals": {"*": 300},
    "earlier_round_seconds": 290,
    "starts_at": NOON + 280,
}
NO_OTHERS: Mapping[str, list[int]] = MappingProxyType({})
ERROR_TYPES = ["connect", "dns", "http", "receive", "send", "ssl"]


def verdict_of(record: Record) -> Verdict:
    assert record.verdict
    return record.verdict


def measured(test_id: str, *behaviours: Behaviour, **options: Any) -> Verdict:
    """Return the verdict on a test whose agents behave like that."""
    flow_options = options.pop("flow", {})
    world = World(tests=IDS, agents_of={test_id: list(behaviours)}, **ALL_ONLINE | options)
    return verdict_of(world.rerun([test_id], wait_for_results=True, **flow_options)[test_id])


class TestVerdicts:
    @pytest.mark.parametrize("test_id", IDS[:2])
    def test_a_healthy_test_has_passed(self, test_id: str) -> None:
        verdict = measured(test_id)
        assert (verdict.name, verdict.agents_answered, verdict.agents_expected) == (
            "passed",
            25,
            25,
        )

    @pytest.mark.parametrize("test_id", IDS[:2])
    def test_a_test_in_which_7_of_25_answered_well_has_passed(self, test_id: str) -> None:
        verdict = measured(test_id, Behaviour(agents=list(range(18)), answers="never"))
        assert (verdict.name, verdict.agents_answered, verdict.agents_expected) == ("passed", 7, 25)
        assert (
            verdict.sentence
            == "passed: 7 of 7 agents passed (provisional: 18 more may still answer)"
        )

    @pytest.mark.parametrize("test_id", IDS[:2])
    def test_where_nobody_answers_there_is_no_data(self, test_id: str) -> None:
        world = World(tests=IDS, agents_of={"*": [Behaviour(answers="never")]}, **ALL_ONLINE)
        verdict = verdict_of(world.rerun([test_id], wait_for_results=True)[test_id])
        assert (
            verdict.sentence
            == "no_data: none of 25 expected agents answered (provisional: they may still answer)"
        )
        assert 300 <= world.took < 310, "it had its time"

    def test_fewer_than_min_agents_by_the_deadline_have_timed_out(self) -> None:
        late = Behaviour(agents=list(range(2, 25)), late_seconds=3600)
        verdict = measured(NETWORK, late, flow={"thresholds": {"min_agents": 3}})
        assert (verdict.name, verdict.agents_answered) == ("timed_out", 2)

    def test_with_a_short_deadline_what_is_there_is_judged(self) -> None:
        late = Behaviour(agents=list(range(2, 25)), late_seconds=3600)
        verdict = measured(NETWORK, late, flow={"results_deadline_minutes": 0.5})
        assert (
            verdict.sentence
            == "passed: 2 of 2 agents passed (provisional: 23 more may still answer)"
        )

    def test_a_verdict_is_final_when_no_agent_can_be_late_any_more(self) -> None:
        for minutes, provisional in ((14, True), (17, False)):
            flow = {"results_deadline_minutes": minutes}
            verdict = measured(NETWORK, Behaviour(answers="never"), flow=flow)
            assert (verdict.name, verdict.provisional) == ("no_data", provisional)

    def test_a_deadline_before_the_first_look_is_kept(self) -> None:
        world = World(tests=IDS, results_after_seconds=1, **ALL_ONLINE)
        records = world.rerun([NETWORK], wait_for_results=True, results_deadline_minutes=0.1)
        assert records[NETWORK].ending == "passed"
        assert world.took < 7

    @pytest.mark.parametrize("late_seconds", [8, 25, 55])
    def test_agents_that_answer_late_are_waited_for(self, late_seconds: float) -> None:
        late = Behaviour(agents=[3, 4], late_seconds=late_seconds, loss=100)
        verdict = measured(NETWORK, late)
        assert (verdict.name, verdict.agents_answered) == ("failed", 25)

    def test_http_results_that_come_long_after_those_of_the_network_are_waited_for(self) -> None:
        verdict = measured(HTTP, Behaviour(http_late_seconds=80, error_type="ssl"))
        assert (verdict.name, verdict.agents_answered) == ("failed", 25)

    def test_without_them_no_http_test_has_passed(self) -> None:
        never = Behaviour(http_late_seconds=86_400)
        world = World(tests=IDS, agents_of={HTTP: [never]}, **ALL_ONLINE)
        record = world.rerun([HTTP], wait_for_results=True)[HTTP]
        assert verdict_of(record).sentence == (
            "no_data: none of 25 expected agents answered "
            "(provisional: they may still answer, 25 of them with network results only)"
        )
        assert 300 <= world.took < 310
        assert len(world.result_calls) <= 12

    @pytest.mark.parametrize("test_id", IDS[:2])
    def test_an_agent_that_answers_twice_counts_once(self, test_id: str) -> None:
        verdict = measured(test_id, Behaviour(answers="twice"))
        assert (verdict.name, verdict.agents_answered) == ("passed", 25)

    def test_icmp_blocked_is_not_loss(self) -> None:
        verdict = measured(NETWORK, Behaviour(icmp_blocked=True))
        assert (verdict.name, verdict.agents_icmp_blocked) == ("passed", 25)
        assert verdict.loss.worst is None

    def test_100_percent_loss_fails_and_names_the_agents(self) -> None:
        verdict = measured(NETWORK, Behaviour(agents=[0, 7], loss=100), Behaviour(loss=99))
        names = {World(tests=IDS, **ALL_ONLINE).simulator.agents[place].name for place in (0, 7)}
        assert verdict.name == "failed"
        assert set(str(verdict.agents_failed).split(", ")) == names
        assert (verdict.loss.worst, verdict.loss.median) == (100, 99)

    @pytest.mark.parametrize("error_type", ERROR_TYPES)
    def test_every_error_type_fails(self, error_type: Any) -> None:
        verdict = measured(HTTP, Behaviour(agents=[5], error_type=error_type))
        assert (verdict.name, verdict.error_types) == ("failed", (error_type,))
        assert verdict.agents_passed == 24

    @pytest.mark.parametrize(("code", "name"), [(399, "passed"), (400, "failed"), (503, "failed")])
    def test_a_status_of_400_and_above_fails(self, code: int, name: str) -> None:
        verdict = measured(HTTP, Behaviour(agents=[5], response_code=code))
        assert (verdict.name, verdict.http_status_worst) == (name, code)

    def test_a_test_keeps_to_thresholds_of_its_own_before_those_of_the_run(self) -> None:
        world = World(tests=IDS, agents_of={"*": [Behaviour(latency_ms=90)]}, **ALL_ONLINE)
        own = {"3": Thresholds(max_latency_ms=80)}
        records = world.rerun(
            [NETWORK, "3"], own, wait_for_results=True, thresholds={"max_latency_ms": 100}
        )
        assert [record.ending for record in records.values()] == ["passed", "failed"]
        told = [verdict_of(record).thresholds for record in records.values()]
        assert told == ["latency at most 100 ms", "latency at most 80 ms"]
        otherwise = partial(judged_otherwise, records.values())
        assert otherwise(own, Thresholds(max_latency_ms=100)) == (
            "1 test was judged by thresholds of its group, not by this run's."
        )
        assert not otherwise(own, Thresholds()), "the run was given none"
        assert not otherwise(own, Thresholds(max_latency_ms=80)), "they are the same"

    def test_rows_across_several_pages_are_all_read(self) -> None:
        world = World(tests=IDS, page_size=7, **ALL_ONLINE)
        records = world.rerun(wait_for_results=True)
        assert {verdict_of(r).agents_answered for r in records.values()} == {25}

    def test_how_many_should_answer_can_be_told(self) -> None:
        late = Behaviour(agents=list(range(5, 25)), late_seconds=3600)
        world = World(tests=IDS, agents_of={"*": [late]}, **ALL_ONLINE)
        record = world.rerun([NETWORK], wait_for_results=True, expected_agents=5)[NETWORK]
        assert (verdict_of(record).agents_expected, verdict_of(record).agents_answered) == (5, 5)
        assert world.took < 15


class TestRoundsThatCount:
    @pytest.mark.parametrize("seconds", [61, 90, 3600])
    @pytest.mark.parametrize("test_id", IDS[:2])
    def test_an_old_round_that_still_stands_is_no_answer(self, test_id: str, seconds: int) -> None:
        verdict = measured(
            test_id,
            Behaviour(agents=list(range(20)), answers="never"),
            earlier_round_seconds=seconds,
            starts_at=NOON + 20,
        )
        assert verdict.agents_answered == 5

    @pytest.mark.parametrize("skew", [3600.0, -3600.0, 3599.5, -0.7])
    @pytest.mark.parametrize("starts_at", [NOON, NOON + 30, NOON + 59.4])
    def test_clocks_an_hour_apart_change_nothing(self, skew: float, starts_at: float) -> None:
        verdict = measured(
            HTTP,
            Behaviour(agents=[1], answers="never"),
            skew=skew,
            starts_at=starts_at,
            earlier_round_seconds=120,
        )
        assert (verdict.name, verdict.agents_answered) == ("passed", 24)

    def test_a_second_rerun_within_the_minute_waits_for_the_next_one(self) -> None:
        """Its round would have the name of the one that is there."""
        world = World(tests=IDS, earlier_round_seconds=5, starts_at=NOON + 40, **ALL_ONLINE)
        records = world.rerun(wait_for_results=True)
        assert {record.ending for record in records.values()} == {"passed"}
        assert all(at >= NOON + 60 for [at] in world.simulator.run_times.values())

    @pytest.mark.parametrize("interval", [120, 300, 3600])
    @pytest.mark.parametrize("test_id", IDS[:2])
    @pytest.mark.parametrize("starts_at", [NOON, NOON + 119, NOON + 299])
    def test_a_round_of_a_longer_interval_counts_though_it_is_named_by_an_earlier_minute(
        self, test_id: str, interval: int, starts_at: float
    ) -> None:
        verdict = measured(test_id, intervals={test_id: interval}, starts_at=starts_at)
        assert (verdict.name, verdict.agents_answered) == ("passed", 25)

    def test_rounds_of_several_intervals_count_side_by_side(self) -> None:
        intervals = {NETWORK: 300, HTTP: 3600, "3": 900}
        world = World(tests=IDS, intervals=intervals, starts_at=NOON + 250, **ALL_ONLINE)
        records = world.rerun(wait_for_results=True)
        assert {record.ending for record in records.values()} == {"passed"}

    @pytest.mark.parametrize("interval", [120, 300])
    def test_the_round_before_of_a_longer_interval_is_no_answer(self, interval: int) -> None:
        verdict = measured(
            NETWORK,
            Behaviour(agents=list(range(20)), answers="never"),
            intervals={"*": interval},
            earlier_round_seconds=interval,
            starts_at=NOON + 60,
        )
        assert verdict.agents_answered == 5

    def test_a_second_rerun_within_a_longer_interval_waits_for_the_next_one(self) -> None:
        world = World(
            tests=IDS,
            intervals={NETWORK: 300},
            earlier_round_seconds=100,
            starts_at=NOON + 130,
            **ALL_ONLINE,
        )
        records = world.rerun(wait_for_results=True)
        assert {record.ending for record in records.values()} == {"passed"}
        [at] = world.simulator.run_times[NETWORK]
        assert NOON + 300 <= at < NOON + 301
        assert all(
            at < NOON + 132
            for test_id, times in world.simulator.run_times.items()
            for at in times
            if test_id != NETWORK
        )

    def test_the_end_of_an_hour_is_not_waited_for(self) -> None:
        world = World(
            tests=IDS,
            intervals={"*": 3600},
            earlier_round_seconds=100,
            starts_at=NOON + 130,
            **ALL_ONLINE,
        )
        world.rerun([NETWORK], wait_for_results=True)
        assert world.simulator.run_times[NETWORK][0] < NOON + 132

    def test_a_call_that_was_refused_makes_no_round_before_the_next_one_its_own(self) -> None:
        refused = {NETWORK: Fault(replies=[429])}
        world = World(tests=[NETWORK], faults=refused, rate_headers=[], starts_at=NOON + 5)
        world.simulator.run_times[NETWORK].append(NOON + 30)  # somebody else's, before ours
        record = world.rerun([NETWORK], wait_for_results=True)[NETWORK]
        assert (record.attempts, record.rounds_after) == (2, NOON)
        assert str(record.app_link).endswith(f"{NOON + 60:.0f}")

    def test_a_listing_that_takes_its_time_costs_no_verdict(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tests = ThousandEyesClient.tests

        async def slow(*asked: Any) -> list[EndpointTest]:
            await asyncio.sleep(50)
            return await tests(*asked)

        monkeypatch.setattr(ThousandEyesClient, "tests", slow)
        world = World(tests=[NETWORK], intervals={"*": 300}, starts_at=NOON + 200)
        record = world.rerun([NETWORK], wait_for_results=True)[NETWORK]
        assert verdict_of(record).name == "passed"

    def test_an_accepted_test_is_judged_also_where_nothing_could_be_read_before(self) -> None:
        world = World(tests=IDS, result_replies=[503], **ALL_ONLINE)
        record = world.rerun([NETWORK], wait_for_results=True)[NETWORK]
        assert record.rounds_after is None
        assert record.ending == "passed"


class TestLargeFleets:
    def test_of_5000_agents_as_many_are_expected_as_a_test_takes(self) -> None:
        world = World(tests=IDS, agents=5_000, seed=9)
        records = world.rerun(wait_for_results=True)
        assert {verdict_of(record).agents_expected for record in records.values()} == {25}
        assert len(world.agent_calls) == 50

    def test_a_fleet_beyond_the_bound_costs_a_bounded_number_of_calls(self) -> None:
        world = World(tests=[NETWORK], agents=1_000, page_size=10, seed=9)
        record = world.rerun(wait_for_results=True)[NETWORK]
        assert verdict_of(record).agents_expected == 25
        assert len(world.agent_calls) == MOST_PAGES

    def test_several_account_groups_share_the_bound(
        self,
    ) -> None:
        world = World(tests=IDS, agents=500, page_size=10, seed=9)
        records = [Record(NETWORK), Record(HTTP, aid="1234")]
        run(world.execute(records, RerunOptions(wait_for_results=True)))
        assert len(world.agent_calls) == MOST_PAGES
        assert [verdict_of(record).agents_expected for record in records] == [25, 25]

    def test_account_groups_whose_agents_are_slow_keep_a_run_a_minute_and_cost_no_other_its_own(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        agents = ThousandEyesClient.agents

        async def trickling(
            client: ThousandEyesClient, aid: str | None, **asked: Any
        ) -> AsyncIterator[AgentsPage]:
            await asyncio.sleep(170 if aid else 0)
            async for page in agents(client, aid, **asked):
                yield page

        monkeypatch.setattr(ThousandEyesClient, "agents", trickling)
        world = World(tests=IDS, **ALL_ONLINE)
        records = [Record(one, aid=aid) for one, aid in zip(IDS, [*"789", None], strict=True)]
        run(world.execute(records, RerunOptions(wait_for_results=True)))
        sent = [call.at for call in world.simulator.calls if call.path.endswith("/run")]
        assert max(sent) < NOON + 65
        assert verdict_of(records[3]).agents_expected == 25
        assert "no answer in time (account group 7, account group 8, account group 9)" in (
            caplog.text
        )

    def test_where_all_tests_name_their_agents_only_these_are_asked_for(self) -> None:
        world = World(tests=[], agents=5_000, seed=9)
        agents = world.simulator.agents
        chosen = [agents[place].id for place in (7, 4_000, 4_999)]
        test_id = world.add("agent-to-server", server="a.example", agents=chosen)
        record = world.rerun([test_id], wait_for_results=True, thresholds={"max_loss_percent": 5})[
            test_id
        ]
        assert [call.path for call in world.agent_calls] == ["/v7/endpoint/agents/filter"]
        online = [agent for agent in agents if agent.id in chosen and agent.is_online]
        assert verdict_of(record).agents_expected == len(online)


class TestReading:
    def test_a_failed_look_is_tolerated_a_few_times_in_a_row(self) -> None:
        replies: list[Any] = [200, 200, 503, "half_body", "html", 200, 200, "dropped", 500, "empty"]
        world = World(tests=IDS, result_replies=replies, **ALL_ONLINE)
        records = world.rerun(wait_for_results=True)
        assert {record.ending for record in records.values()} == {"passed"}

    def test_then_what_is_known_is_judged_and_why_is_told(self) -> None:
        world = World(tests=IDS, result_replies=[200, 200, *[503] * 99], **ALL_ONLINE)
        records = world.rerun(wait_for_results=True)
        assert {record.ending for record in records.values()} == {"no_data"}
        assert records[HTTP].why.startswith("no results could be read: 503: ")
        assert verdict_of(records[HTTP]).unread
        assert records[HTTP].is_provisional
        assert world.took < 150

    def test_a_test_that_spoils_the_calls_for_all_costs_only_its_own_verdict(self) -> None:
        world = World(tests=IDS, unreadable=[HTTP], **ALL_ONLINE)
        records = world.rerun(wait_for_results=True)
        assert {record.ending for record in records.values() if record.test_id != HTTP} == {
            "passed"
        }
        assert records[HTTP].ending == "no_data"
        assert records[HTTP].why.startswith("no results could be read: 404: ")
        assert verdict_of(records[HTTP]).unread

    def test_what_was_read_before_that_is_a_verdict_though_it_may_change(self) -> None:
        replies = [200, 200, *[503] * 99]
        world = World(tests=IDS, page_size=10, result_replies=replies, **ALL_ONLINE)
        verdict = verdict_of(world.rerun([NETWORK], wait_for_results=True)[NETWORK])
        assert (verdict.name, verdict.agents_answered) == ("passed", 10)
        assert (verdict.provisional, verdict.unread) == (True, False)
        assert verdict.reason.startswith(
            "10 of 10 agents passed; provisional: the results could not be read to the end: 503: "
        )
        assert verdict.agents_expected == 25

    def test_96_tests_of_25_agents_cost_half_a_result_call_each(self) -> None:
        world = World(tests=96, hide_instant_tests=True, **ALL_ONLINE)
        records = world.rerun(wait_for_results=True)
        assert {verdict_of(record).agents_answered for record in records.values()} == {25}
        assert len(world.result_calls) <= 0.5 * 96
        assert {call.status for call in world.simulator.calls} == {200}, "no 429"

    def test_those_that_some_agents_never_answer_cost_hardly_more(self) -> None:
        """For these a test is over when nothing new comes, and one page a look shows that."""
        world = World(tests=96, hide_instant_tests=True, seed=7, agents=29)
        records = world.rerun(wait_for_results=True)
        assert {record.ending for record in records.values()} == {"passed"}
        assert len(world.result_calls) <= 0.55 * 96

    def test_so_do_those_whose_agents_take_their_time(self) -> None:
        world = World(tests=96, hide_instant_tests=True, results_after_seconds=20, **ALL_ONLINE)
        records = world.rerun(wait_for_results=True)
        assert {verdict_of(record).agents_answered for record in records.values()} == {25}
        assert len(world.result_calls) <= 0.5 * 96

    def test_a_prefect_server_that_lets_nobody_in_stops_the_run_and_cuts_no_call_off(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Shut(Noted):
            async def write(self, record: Record, confirm: object = None) -> None:  # noqa: ARG002
                if record.verdict:
                    raise NoAccess("the server does not let this process in (401)")

        monkeypatch.setattr("tests.flows.rerun.world.Noted", Shut)
        world = World(tests=100, latency_seconds=3, results_after_seconds=2)
        records = world.rerun(wait_for_results=True, max_in_flight=5)
        assert world.stopped == "the server does not let this process in (401)"
        assert {record.outcome for record in records.values()} == {"accepted", "not_attempted"}

    def test_without_waiting_nothing_is_read(self) -> None:
        world = World(tests=IDS)
        records = world.rerun()
        assert world.result_calls == []
        assert {record.ending for record in records.values()} == {Outcome.ACCEPTED}


class TestSettling:
    def test_a_lost_reply_is_accepted_when_a_newer_round_is_found(self) -> None:
        faults = {NETWORK: Fault(replies=["dropped_after"])}
        world = World(
            tests=IDS, faults=faults, earlier_round_seconds=90, starts_at=NOON + 5, **ALL_ONLINE
        )
        record = world.rerun([NETWORK], delivery="at_most_once")[NETWORK]
        assert (record.outcome, record.verdict) == (Outcome.ACCEPTED, None)
        began = datetime.fromtimestamp(NOON, UTC)
        assert record.detail.startswith(
            f"confirmed by its results: a new round began at {began:%H:%M} UTC"
        )
        assert "sent, and no answer came back" in record.detail
        assert world.took < 15

    def test_so_is_one_of_a_test_with_a_longer_interval_and_a_name(self) -> None:
        world = World(
            tests=IDS,
            **LATE_IN_A_LONG_INTERVAL,
            **ALL_ONLINE,
        )
        record = Record(NETWORK, test_name="known already, so that no listing is needed for it")
        run(world.execute([record], RerunOptions(delivery=Delivery.AT_MOST_ONCE)))
        assert record.outcome is Outcome.ACCEPTED

    def test_a_call_that_was_not_carried_out_stays_what_it_was(self) -> None:
        faults = {NETWORK: Fault(replies=["dropped_before"]), HTTP: Fault(replies=[500])}
        world = World(
            tests=IDS, faults=faults, earlier_round_seconds=70, starts_at=NOON + 5, **ALL_ONLINE
        )
        records = world.rerun([NETWORK, HTTP], delivery="at_most_once", wait_for_results=True)
        assert [record.ending for record in records.values()] == ["unknown", "server_error"]
        assert all("; it may still have run" in record.detail for record in records.values())
        assert world.simulator.runs(NETWORK) == world.simulator.runs(HTTP) == 0

    @pytest.mark.parametrize("wait_for_results", [False, True])
    @pytest.mark.parametrize("seconds", [100, 200])
    def test_a_round_that_another_run_may_have_begun_settles_nothing(
        self,
        seconds: int,
        wait_for_results: bool,  # noqa: FBT001
    ) -> None:
        faults = {NETWORK: Fault(replies=["dropped_before"])}
        world = World(tests=IDS, faults=faults, starts_at=NOON + 5, **ALL_ONLINE)
        world.simulator.run_times[NETWORK].append(NOON + seconds)
        minute = int(NOON + seconds) // 60 * 60
        record, options = Record(NETWORK), {"wait_for_results": wait_for_results}
        chosen = RerunOptions.model_validate({"delivery": "at_most_once"} | options)
        run(world.execute([record], chosen, others={NETWORK: [minute - 60]}))
        assert (record.ending, record.verdict) == ("unknown", None)
        assert record.detail.endswith(
            "; all new rounds in its results may be another run's, and it may still have run"
        )
        assert 300 <= world.took < 310, "a round of its own was awaited to the end"

    def test_a_late_round_settles_it_if_no_other_run_sent_the_test_before(self) -> None:
        faults = {NETWORK: Fault(replies=["dropped_before"])}
        world = World(tests=IDS, faults=faults, starts_at=NOON + 5, **ALL_ONLINE)
        world.simulator.run_times[NETWORK].append(NOON + 200)  # its agents may be as late as this
        record, others = Record(NETWORK), {NETWORK: [int(NOON) - 120, int(NOON) + 240]}
        options = RerunOptions(delivery=Delivery.AT_MOST_ONCE)
        run(world.execute([record], options, others=others))
        assert record.outcome is Outcome.ACCEPTED

    def test_no_late_round_settles_it_where_nobody_can_tell_what_other_runs_sent(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def refused(*_: object) -> Mapping[str, list[int]]:
            raise NoAccess("the server does not let this process in (401)")

        monkeypatch.setattr("tests.flows.rerun.world._told", lambda _: refused)
        faults = {test_id: Fault(replies=["dropped_before"]) for test_id in IDS}
        world = World(tests=IDS, faults=faults, starts_at=NOON + 5, **ALL_ONLINE)
        for test_id in IDS:
            world.simulator.run_times[test_id].append(NOON + 100)
        records = world.rerun(delivery="at_most_once", wait_for_results=True)
        assert {record.ending for record in records.values()} == {"unknown"}
        assert all("does not let this process in" in one.detail for one in records.values())
        assert sorted(world.known[-4:]) == IDS, "they are recorded all the same"

    def test_other_runs_are_asked_about_once_a_look_and_only_for_late_rounds(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[set[str]] = []

        async def ask(records: Iterable[Record], _: object) -> Mapping[str, list[int]]:
            asked.append({record.test_id for record in records})
            return NO_OTHERS

        monkeypatch.setattr("tests.flows.rerun.world._told", lambda _: ask)
        faults = {test_id: Fault(replies=["dropped_before"]) for test_id in IDS[1:]}
        faults[NETWORK] = Fault(replies=["dropped_after"])
        world = World(tests=IDS, faults=faults, starts_at=NOON + 5, **ALL_ONLINE)
        for test_id in IDS[1:]:
            world.simulator.run_times[test_id].append(NOON + 100)
        records = world.rerun(delivery="at_most_once")
        assert {record.ending for record in records.values()} == {"accepted"}
        assert asked == [set(IDS[1:])]

    def test_it_is_judged_too_where_results_are_waited_for(self) -> None:
        world = World(tests=IDS, faults={HTTP: Fault(replies=["dropped_after"])}, **ALL_ONLINE)
        record = world.rerun([HTTP], delivery="at_most_once", wait_for_results=True)[HTTP]
        assert (record.outcome, record.ending) == ("accepted", "passed")

    def test_a_round_within_the_minute_proves_nothing_where_none_could_be_noted_before(
        self,
    ) -> None:
        world = World(
            tests=IDS, faults={NETWORK: Fault(replies=["dropped_after"])}, result_replies=[503]
        )
        record = world.rerun([NETWORK], delivery="at_most_once")[NETWORK]
        assert record.outcome is Outcome.UNKNOWN

    def test_the_call_that_was_lost_counts_and_not_one_that_was_refused_before_it(self) -> None:
        """Somebody ran it while this one waited for quota: that round is not its own."""
        faults = {NETWORK: Fault(replies=[429, "dropped_before"])}
        world = World(tests=IDS, faults=faults, rate_headers=[], starts_at=NOON + 5)
        world.simulator.run_times[NETWORK].append(NOON + 30)  # while this one waits a minute
        record = world.rerun([NETWORK], delivery="at_most_once")[NETWORK]
        assert record.attempts == 2
        assert record.outcome is Outcome.UNKNOWN

    def test_under_at_least_once_nothing_is_read(self) -> None:
        world = World(tests=IDS, faults={NETWORK: Fault(replies=["dropped_after"], repeat=True)})
        assert world.rerun([NETWORK])[NETWORK].outcome is Outcome.UNKNOWN
        assert world.result_calls == []

    @given(
        st.permutations(["dropped_after"] * 30 + ["dropped_before"] * 15 + [None] * 15), st.data()
    )
    @steady(6)
    def test_what_was_applied_is_accepted_and_the_rest_unknown_and_nothing_runs_twice(
        self, mix: list[Any], data: st.DataObject
    ) -> None:
        test_ids = [str(number) for number in range(60)]
        world = World(
            tests=test_ids,
            faults={
                test_id: Fault(replies=[fault])
                for test_id, fault in zip(test_ids, mix, strict=True)
                if fault
            },
            agents=data.draw(st.integers(1, 4)),
            skew=data.draw(st.sampled_from([0, 3600, -3600])),
            starts_at=NOON + data.draw(st.floats(0, 59)),
            earlier_round_seconds=data.draw(st.sampled_from([0, 61, 100, 600])),
            hide_instant_tests=data.draw(st.booleans()),
        )
        records = world.rerun(delivery="at_most_once")
        runs = {test_id: world.simulator.runs(test_id) for test_id in test_ids}
        assert Counter(runs.values()) == {1: 45, 0: 15}
        for test_id, record in records.items():
            assert record.outcome == ("accepted" if runs[test_id] else "unknown")


class TestAnAccountGroupThatCanNotBeRead:
    """It comes first, and costs the others nothing."""

    def rerun(self, *, died: datetime | None = None, **options: Any) -> list[Record]:
        chosen = RerunOptions.model_validate(options)
        world = World(
            tests=IDS,
            **LATE_IN_A_LONG_INTERVAL,
            aid="7",
            **ALL_ONLINE,
        )
        named = [Record(one, one, aid=aid) for one, aid in zip(IDS, "7788", strict=True)]
        run(world.execute([*named[2:], *named[:2]], chosen, died=died))
        return named

    def test_leaves_what_ran_lately_to_be_skipped_in_the_others(self) -> None:
        records = self.rerun(skip_if_run_within_minutes=60)
        assert [record.outcome for record in records] == [
            *("skipped", "skipped", "forbidden", "forbidden")
        ]

    def test_leaves_doubts_to_be_settled_in_the_others_by_their_intervals(self) -> None:
        records = self.rerun(delivery="at_most_once")
        assert [record.outcome for record in records] == [
            *("accepted", "accepted", "forbidden", "forbidden")
        ]

    def test_leaves_known_in_the_others_what_an_attempt_that_died_may_have_sent(self) -> None:
        died = datetime.fromtimestamp(NOON + 270, UTC)
        records = self.rerun(skip_if_run_within_minutes=1, max_in_flight=1, died=died)
        assert [record.maybe_duplicate for record in records] == [True, False, True, True]

    def test_leaves_the_intervals_and_rounds_of_the_others_known_though_it_never_answers(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = ThousandEyesClient.read

        async def silent(
            client: ThousandEyesClient, *asked: Any, aid: str | None = None, **more: Any
        ) -> Any:
            await asyncio.sleep(170 if aid == "8" else 0)
            return await read(client, *asked, aid=aid, **more)

        monkeypatch.setattr(ThousandEyesClient, "read", silent)
        records = self.rerun(skip_if_run_within_minutes=60)
        assert [record.outcome for record in records[:2]] == ["skipped", "skipped"]

    def test_is_named_with_what_it_answered(self, caplog: pytest.LogCaptureFixture) -> None:
        self.rerun(delivery="at_most_once")
        assert "(account group 8)" in caplog.text


class TestATestThatSpoilsCallsForResults:
    """The API refuses each call that asks for its results, also for those of other tests."""

    def test_leaves_what_ran_lately_to_be_skipped(self, caplog: pytest.LogCaptureFixture) -> None:
        world = World(tests=IDS, unreadable=[HTTP], earlier_round_seconds=120, **ALL_ONLINE)
        records = world.rerun(skip_if_run_within_minutes=60)
        skipped = {test_id for test_id in IDS if records[test_id].outcome == "skipped"}
        assert skipped == {*IDS} - {HTTP}
        assert f"Test {HTTP}: its results can't be read before it is sent: 404: " in caplog.text

    def test_is_asked_for_apart_if_the_api_does_not_list_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = ThousandEyesClient.read
        asked: list[set[str]] = []

        async def noted(client: ThousandEyesClient, method: str, path: str, **more: Any) -> Any:
            if "/test-results/" in path:
                asked.append({*more["body"]["searchFilters"]["testId"]})
            return await read(client, method, path, **more)

        monkeypatch.setattr(ThousandEyesClient, "read", noted)
        World(tests=IDS).rerun(["999", *IDS], skip_if_run_within_minutes=60)
        assert {*IDS} in asked
        assert [ids for ids in asked if "999" in ids] == [{"999"}, {"999"}]

    def test_leaves_the_doubts_of_others_to_be_settled(self) -> None:
        lost = {test_id: Fault(replies=["dropped_after"]) for test_id in (NETWORK, HTTP)}
        world = World(tests=IDS, unreadable=[HTTP], faults=lost, **ALL_ONLINE)
        records = world.rerun(delivery="at_most_once")
        assert (records[NETWORK].outcome, records[HTTP].outcome) == ("accepted", "unknown")


class TestWhatAnEarlierAttemptLeft:
    """Its rounds are there already: nothing is sent, and the first look comes at once."""

    def left(
        self, *records: Record, others: Mapping[str, list[int]] = NO_OTHERS, **options: Any
    ) -> World:
        world = World(tests=IDS, earlier_round_seconds=400, starts_at=NOON + 20, **ALL_ONLINE)
        chosen = RerunOptions.model_validate(options)
        run(world.execute([], chosen, left_open=records, others=others))
        assert not any(call.path.endswith("/run") for call in world.simulator.calls)
        return world

    def test_an_accepted_test_gets_its_verdict(self) -> None:
        noted = Record(NETWORK, outcome=Outcome.ACCEPTED, rounds_after=int(NOON) - 480)
        sent = datetime.fromtimestamp(NOON - 390, UTC)
        by_time = Record(HTTP, outcome=Outcome.ACCEPTED, started_at=sent)
        world = self.left(noted, by_time, wait_for_results=True)
        assert [noted.ending, by_time.ending] == ["passed", "passed"]
        assert world.known == [NETWORK, HTTP]

    def test_a_doubt_is_settled_by_the_round_that_was_noted(self) -> None:
        found = Record(NETWORK, outcome=Outcome.UNKNOWN, rounds_after=int(NOON) - 480)
        older = Record(HTTP, outcome=Outcome.SERVER_ERROR, rounds_after=int(NOON) - 420)
        self.left(found, older, delivery="at_most_once", results_deadline_minutes=1)
        assert [found.outcome, older.outcome] == ["accepted", "server_error"]

    @pytest.mark.parametrize(
        ("after", "others"), [(8 * 3600, NO_OTHERS), (540, {NETWORK: [int(NOON) - 480]})]
    )
    def test_neither_a_round_of_hours_later_nor_one_of_another_run_tells_anything_of_it(
        self, after: int, others: Mapping[str, list[int]]
    ) -> None:
        doubt = Record(NETWORK, outcome=Outcome.UNKNOWN, rounds_after=int(NOON) - after)
        taken = Record(HTTP, outcome=Outcome.ACCEPTED, rounds_after=int(NOON) - after)
        options = {"delivery": "at_most_once", "wait_for_results": True}
        self.left(doubt, taken, others={**others, HTTP: others.get(NETWORK, [])}, **options)
        assert [doubt.ending, taken.ending] == ["unknown", "no_data"]

    def test_what_was_under_way_when_it_died_is_marked_though_others_come_first_in_the_list(
        self,
    ) -> None:
        tests = [str(number) for number in range(1, 7)]
        world = World(tests=tests, earlier_round_seconds=600, starts_at=NOON + 50)
        for test_id in tests[:2]:  # somebody has just run these, so that they are sent last
            world.simulator.run_times[test_id].append(NOON + 35)
        options = RerunOptions(wait_for_results=True, max_in_flight=2)

        async def killed_and_started_again() -> list[Record]:
            attempt = asyncio.ensure_future(world.execute(map(Record, tests), options))
            while not world.simulator.runs("3"):  # noqa: ASYNC110 - nobody tells it
                await asyncio.sleep(0.01)
            attempt.cancel()
            await asyncio.wait([attempt])
            records = [Record(test_id) for test_id in tests]
            await world.execute(records, options, died=datetime.fromtimestamp(NOON + 50, UTC))
            return records

        records = run(killed_and_started_again())
        calls = Counter(
            call.test_id for call in world.simulator.calls if call.path.endswith("/run")
        )
        twice = {test_id for test_id in tests if calls[test_id] > 1}
        assert twice, "or nothing was under way"
        assert twice <= {record.test_id for record in records if record.maybe_duplicate}

    @pytest.mark.parametrize(("hours", "marked"), [(0.5, 2), (2, 6)])
    def test_all_is_marked_where_it_died_so_long_ago_that_its_rounds_are_not_looked_for(
        self, hours: float, marked: int
    ) -> None:
        world = World(tests=6, earlier_round_seconds=86_400)
        records = [Record(test_id) for test_id in world.simulator.test_ids]
        options = RerunOptions(wait_for_results=True, max_in_flight=2)
        died = datetime.fromtimestamp(NOON - hours * 3600, UTC)
        run(world.execute(records, options, died=died))
        assert sum(record.maybe_duplicate for record in records) == marked

    def test_a_doubt_of_which_nothing_was_noted_stays(self) -> None:
        sent = datetime.fromtimestamp(NOON - 390, UTC)
        record = Record(NETWORK, outcome=Outcome.UNKNOWN, started_at=sent)
        world = self.left(record, delivery="at_most_once", wait_for_results=True)
        assert record.outcome is Outcome.UNKNOWN
        assert world.result_calls == []


@pytest.mark.parametrize(
    ("record", "delivery", "wait", "wanted"),
    [
        (Record("1", outcome=Outcome.ACCEPTED), "at_least_once", False, False),
        (Record("1", outcome=Outcome.ACCEPTED), "at_least_once", True, True),
        (judged("1"), "at_least_once", True, False),
        (Record("1", outcome=Outcome.UNKNOWN), "at_least_once", True, False),
        (Record("1", outcome=Outcome.UNKNOWN), "at_most_once", False, True),
        (Record("1", outcome=Outcome.SERVER_ERROR), "at_most_once", True, True),
        (Record("1", outcome=Outcome.NOT_FOUND), "at_most_once", True, False),
        (Record("1"), "at_most_once", True, False),
    ],
)
def test_results_are_wanted_where_they_tell_something_new(
    *,
    record: Record,
    delivery: Delivery,
    wait: bool,
    wanted: bool,
) -> None:
    options = RerunOptions(delivery=delivery, wait_for_results=wait)
    assert wants_results(record, options) is wanted
