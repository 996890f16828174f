"""What a run is about when it isn't told ID by ID: a file, names, what failed before."""

import signal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import State
from prefect.flow_engine import run_flow
from prefect.states import AwaitingRetry, Cancelling, Crashed, Running, Scheduled

from flows.rerun import RerunOptions, rerun_endpoint_tests
from flows.rerun.parameters import FLOW, Parameters
from flows.rerun.sources import read_ids
from tasks.artifacts import TEST_KEY, read_outcomes
from tasks.blocks import EndpointTestGroup
from tests.flows.conftest import TOKEN
from tests.flows.rerun.test_interruptions import deployed_run
from tests.flows.rerun.written_runs import (
    crashed_run,
    ended_run,
    run_that_recorded,
    selected,
    would_send,
)
from tests.flows.scene import (
    NO_RUN,
    Simulate,
    artifacts_of,
    id_of,
    ids,
    process,
    sent,
    wait_until,
)
from thousandeyes.delivery import Delivery
from thousandeyes.errors import InvalidTestIds, SettingsError
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.simulator import Behaviour, Fault

pytestmark = pytest.mark.usefixtures("prefect_server")

ANSWERS = {
    "202702": Fault(replies=[404]),
    "202703": Fault(replies=[400]),
    "202704": Fault(replies=[403]),
    "202705": Fault(replies=[503] * 4),
    "202706": Fault(replies=["dropped_after"] * 4),
}
ENDED = {
    "202701": Outcome.ACCEPTED,
    "202702": Outcome.NOT_FOUND,
    "202703": Outcome.INVALID,
    "202704": Outcome.FORBIDDEN,
    "202705": Outcome.SERVER_ERROR,
    "202706": Outcome.UNKNOWN,
}
"""How the tests of a run end that gets these answers."""


async def run(test_ids: list[str], **options: Any) -> State[list[Record]]:
    return await rerun_endpoint_tests(
        test_ids, options=RerunOptions.model_validate(options), return_state=True
    )


async def run_in(state: State[Any]) -> UUID:
    """Return a run of one test that is in this state."""
    async with get_client() as client:
        flow_run = await client.create_flow_run(
            rerun_endpoint_tests, parameters={"test_ids": ids(1)}, state=state
        )
    return flow_run.id


async def executed(flow_run_id: UUID) -> None:
    """Execute a run in this process, with its parameters as the Prefect server has them."""
    async with get_client() as client:
        flow_run = await client.read_flow_run(flow_run_id)
    await run_flow(rerun_endpoint_tests, flow_run=flow_run, return_type="state")  # type: ignore[misc]


async def test_a_run_that_is_written_is_read_as_a_real_one_that_ended_so(
    simulate: Simulate,
) -> None:
    """What other tests here refer to is as good as a run."""
    simulate(tests=ids(6), faults=ANSWERS)
    real = id_of(await run(ids(6)))
    records = sorted(await read_outcomes([real]), key=lambda record: record.test_id)
    assert {record.test_id: record.outcome for record in records} == ENDED
    written = await run_that_recorded(records, ids(6))

    async def left_by(flow_run_id: UUID) -> tuple[object, ...]:
        async with get_client() as client:
            flow_run = await client.read_flow_run(flow_run_id)
        assert flow_run.state
        asked = Parameters.of(flow_run, FLOW)
        artifacts = await artifacts_of(flow_run_id)
        own = {key: one.data for key, one in artifacts.items() if key.startswith(TEST_KEY)}
        end = flow_run.state.type, flow_run.state.message, flow_run.run_count
        return asked, own, end

    assert await left_by(written) == await left_by(real)
    bare = await read_outcomes([await ended_run(ENDED)])
    assert {record.test_id: record.outcome for record in bare} == ENDED


class TestFile:
    @pytest.mark.parametrize(
        ("name", "reason"),
        [("lost.txt", "No such file"), (".", "Is a directory"), ("\0", "no file has such a name")],
    )
    def test_that_can_not_be_read_is_told(self, name: str, reason: str) -> None:
        with pytest.raises(SettingsError, match=rf"^test_ids_file: .* can't be read: {reason}"):
            read_ids(name)

    def test_that_holds_something_else_is_told_by_line_and_column_without_its_content(self) -> None:
        Path(".env").write_text("# mine\nTE_TOKEN=5ecret\n", "utf-8")
        with pytest.raises(InvalidTestIds) as caught:
            read_ids(".env")
        assert str(caught.value).startswith(
            "test_ids_file: .env: line 2, column 1 is not a test ID: an ID is up to 64 letters,"
        )
        assert "5ecret" not in str(caught.value)

    async def test_comes_after_the_ids_and_before_the_groups(
        self, simulate: Simulate, tmp_path: Path
    ) -> None:
        simulate(tests=ids(4))
        await EndpointTestGroup(test_ids=["202701", "202704"]).save("of-file", overwrite=True)
        file = tmp_path / "ids.txt"
        file.write_text("202703 202702", "utf-8")
        outcomes = await rerun_endpoint_tests(
            ["202702"], ["of-file"], options=RerunOptions(test_ids_file=str(file))
        )
        assert [one.test_id for one in outcomes] == ["202702", "202703", "202701", "202704"]

    async def test_or_list_with_the_token_as_an_id_is_refused_and_the_token_not_repeated(
        self, simulate: Simulate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        simulator = simulate(tests=1)
        token = "0a1b2c3d-4e5f-6789-abcd-ef0123456789"
        monkeypatch.setenv("TE_TOKEN", token)
        file = tmp_path / "token"
        file.write_text(token.upper())
        for options, refusal in (
            (RerunOptions(test_ids_file=str(file)), "1 of the test IDs contains an API token"),
            (RerunOptions(test_ids_file=token), "1 of the names of files"),
            (RerunOptions(name_pattern=f"Bearer {token}"), "1 of the names of files and patterns"),
        ):
            with pytest.raises((SettingsError, InvalidTestIds), match=refusal) as refused:
                await rerun_endpoint_tests(["202701"], options=options)
            assert token not in str(refused.value).casefold()
        assert simulator.calls == []


class TestName:
    async def test_finds_what_the_api_lists(self, simulate: Simulate) -> None:
        simulator = simulate(tests=ids(6))
        assert all("(" in test.name for test in simulator.tests.values())
        state = await run([], name_pattern="*(*)*")
        assert set(sent(simulator)) == set(ids(6))
        assert state.message == "6 of 6 tests accepted."

    async def test_that_nothing_has_is_an_error_unless_other_tests_are_named(
        self, simulate: Simulate
    ) -> None:
        simulator = simulate(tests=ids(2), hide_instant_tests=True)
        with pytest.raises(InvalidTestIds, match=r"no tests given: .* none of the 0 tests .*'\*'"):
            await rerun_endpoint_tests(options=RerunOptions(name_pattern="*"))
        assert sent(simulator) == {}
        await run(ids(1), name_pattern="*")
        assert sent(simulator) == {"202701": 1}
        await EndpointTestGroup(test_ids=ids(1)).save("beside-a-pattern", overwrite=True)
        options = RerunOptions(name_pattern="*")
        await rerun_endpoint_tests(groups=["beside-a-pattern"], options=options)
        assert sent(simulator) == {"202701": 2}


class TestOnlyFailed:
    async def test_reaches_the_tests_that_so_many_gone_ids_had_kept_from_their_turn(
        self, simulate: Simulate
    ) -> None:
        simulate(tests=ids(2))
        gone = [*map(str, range(1, 12))]
        before = await run([*gone, *ids(2)], max_in_flight=1)
        assert "10 not found, 3 not attempted" in str(before.message)
        left = await selected(only_failed_of=str(id_of(before)))
        assert left.test_ids == [gone[-1], *ids(2), *gone[:10]], "in the order of their turns"

    @pytest.mark.parametrize(
        ("delivery", "again"),
        [
            ("at_least_once", {"202702", "202703", "202704", "202705", "202706"}),
            ("at_most_once", {"202702", "202703", "202704"}),
        ],
    )
    async def test_sends_exactly_what_did_not_end_well(
        self, simulate: Simulate, delivery: str, again: set[str]
    ) -> None:
        simulator = simulate(tests=ids(6), results_after_seconds=3600)
        quick: dict[str, Any] = {"delivery": delivery, "results_deadline_minutes": 0.001}
        before = await ended_run(ENDED, **quick)
        narrowed = quick | {"only_failed_of": str(before)}
        state = await run([], **narrowed)
        assert set(sent(simulator)) == again
        assert await would_send(**narrowed) == again, "as other tests here ask"
        outcomes = {one.test_id: one.outcome for one in await read_outcomes([id_of(state)])}
        left = {test_id: ENDED[test_id] for test_id in ids(6)[1:]}
        assert outcomes == left | dict.fromkeys(again, Outcome.ACCEPTED)

    async def test_runs_again_what_a_run_failed_for_that_waited_for_results(
        self, simulate: Simulate
    ) -> None:
        bad = {test_id: [Behaviour(loss=100)] for test_id in ("202702", "202704")}
        simulate(tests=ids(4), agents_of=bad, results_after_seconds=0.1, healthy=True, agents=9)
        before = await run(ids(4), wait_for_results=True)
        assert (
            before.message
            == "2 of 4 tests failed: Intranet (Gdansk), Order desk (Bristol); 2 passed."
        )
        assert await would_send([], only_failed_of=str(id_of(before))) == {"202702", "202704"}

    async def test_with_tests_named_narrows_these_down(self) -> None:
        before = str(await ended_run(ENDED))
        named = ["202701", "202704", "202707"]
        assert await would_send(named, only_failed_of=before) == {"202704", "202707"}

    @pytest.mark.parametrize("delivery", list(Delivery))
    async def test_of_a_run_that_was_narrowed_down_leaves_out_what_that_left_out(
        self, delivery: Delivery
    ) -> None:
        accepted, gone = Outcome.ACCEPTED, Outcome.NOT_FOUND
        first = {"202701": accepted, "202702": gone, "202703": accepted, "202704": gone}
        options: dict[str, Any] = {"delivery": delivery}
        for outcomes in (first, {"202702": gone, "202704": accepted}, {"202702": gone}):
            before = await ended_run(outcomes, ids(4), **options)
            options["only_failed_of"] = str(before)
            failed = {test_id for test_id, outcome in outcomes.items() if outcome is gone}
            assert await would_send(ids(4), **options) == failed
        sends = await would_send(ids(5), **options)
        assert sends == {"202702", "202705"}, "202705 had no turn"

    async def test_judges_what_that_left_out_by_the_options_of_the_run_before_it(
        self,
    ) -> None:
        ends = {"202701": Outcome.NOT_FOUND, "202702": Outcome.ACCEPTED}
        first = await ended_run(ends, fail_on=["accepted", "not_found"])
        second = await crashed_run(only_failed_of=str(first))
        assert await would_send(ids(3), only_failed_of=str(second)) == set(ids(3))

    async def test_sends_what_was_left_out_where_the_run_that_tells_so_is_gone(
        self, simulate: Simulate
    ) -> None:
        simulator = simulate(tests=ids(2), faults={"202702": Fault(replies=[404], repeat=True)})
        first = id_of(await run(ids(2)))
        second = id_of(await run(ids(2), only_failed_of=str(first)))
        async with get_client() as client:
            await client.delete_flow_run(first)
        await run(ids(2), only_failed_of=str(second))
        assert sent(simulator) == {"202701": 2, "202702": 3}

    async def test_after_a_run_that_went_well_does_nothing_and_passes(
        self, simulate: Simulate
    ) -> None:
        simulator = simulate(tests=ids(2))
        before = await ended_run(dict.fromkeys(ids(2), Outcome.ACCEPTED))
        state = await run([], only_failed_of=str(before))
        assert state.message == "No test is left to run: all of them ended well before."
        assert state.is_completed()
        assert sent(simulator) == {}

    async def test_of_what_only_failed_was_sent_is_about_that_alone(self) -> None:
        first = await ended_run(ENDED)
        again = dict.fromkeys(ids(6)[1:], Outcome.ACCEPTED) | {"202705": Outcome.SERVER_ERROR}
        second = await run_that_recorded(
            [Record(test_id, outcome=outcome) for test_id, outcome in again.items()],
            [],
            only_failed_of=str(first),
        )
        assert await would_send([], only_failed_of=str(second)) == {"202705"}

    @pytest.mark.parametrize("named", [[], ["202705", "202706"]], ids=["all", "narrowed down"])
    async def test_of_a_run_that_died_sends_no_test_that_was_in_doubt_before(
        self, named: list[str]
    ) -> None:
        """Under at_most_once, over any number of runs that go on from one another."""
        first = await ended_run(ENDED, delivery="at_most_once")
        died = await crashed_run(only_failed_of=str(first), delivery="at_most_once")
        again = {"only_failed_of": str(died), "delivery": "at_most_once"}
        expected = set() if named else {"202702", "202703", "202704"}
        assert await would_send(named, **again) == expected
        settles = (await selected(named, **again)).carried
        assert {test_id: record.outcome for test_id, record in settles.items()} == {
            "202705": Outcome.SERVER_ERROR,
            "202706": Outcome.UNKNOWN,
        }

    async def test_sends_nothing_that_a_retry_which_died_may_have_sent_again(
        self, simulate: Simulate
    ) -> None:
        simulate(tests=ids(6), faults=ANSWERS)
        then = id_of(await run(ids(6)))
        async with get_client() as client:
            await client.set_flow_run_state(then, Crashed(), force=True)
        again = {"only_failed_of": str(then), "delivery": "at_most_once"}
        assert await would_send(**again) == {"202702", "202703", "202704"}, "one attempt"
        async with get_client() as client:
            await client.set_flow_run_state(then, Running(), force=True)
            await client.set_flow_run_state(then, Crashed(), force=True)
        assert await would_send(**again) == {"202702", "202703"}, "these are not sent again"

    @pytest.mark.parametrize(
        ("then", "named", "sends"),
        [
            ({"delivery": "at_most_once"}, [], {"202701", "202702", "202703"}),
            ({}, [], {"202702", "202703"}),
            ({"wait_for_results": True}, [], set()),
            ({"skip_if_run_within_minutes": 5}, [], set()),
            ({}, ["202703", "202701"], set()),
        ],
        ids=["it told before each call", "in order", "waited", "skipped", "another order"],
    )
    async def test_of_a_run_that_died_sends_no_test_that_it_may_have_sent_without_a_record(
        self, then: dict[str, Any], named: list[str], sends: set[str]
    ) -> None:
        parameters = {"test_ids": ids(3), "options": {"max_in_flight": 1} | then}
        async with get_client() as client:
            died = await client.create_flow_run(
                rerun_endpoint_tests, parameters=parameters, state=Running()
            )
            await client.set_flow_run_state(died.id, Crashed(), force=True)
        again = {"only_failed_of": str(died.id), "delivery": "at_most_once"}
        assert await would_send(named, **again) == sends

    async def test_keeps_a_doubt_that_a_run_which_did_not_get_through_says_nothing_of(
        self,
    ) -> None:
        quick = {"delivery": "at_most_once"}
        first = await ended_run({"202701": Outcome.UNKNOWN}, **quick)
        unheard = {"202701": Outcome.UNREACHABLE}
        second = await ended_run(unheard, ids(1), only_failed_of=str(first), **quick)
        assert await would_send(only_failed_of=str(second), **quick) == set()

    async def test_of_a_run_that_referred_to_its_own_deployment_is_of_the_run_before_it(
        self, simulate: Simulate
    ) -> None:
        simulate(tests=ids(6), faults=ANSWERS)
        of_its_own: dict[str, object] = {"only_failed_of": "rerun-endpoint-tests/interrupted"}
        await executed(await deployed_run(ids(2), {}))
        died = await deployed_run([], of_its_own)
        async with get_client() as client:
            await client.set_flow_run_state(died, Running(), force=True)
            await client.set_flow_run_state(died, Crashed(), force=True)
        assert await would_send(only_failed_of=str(died)) == {"202702"}

    async def test_of_a_dry_run_is_refused(self, simulate: Simulate) -> None:
        simulator = simulate(tests=ids(1))
        looked = id_of(await run(ids(1), dry_run=True))
        for named in ([], ids(1)):
            with pytest.raises(SettingsError, match=r"was a dry run.* Nothing was sent\."):
                await selected(named, only_failed_of=str(looked))
        assert sent(simulator) == {}

    @pytest.mark.parametrize("state", [Running(), AwaitingRetry(), Scheduled(), Cancelling()])
    async def test_of_a_run_that_may_still_send_is_refused(self, state: State[Any]) -> None:
        going_on = await run_in(state)
        for named in ([], ids(1)):
            with pytest.raises(SettingsError, match=r"has not ended, .* Nothing was sent\."):
                await selected(named, only_failed_of=f" {going_on} ")

    async def test_of_a_run_that_may_still_send_sends_nothing(self, simulate: Simulate) -> None:
        simulator = simulate(tests=ids(1))
        going_on = await run_in(Running())
        for named in ([], ids(1)):
            again: State[Any] = await run(named, only_failed_of=str(going_on))
            with pytest.raises(SettingsError, match=r"has not ended, .* Nothing was sent\."):
                await again.result()
        assert sent(simulator) == {}

    async def test_reads_a_file_that_the_earlier_run_was_given_only_inside_the_folder(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        file = tmp_path / "mine.txt"
        file.write_text("202701")
        earlier = str(await crashed_run(test_ids_file=str(file)))
        again = await crashed_run(only_failed_of=earlier)
        for reference in (earlier, str(again)):
            with pytest.raises(SettingsError, match=r"TE_FILES_DIR is not set.* name it again"):
                await selected(only_failed_of=reference)
        named_again = await would_send(only_failed_of=earlier, test_ids_file=str(file))
        assert named_again == {"202701"}
        monkeypatch.setenv("TE_FILES_DIR", str(tmp_path))
        assert await would_send(only_failed_of=earlier) == {"202701"}

    async def test_of_a_run_of_another_flow_is_refused(self, simulate: Simulate) -> None:
        simulator = simulate(tests=ids(1))
        async with get_client() as client:
            other = await client.create_flow_run(
                flow(name="another")(lambda test_ids: test_ids),
                parameters={"test_ids": ids(1)},
                state=Crashed(),
            )
        again: State[Any] = await run([], only_failed_of=str(other.id))
        with pytest.raises(SettingsError, match="is a run of another, and not of rerun-endpoint"):
            await again.result()
        assert sent(simulator) == {}

    @pytest.mark.parametrize("option", ["only_failed_of", "compare_with"])
    async def test_of_a_deployment_of_another_flow_is_refused_even_if_it_never_ran(
        self, simulate: Simulate, option: str
    ) -> None:
        simulator = simulate(tests=ids(1))
        async with get_client() as client:
            flow_id = await client.create_flow(flow(name="another")(lambda: None))
            await client.create_deployment(flow_id, name="never-ran")
        again: State[Any] = await run(ids(1), **{option: "another/never-ran"})
        told = (
            f"{option}: 'another/never-ran' is a deployment of another, and not of rerun-endpoint"
        )
        with pytest.raises(SettingsError, match=told):
            await again.result()
        assert sent(simulator) == {}

    @pytest.mark.servers
    @pytest.mark.parametrize("delivery", list(Delivery))
    async def test_of_a_deployment_is_of_its_latest_run_also_after_a_crash(
        self, simulate: Simulate, delivery: Delivery
    ) -> None:
        slow = {test_id: Fault(latency_seconds=0.2) for test_id in ids(12)}
        simulator = simulate(tests=ids(12), faults=slow)
        crashed = await deployed_run(ids(12), {"max_in_flight": 2})
        async with process("-m", "prefect.engine", str(crashed)) as killed:
            await wait_until(lambda: len(sent(simulator)) >= 5)
            killed.send_signal(signal.SIGKILL)
            await killed.wait()
        async with get_client() as client:
            await client.set_flow_run_state(crashed, Crashed(), force=True)
        recorded = {one.test_id for one in await read_outcomes([crashed])}
        already = sent(simulator)
        await run([], only_failed_of="rerun-endpoint-tests/interrupted", delivery=delivery)
        assert recorded
        if delivery is Delivery.AT_LEAST_ONCE:
            assert set(sent(simulator) - already) == set(ids(12)) - recorded
        else:
            assert set(sent(simulator).values()) == {1}, "what was under way is left in doubt"

    @pytest.mark.parametrize(
        ("test_ids", "options"),
        [(["no ID!"], {}), ([], {}), (ids(3), {"dry_run": True})],
        ids=["no ID", "no tests", "a dry run"],
    )
    async def test_of_a_deployment_passes_over_runs_that_sent_nothing(
        self,
        simulate: Simulate,
        monkeypatch: pytest.MonkeyPatch,
        test_ids: list[str],
        options: dict[str, object],
    ) -> None:
        monkeypatch.setattr("flows.rerun.earlier._PAGE", 1)
        simulate(tests=ids(6), faults=ANSWERS)
        await executed(await deployed_run(ids(3), {}))
        await executed(await deployed_run(test_ids, options))
        for named in ([], ids(3)):
            sends = await would_send(named, only_failed_of="rerun-endpoint-tests/interrupted")
            assert sends == {"202702", "202703"}

    async def test_of_a_run_that_failed_before_it_sent_anything_is_refused(
        self, simulate: Simulate
    ) -> None:
        simulator = simulate(tests=ids(2))
        refused = str(id_of(await run([])))
        for named in ([], ids(2)):
            with pytest.raises(SettingsError, match=r"only_failed_of: .* failed before it sent an"):
                await selected(named, only_failed_of=refused)
        compared: State[Any] = await run(ids(2), compare_with=refused)
        with pytest.raises(SettingsError, match=r"compare_with: .* failed before it sent any"):
            await compared.result()
        assert sent(simulator) == {}

    @pytest.mark.parametrize("died", [False, True])
    async def test_of_a_deployment_passes_over_no_run_that_may_have_sent_something(
        self, simulate: Simulate, *, died: bool
    ) -> None:
        simulate(tests=ids(6), faults=ANSWERS)
        latest = await deployed_run(ids(3), {})
        async with get_client() as client:
            if died:
                await client.set_flow_run_state(latest, Running(), force=True)
                await client.set_flow_run_state(latest, Crashed(), force=True)
            else:
                await executed(latest)
            await client.update_flow_run(latest, parameters={"options": {"of": "2031"}})
        with pytest.raises(SettingsError, match=r"can't be read: they are wrong, or come from"):
            await selected(only_failed_of="rerun-endpoint-tests/interrupted")

    @pytest.mark.parametrize(
        ("reference", "reason"),
        [
            (NO_RUN, "this Prefect server has no flow run"),
            ("rerun-endpoint-tests/nightly", "neither the ID of a flow run nor a deployment"),
            ("yesterday", "neither the ID of a flow run nor a deployment"),
            (TOKEN, "^1 of the runs that only_failed_of names contains an API token"),
        ],
    )
    async def test_of_no_run_at_all_is_refused(
        self, simulate: Simulate, reference: str, reason: str
    ) -> None:
        simulator = simulate(tests=ids(1))
        with pytest.raises(SettingsError, match=reason):
            await rerun_endpoint_tests(options=RerunOptions(only_failed_of=reference))
        assert sent(simulator) == {}


async def test_a_test_that_ran_lately_is_skipped(simulate: Simulate) -> None:
    simulator = simulate(tests=ids(3), results_after_seconds=0.0, healthy=True)
    await run(ids(2))
    state = await run(ids(3), skip_if_run_within_minutes=5)
    assert state.message == "1 of 3 tests accepted, 2 skipped."
    assert sent(simulator) == dict.fromkeys(ids(3), 1)
    outcomes = {one.test_id: one for one in await read_outcomes([id_of(state)])}
    assert outcomes["202701"].outcome is Outcome.SKIPPED
    why = "min ago, less than the 5 min of skip_if_run_within_minutes"
    assert outcomes["202701"].detail in {f"it ran 0 {why}", f"it ran 1 {why}"}
