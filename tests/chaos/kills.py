"""Faults of the run's own process: killed, asked to end, cancelled, put to sleep."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Final

from flows.runs.ownership import TRUSTED
from flows.runs.termination import PATIENCE
from tests.chaos.judge import Judgement
from tests.chaos.scene import Stage, until
from thousandeyes.delivery import Delivery

Fault = Callable[[Stage], Awaitable[Judgement]]
_ASLEEP: Final = 15.0  # seconds; longer than an answer about the run is trusted for
_LAST_CALL: Final = 5.0  # seconds that the look at the run and a call under way may take


async def killed(stage: Stage, *, delivery: Delivery, times: int = 1) -> Judgement:
    """SIGKILL at a random moment, and again after each resume, then to the end."""
    async with stage.trial(delivery=delivery) as trial:
        await trial.begin()
        for _ in range(times):
            await trial.after(min(trial.ran + stage.moment(30 // times), 28))
            await trial.kill()
            await trial.resume()
        await trial.ended()
        judged = await trial.judge()
        # Of a call that went out or not when it was killed, at most once means not again.
        return judged if delivery is Delivery.AT_MOST_ONCE else judged.to_the_last()


async def killed_before_the_report(stage: Stage) -> Judgement:
    """SIGKILL when the last call was carried out and no report is written."""
    async with stage.trial(tests=12) as trial:
        await trial.begin()
        await trial.after(12)
        await trial.kill()
        await trial.resume()
        await trial.ended()
        return (await trial.judge()).to_the_last()


async def killed_while_results_are_awaited(stage: Stage) -> Judgement:
    """SIGKILL while all tests were sent and their results are not there."""
    options = {"wait_for_results": True, "results_deadline_minutes": 0.5}
    async with stage.trial(
        tests=8, simulator={"results_after_seconds": 8.0, "agents": 3}, **options
    ) as trial:
        await trial.begin()
        await trial.after(8)
        await asyncio.sleep(2)
        await trial.kill()
        await trial.resume()
        await trial.ended()
        return (await trial.judge()).to_the_last()


async def terminated(stage: Stage) -> Judgement:
    """SIGTERM at a random moment; the run ends with a report, and goes on when started again."""
    async with stage.trial() as trial:
        await trial.begin()
        await trial.after(stage.moment())
        trial.signal(signal.SIGTERM)
        await trial.ended()
        await trial.resume()
        await trial.ended()
        return (await trial.judge()).to_the_last()


async def terminated_while_busy(stage: Stage) -> Judgement:
    """SIGTERM while the process is never idle: it interrupts some code, which may swallow it."""
    async with stage.trial(tests=600, latency_seconds=0, max_in_flight=10) as trial:
        await trial.begin()
        await trial.after(stage.moment(80))
        trial.signal(signal.SIGTERM)
        at_the_end = time.time() + PATIENCE + _LAST_CALL
        await trial.ended()
        late = sum(call.at > at_the_end for call in trial.simulator.calls)
        await trial.resume()
        await trial.ended()
        judged = (await trial.judge()).to_the_last()
        return replace(judged, broken=f"{late} calls after it was told") if late else judged


async def cancelled(stage: Stage) -> Judgement:
    """Cancelled by the API, with no worker that would stop the process."""
    async with stage.trial(tests=300) as trial:
        await trial.begin()
        await trial.after(stage.moment())
        await trial.cancel()
        at_the_end = time.time() + TRUSTED + _LAST_CALL
        await trial.ended()
        judged = await trial.judge()
        late = sum(call.at > at_the_end for call in trial.simulator.calls)
        return replace(judged, broken=f"{late} calls after it was told") if late else judged


async def suspended(stage: Stage) -> Judgement:
    """Frozen by SIGSTOP for longer than a look at the run is trusted, then woken."""
    async with stage.trial() as trial:
        await trial.begin()
        await trial.after(stage.moment())
        trial.signal(signal.SIGSTOP)
        await asyncio.sleep(_ASLEEP)
        trial.mended()
        trial.signal(signal.SIGCONT)
        await trial.ended()
        return (await trial.judge()).to_the_last()


async def suspended_while_it_goes_on_elsewhere(stage: Stage) -> Judgement:
    """Frozen, executed by another process to the end, then woken."""
    async with stage.trial() as trial:
        await trial.begin()
        await trial.after(stage.moment())
        trial.signal(signal.SIGSTOP)
        asleep = trial.newest
        await trial.resume()
        await trial.ended()
        trial.wake(asleep)
        await until(lambda: asleep.returncode is not None, "the end of the woken process")
        return (await trial.judge()).to_the_last()


FAULTS: Final[dict[str, Fault]] = {
    "killed": partial(killed, delivery=Delivery.AT_LEAST_ONCE),
    "killed-at-most-once": partial(killed, delivery=Delivery.AT_MOST_ONCE),
    "killed-twice": partial(killed, delivery=Delivery.AT_LEAST_ONCE, times=2),
    "killed-before-report": killed_before_the_report,
    "killed-awaiting-results": killed_while_results_are_awaited,
    "terminated": terminated,
    "terminated-while-busy": terminated_while_busy,
    "cancelled": cancelled,
    "suspended": suspended,
    "suspended-and-taken-over": suspended_while_it_goes_on_elsewhere,
}
