"""Before and after a change, in one process: a real Prefect server, the simulator on a socket."""

import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Self
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.client.schemas.sorting import FlowRunSort
from prefect.flow_runs import aresume_flow_run

from flows.around_change import AroundChangeOptions, rerun_around_change, waiting
from flows.rerun import RerunFailed
from tests.flows.scene import Simulate, artifacts_of, ids, sent
from thousandeyes.errors import SettingsError
from thousandeyes.simulator import Behaviour
from thousandeyes.standing import Change

QUICK: dict[str, Any] = {"results_after_seconds": 0.1, "healthy": True, "agents": 9}
PAGE = "endpoint-changes-local"
BAD = [Behaviour(agents=[1, 2], loss=100)]


@pytest.fixture(autouse=True)
def _look_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL", 0.1)


class Run:
    """A run around a change in this process, as somebody sees it who looks at the server."""

    def __init__(self, test_ids: list[str], **parameters: Any) -> None:
        self._ids: asyncio.Queue[UUID] = asyncio.Queue()
        flow = rerun_around_change.with_options(
            on_running=[lambda _flow, flow_run, _state: self._ids.put_nowait(flow_run.id)]
        )
        options = AroundChangeOptions.model_validate(parameters.pop("options", {}))
        self._run = asyncio.ensure_future(
            flow(test_ids, options=options, return_state=True, **parameters)
        )

    async def waits(self) -> UUID:
        """Return the run's ID when it waits for the change."""
        flow_run_id = await self._ids.get()
        async with get_client() as client:
            while not self._run.done():
                if (await client.read_flow_run(flow_run_id)).state_name == "Paused":
                    return flow_run_id
                await asyncio.sleep(0.1)
        raise AssertionError(await self._run)

    async def ended(self) -> State[Any]:
        state: State[Any] = await self._run
        return state


async def test_what_a_change_broke_and_mended_is_told_in_a_sentence_and_for_each_test(
    simulate: Simulate,
) -> None:
    before = simulate(tests=ids(5), agents_of={"202704": BAD, "202705": BAD}, **QUICK)
    run = Run(ids(5))
    flow_run_id = await run.waits()
    waiting_page = (await artifacts_of(flow_run_id))[PAGE]
    assert (
        "Measured before the change: 3 of 5 tests passed; the others did not: Order desk "
        "(Bristol), Voice gateway (Oslo). Make the change, then resume this run by "
    ) in str(waiting_page.data)

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
    page = str((await artifacts_of(flow_run_id))[PAGE].data)
    in_order = ["broke with", "before the change](", "after the change](", "## Broke", "202702"]
    in_order += ["(before: passed)", "## Fails as before", "202705", "## Recovered", "202704"]
    places = [page.index(words) for words in in_order]
    assert places == sorted(places)


async def test_a_change_that_breaks_nothing_passes_although_tests_fail_as_before(
    simulate: Simulate,
) -> None:
    simulate(tests=ids(2), agents_of={"202702": BAD}, **QUICK)
    run = Run(ids(2))
    flow_run_id = await run.waits()
    simulate(tests=ids(2), agents_of={"202702": BAD}, **QUICK)
    await aresume_flow_run(flow_run_id)
    state = await run.ended()
    assert state.is_completed()
    assert state.message == (
        "None of 2 tests broke with the change; 1 fails as before; 1 is unchanged."
    )


async def test_it_goes_on_by_itself_when_the_time_has_come(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    class AnHourLater(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(hours=1)

    simulate(tests=ids(1), **QUICK)
    run = Run(ids(1), until=datetime.now(UTC) + timedelta(hours=1))
    await run.waits()
    # Another one, which has no round of this minute that the second half would wait out.
    after = simulate(tests=ids(1), **QUICK)
    has_come = datetime.now(UTC)
    assert not after.calls
    monkeypatch.setattr(waiting, "datetime", AnHourLater)
    state = await run.ended()
    assert state.message == "None of 1 tests broke with the change; 1 is unchanged."
    async with get_client() as client:
        halves = await client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)
    assert halves[0].name.endswith("-after")
    assert halves[0].start_time
    assert halves[0].start_time >= has_come


async def test_when_nobody_resumes_it_the_run_fails_and_says_what_to_do(
    simulate: Simulate,
) -> None:
    simulator = simulate(tests=ids(1), **QUICK)
    state = await Run(ids(1), longest_wait_hours=1 / 3600).ended()
    assert state.is_failed()
    assert state.message == (
        "Nobody resumed this run within 1 s. Retry this run to wait once more: what was measured "
        "before the change is kept."
    )
    assert sent(simulator) == {"202701": 1}


async def test_a_time_that_is_over_is_told_before_anything_is_sent(simulate: Simulate) -> None:
    simulator = simulate(tests=ids(1))
    with pytest.raises(SettingsError, match=r"until: 2026-01-01.* is over.*Nothing was sent"):
        await rerun_around_change(ids(1), until=datetime(2026, 1, 1, tzinfo=UTC))
    assert not simulator.calls


async def test_nothing_is_waited_for_where_no_test_could_be_run(simulate: Simulate) -> None:
    simulate(tests=[])
    state = await Run(ids(2)).ended()
    assert state.is_failed()
    assert state.message == (
        "No test could be run before the change: 202701 (not found), 202702 (not found). Nothing "
        "is waited for: mend that, and retry this run."
    )
