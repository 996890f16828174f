"""Faults of what a run talks to: the Prefect server and the API, away or answering nonsense."""

import asyncio
import os
import signal
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Final

from tests.chaos.judge import Judgement
from tests.chaos.kills import Fault
from tests.chaos.proxy import Proxy
from tests.chaos.scene import Stage, Trial
from thousandeyes.delivery import Delivery

Of = Callable[[Trial], Proxy]
"""Which of the two a fault is of: what stands before it."""
_PREFECT: Final[Of] = attrgetter("prefect")
_API: Final[Of] = attrgetter("api")
_AWAY: Final = 8.0  # seconds


async def _begun(stage: Stage, trial: Trial) -> None:
    await trial.begin()
    await trial.after(stage.moment())


async def answers_otherwise(
    stage: Stage, of: Of, mode: str, delivery: Delivery = Delivery.AT_LEAST_ONCE
) -> Judgement:
    """A server answers otherwise for a while, as `Proxy` has it; then all is well.

    What a run gave up meanwhile it has to tell as that; while Prefect is away it gives up nothing.
    """
    async with stage.trial(delivery=delivery) as trial:
        await _begun(stage, trial)
        of(trial).mode = mode
        await asyncio.sleep(_AWAY)
        of(trial).mode = "pass"
        trial.mended()
        await trial.ended()
        judged = await trial.judge()
        return judged.to_the_last() if of is _PREFECT else judged


async def lets_nobody_in(stage: Stage, of: Of) -> Judgement:
    """401: the run ends, and goes on when it is started again and let in."""
    async with stage.trial() as trial:
        await _begun(stage, trial)
        of(trial).mode = "401"
        await trial.ended()
        of(trial).mode = "pass"
        await trial.resume()
        await trial.ended()
        return (await trial.judge()).to_the_last()


async def prefect_flaps(stage: Stage) -> Judgement:
    """The Prefect server is away every other second."""
    async with stage.trial() as trial:
        await _begun(stage, trial)
        for _ in range(5):
            trial.prefect.mode = "refuse"
            await asyncio.sleep(1)
            trial.prefect.mode = "pass"
            await asyncio.sleep(1)
        trial.mended()
        await trial.ended()
        return (await trial.judge()).to_the_last()


async def prefect_frozen(stage: Stage) -> Judgement:
    """SIGSTOP of the Prefect server for a while."""
    async with stage.trial() as trial:
        await _begun(stage, trial)
        os.killpg(stage.topology.process_id, signal.SIGSTOP)
        try:
            await asyncio.sleep(_AWAY)
        finally:
            os.killpg(stage.topology.process_id, signal.SIGCONT)
        trial.mended()
        await trial.ended()
        return (await trial.judge()).to_the_last()


async def prefect_killed(stage: Stage) -> Judgement:
    """SIGKILL of the Prefect server, which is started again."""
    async with stage.trial() as trial:
        await _begun(stage, trial)
        os.killpg(stage.topology.process_id, signal.SIGKILL)
        await asyncio.to_thread(stage.topology.stop)
        await asyncio.to_thread(stage.topology.start)
        trial.mended()
        await trial.ended()
        return (await trial.judge()).to_the_last()


async def api_closes_kept_connections(stage: Stage) -> Judgement:
    """All the time, a kept connection is closed when its next request comes."""
    async with stage.trial(delivery=Delivery.AT_MOST_ONCE) as trial:
        trial.api.mode = "stale"
        await trial.begin()
        await trial.ended()
        return await trial.judge()


FAULTS: Final[dict[str, Fault]] = {
    **{
        f"prefect-{mode}": partial(answers_otherwise, of=_PREFECT, mode=mode)
        for mode in ("refuse", "black-hole", "400", "500", "503", "429", "html")
    },
    "prefect-401": partial(lets_nobody_in, of=_PREFECT),
    "prefect-flaps": prefect_flaps,
    "prefect-frozen": prefect_frozen,
    "prefect-killed": prefect_killed,
    **{
        f"api-{mode}": partial(answers_otherwise, of=_API, mode=mode)
        for mode in ("refuse", "black-hole", "503", "html", "half", "reset")
    },
    "api-half-at-most-once": partial(
        answers_otherwise, of=_API, mode="half", delivery=Delivery.AT_MOST_ONCE
    ),
    "api-stale": api_closes_kept_connections,
    "token-revoked": partial(lets_nobody_in, of=_API),
}
