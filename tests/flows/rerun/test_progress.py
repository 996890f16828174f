"""What a longer run shows of itself while it is under way."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect import flow, runtime
from prefect.client.schemas.objects import Artifact
from prefect.exceptions import PrefectHTTPStatusError

import flows.rerun.progress
from flows.rerun.progress import EVERY, LONGER, Progress
from tests.flows.scene import artifacts_of
from thousandeyes.gate import QuotaGate
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record

pytestmark = pytest.mark.usefixtures("prefect_server")

KEY = "endpoint-rerun-progress-local"


class Clock:
    """A sleep that returns at once, but for the last: that one never does."""

    def __init__(self, naps: int, wakes: Callable[[int], None] = lambda _: None) -> None:
        self.slept: list[float] = []
        self.last = asyncio.Event()
        self._naps = naps
        self._wakes = wakes

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) > self._naps:
            self.last.set()
            await asyncio.Event().wait()
        self._wakes(len(self.slept))


def end(record: Record) -> None:
    record.outcome, record.finished_at = Outcome.ACCEPTED, datetime.now(UTC)


async def shown_by(work: Callable[[], Awaitable[None]]) -> Artifact | None:
    """Do some work in a flow run and return the progress artifact it leaves."""

    @flow
    async def running() -> str:
        await work()
        return str(runtime.flow_run.id)

    return (await artifacts_of(UUID(await running()))).get(KEY)


async def follow(records: list[Record], clock: Clock, gate: QuotaGate | None = None) -> Progress:
    progress = Progress(records, clock.sleep)
    following = asyncio.ensure_future(progress.follow(gate or QuotaGate()))
    await clock.last.wait()
    following.cancel()
    return progress


async def test_a_short_run_shows_no_progress() -> None:
    async def work() -> None:
        clock = Clock(0)
        progress = await follow([Record("1")], clock)
        await progress.close("All is well.")
        assert clock.slept == [LONGER]

    assert await shown_by(work) is None


async def test_a_longer_run_shows_how_far_it_is_and_what_it_waits_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    records = [Record(str(number)) for number in range(4)]

    async def work() -> None:
        clock = Clock(7, lambda nap: end(records[0]) if nap == 1 else None)
        gate = QuotaGate()
        gate.quota.closed_until = float("1e12")
        await follow(records, clock, gate)
        assert clock.slept == [LONGER, *[EVERY] * 7]

    shown = await shown_by(work)
    assert shown
    assert shown.data == 25.0
    assert str(shown.description).startswith("1 of 4 tests done: 1 accepted; the next ones wait ")
    # Nothing has changed since the first line.
    assert caplog.text.count("tests done") == 1


@flow
async def standing_of(records: list[Record], *, closed: bool = False) -> str:
    gate = QuotaGate()
    gate.quota.closed_until = float("1e12") if closed else 0.0
    return Progress(records).standing(gate, awaited=records if closed else ())


async def test_when_all_calls_have_ended_none_waits_for_quota() -> None:
    records = [Record("1"), Record("2")]
    for record in records:
        end(record)
    told = await standing_of(records, closed=True)
    assert told == "2 of 2 tests done: 2 accepted; waiting for the results of 2"


async def test_tests_that_were_skipped_are_done() -> None:
    records = [Record(str(number)) for number in range(4)]
    end(records[0])
    records[1].skipped("it ran 2 min ago")
    told = await standing_of(records)
    assert told == "2 of 4 tests done: 1 skipped, 1 accepted"


async def test_progress_ends_at_100_with_the_verdict() -> None:
    records = [Record("1"), Record("2")]

    async def work() -> None:
        progress = await follow(records, Clock(2))
        await progress.close("1 of 2 tests accepted.")

    shown = await shown_by(work)
    assert shown
    assert (shown.data, shown.description) == (100.0, "1 of 2 tests accepted.")


async def test_progress_that_prefect_refuses_disturbs_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(*_: object, **__: Any) -> UUID:
        request = httpx.Request("POST", "http://prefect/api/artifacts/")
        response = httpx.Response(403, request=request)
        raise PrefectHTTPStatusError("403", request=request, response=response)

    monkeypatch.setattr(flows.rerun.progress, "acreate_progress_artifact", refuse)

    async def work() -> None:
        progress = await follow([Record("1")], Clock(3))
        await progress.close("All is well.")

    assert await shown_by(work) is None
    assert "Prefect refuses the progress" in caplog.text
