"""Before and after a change, in one process: a real Prefect server, the simulator on a socket."""

import asyncio
import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Self
from uuid import UUID

import httpx
import pytest
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State
from prefect.client.schemas.sorting import FlowRunSort
from prefect.flow_engine import run_flow_async
from prefect.flow_runs import aresume_flow_run
from prefect.states import AwaitingRetry, Cancelling

from flows.around_change import AroundChangeOptions, rerun_around_change, waiting
from flows.around_change import flow as around_change
from flows.rerun import RerunFailed
from tasks import server_calls
from tasks.blocks import EndpointTestGroup
from tests.flows.scene import Simulate, artifacts_of, id_of, ids, sent, wait_until
from thousandeyes.errors import SettingsError
from thousandeyes.simulator import Behaviour
from thousandeyes.standing import Change

pytestmark = pytest.mark.usefixtures("prefect_server")

QUICK: dict[str, Any] = {"results_after_seconds": 0.1, "healthy": True, "agents": 9}
PAGE = "endpoint-changes-local"
HOUR = timedelta(hours=1)
BAD = [Behaviour(agents=[1, 2], loss=100)]


@pytest.fixture(autouse=True)
def _look_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL", 0.3)


class Run:
    """A run around a change in this process, as somebody sees it who looks at the server."""

    def __init__(self, test_ids: list[str], **parameters: Any) -> None:
        self.ids: list[UUID] = []
        flow = rerun_around_change.with_options(
            on_running=[lambda _flow, flow_run, _state: self.ids.append(flow_run.id)]
        )
        options = AroundChangeOptions.model_validate(parameters.pop("options", {}))
        self._parameters = {"test_ids": test_ids, "options": options} | parameters
        self._run = asyncio.ensure_future(flow(return_state=True, **self._parameters))

    async def waits(self) -> UUID:
        """Return the run's ID when it waits for the change."""
        async with get_client() as client:
            while not self._run.done():
                if self.ids and (await client.read_flow_run(self.ids[0])).state_name == "Paused":
                    return self.ids[0]
                await asyncio.sleep(0.2)
        raise AssertionError(await self._run)

    async def ended(self) -> State[Any]:
        state: State[Any] = await self._run
        return state

    async def cancelled(self) -> UUID:
        """Cancel the run, wait for its end, and return its ID."""
        self._run.cancel()
        await asyncio.wait([self._run])
        return self.ids[0]

    async def retried(self) -> State[Any]:
        """Execute the run once more, as a worker does when somebody retries it."""
        async with get_client() as client:
            await client.set_flow_run_state(self.ids[0], AwaitingRetry())
            flow_run = await client.read_flow_run(self.ids[0])
        flow: Any = rerun_around_change
        state = await run_flow_async(
            flow,
            flow_run=flow_run,
            parameters=flow.validate_parameters(self._parameters),
            return_type="state",
        )
        assert state
        return state


def _ahead(by: timedelta) -> type[datetime]:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + by

    return Ahead


async def page_of(flow_run_id: UUID) -> str:
    return str((await artifacts_of(flow_run_id))[PAGE].data)


async def test_what_a_change_broke_and_mended_is_told_in_a_sentence_and_for_each_test(
    simulate: Simulate,
) -> None:
    before = simulate(tests=ids(5), agents_of={"202704": BAD, "202705": BAD}, **QUICK)
    run = Run(ids(5))
    flow_run_id = await run.waits()
    assert (
        "Measured before the change: 3 of 5 tests passed; the others did not: Order desk "
        "(Bristol), Voice gateway (Oslo). Make the change, then resume this run by "
    ) in await page_of(flow_run_id)

    after = simulate(tests=ids(5), agents_of={"202702": BAD, "202705": BAD}, **QUICK)
    await aresume_flow_run(flow_run_id)
    state = await run.ended()
    assert state.is_failed()
    assert state.message == (
        "1 of 5 tests broke with the change: Intranet (Gdansk); 1 recovered; 1 fails as before; "
        "2 are unchanged."
    )
    assert sent(before) == sent(after) == dict.fromkeys(ids(5), 1)
    with pytest.raises(RerunFailed, match="1 of 5 tests broke") as failed:
        await state.aresult()
    changes = {one.test_id: one.standing and one.standing.change for one in failed.value.outcomes}
    assert changes == {
        "202701": Change.UNCHANGED,
        "202702": Change.NEW_FAILURE,
        "202703": Change.UNCHANGED,
        "202704": Change.RECOVERED,
        "202705": Change.STILL_FAILING,
    }
    page = await page_of(flow_run_id)
    in_order = ["broke with", "before the change](", "after the change](", "## Broke", "202702"]
    in_order += ["(before: passed)", "## Fails as before", "202705", "## Recovered", "202704"]
    places = [page.index(words) for words in in_order]
    assert places == sorted(places)


async def test_a_run_waits_also_if_the_answer_that_lets_it_wait_is_lost(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_state, lost = PrefectClient.set_flow_run_state, list[Any]()

    async def losing(self: PrefectClient, run: Any, state: Any, **rest: Any) -> Any:
        answer: Any = await set_state(self, run, state, **rest)
        if state.is_paused() and not lost:
            lost.append(answer)
            raise httpx.ReadError("")
        return answer

    monkeypatch.setattr(PrefectClient, "set_flow_run_state", losing)
    monkeypatch.setattr(server_calls, "_FIRST_PAUSE", 0.01)
    simulate(tests=ids(1), **QUICK)
    run = Run(ids(1))
    flow_run_id = await run.waits()
    simulate(tests=ids(1), **QUICK)
    await aresume_flow_run(flow_run_id)
    assert (await run.ended()).message == "None of 1 tests broke with the change; 1 is unchanged."
    assert lost


async def test_it_goes_on_by_itself_when_the_time_has_come_and_passes_although_tests_fail_as_before(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(tests=ids(2), agents_of={"202702": BAD}, **QUICK)
    run = Run(ids(2), until=datetime.now(UTC) + HOUR)
    await run.waits()
    # Another one, which has no round of this minute that the second half would wait out.
    after = simulate(tests=ids(2), agents_of={"202702": BAD}, **QUICK)
    has_come = datetime.now(UTC)
    assert not after.calls
    monkeypatch.setattr(waiting, "datetime", _ahead(HOUR))
    state = await run.ended()
    assert state.is_completed()
    assert state.message == (
        "None of 2 tests broke with the change; 1 fails as before; 1 is unchanged."
    )
    async with get_client() as client:
        halves = await client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)
    assert halves[0].name.endswith("-after")
    assert halves[0].start_time
    assert halves[0].start_time >= has_come


async def test_a_retry_goes_on_after_the_time_where_the_first_half_was_measured_before_it(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = simulate(tests=ids(1), **QUICK)
    run = Run(ids(1), until=datetime.now(UTC) + HOUR)
    await run.waits()
    await run.cancelled()
    for module in (around_change, waiting):
        monkeypatch.setattr(module, "datetime", _ahead(HOUR))
    after = simulate(tests=ids(1), **QUICK)
    state = await run.retried()
    assert state.message == "None of 1 tests broke with the change; 1 is unchanged."
    assert sent(before) == sent(after) == {"202701": 1}


async def test_a_retry_after_the_time_sends_nothing_where_the_first_half_was_cut_short(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate(tests=ids(2), latency_seconds=1)
    run = Run(ids(2), until=datetime.now(UTC) + HOUR, options={"max_in_flight": 1})
    await wait_until(lambda: bool(sent(simulator)))
    flow_run_id = await run.cancelled()
    assert "**Cancelled.**" in await page_of(flow_run_id)
    monkeypatch.setattr(around_change, "datetime", _ahead(HOUR))
    state = await run.retried()
    assert state.is_failed()
    assert re.fullmatch(
        r"until: .* is in the past, it is now .* UTC\. There is no first half to compare with, "
        r"and nothing more was sent: start a new run\.",
        str(state.message),
    )
    assert sent(simulator) == {"202701": 1}
    assert str(state.message) in await page_of(flow_run_id)


async def test_a_first_half_that_ended_only_after_the_time_is_compared_with_nothing(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate(tests=ids(2), **QUICK)
    until = datetime.now(UTC)
    monkeypatch.setattr(around_change, "datetime", _ahead(-HOUR))
    run = Run(ids(2), until=until)
    state = await run.ended()
    assert state.is_failed()
    assert re.fullmatch(
        rf"The first half ended \d+ s after {until:%Y-%m-%d %H:%M} UTC: it may have been measured "
        r"with the change made\. Start a new run, earlier or with a later until\.",
        str(state.message),
    )
    assert (await run.retried()).message == state.message
    assert sent(simulator) == dict.fromkeys(ids(2), 1)


async def test_a_second_half_that_can_not_begin_says_so_where_the_difference_would_stand(
    simulate: Simulate,
) -> None:
    simulate(tests=ids(1), **QUICK)
    await EndpointTestGroup(test_ids=ids(1)).save("emptied", overwrite=True)
    run = Run([], groups=["emptied"])
    flow_run_id = await run.waits()
    await EndpointTestGroup.adelete("emptied")
    await aresume_flow_run(flow_run_id)
    state = await run.ended()
    assert state.is_failed()
    assert "no Endpoint Test Group block named 'emptied'" in str(state.message)
    page = await page_of(flow_run_id)
    assert page.startswith("**Failed:** ")
    assert "no Endpoint Test Group block named" in page


async def test_a_half_that_somebody_cancels_ends_the_run_which_says_so(simulate: Simulate) -> None:
    simulator = simulate(tests=ids(1), latency_seconds=1, **QUICK)
    run = Run(ids(1))
    await wait_until(lambda: bool(sent(simulator)))
    async with get_client() as client:
        [half] = await client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)
        await client.set_flow_run_state(half.id, Cancelling(), force=True)
    state = await run.ended()
    assert state.is_failed()
    assert state.message == (
        f"the run {half.name} was cancelled. If that was a mistake, retry this run: it "
        "continues where it left off."
    )
    assert state.message in await page_of(id_of(state))


async def test_a_run_that_no_worker_cancels_sends_nothing_more_and_ends_cancelled(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=ids(60), latency_seconds=1)
    run = Run(ids(60), options={"max_in_flight": 1})
    await wait_until(lambda: bool(sent(simulator)))
    async with get_client() as client:
        await client.set_flow_run_state(run.ids[0], Cancelling(), force=True)
    state = await run.ended()
    assert state.is_cancelled()
    assert re.fullmatch(r"the run .*-before was cancelled with this one\.", str(state.message))
    assert f"**Cancelled:** {state.message}" in await page_of(run.ids[0])
    assert len(sent(simulator)) < 60


async def test_a_run_that_somebody_cancels_while_it_waits_ends_cancelled(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=ids(1), **QUICK)
    run = Run(ids(1))
    flow_run_id = await run.waits()
    async with get_client() as client:
        await client.set_flow_run_state(flow_run_id, Cancelling())
    state = await run.ended()
    assert state.is_cancelled()
    assert await page_of(flow_run_id) == f"**Cancelled:** {state.message}\n"
    assert sent(simulator).total() == 1


async def test_cancelled_in_the_second_half_the_run_no_longer_says_that_it_measures(
    simulate: Simulate,
) -> None:
    simulate(tests=ids(1), **QUICK)
    run = Run(ids(1))
    flow_run_id = await run.waits()
    simulator = simulate(tests=ids(1), latency_seconds=1, **QUICK)
    await aresume_flow_run(flow_run_id)
    await wait_until(lambda: bool(sent(simulator)))
    await run.cancelled()
    assert await page_of(flow_run_id) == "**Cancelled.**\n"


async def test_when_nobody_resumes_it_the_run_fails_and_says_what_to_do(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=ids(1), **QUICK)
    state = await Run(ids(1), longest_wait_hours=1 / 3600).ended()
    assert state.is_failed()
    assert state.message == (
        "Nobody resumed this run within 1 s. Retry this run to wait again: what was measured "
        "before the change is kept."
    )
    assert sent(simulator) == {"202701": 1}
    assert (await page_of(id_of(state))).startswith("**Failed.** Nobody resumed this run within")


async def test_a_time_that_is_over_is_told_before_anything_is_sent(simulate: Simulate) -> None:
    simulator = simulate(tests=ids(1))
    with pytest.raises(SettingsError, match=r"until: 2026-01-01.* in the past.*Nothing was sent"):
        await rerun_around_change(ids(1), until=datetime(2026, 1, 1, tzinfo=UTC))
    assert not simulator.calls


async def test_nothing_is_waited_for_where_no_test_could_be_run(simulate: Simulate) -> None:
    simulate(tests=[])
    state = await Run(ids(2)).ended()
    assert state.is_failed()
    assert state.message == (
        "No test could be run before the change: 202701 (not found), 202702 (not found). Why: "
        "404: Not Found: The path or the ID is not known in this account group. This run does not "
        "wait: mend that, and start a new run."
    )
    assert (await page_of(id_of(state))).startswith("**Failed.** No test could be run before")
