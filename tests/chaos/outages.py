"""Faults of what a run talks to: the Prefect server and the API, away or answering nonsense."""

import asyncio
import os
import signal
from functools import partial
from typing import Final

from tests.chaos.judge import Judgement
from tests.chaos.kills import Fault
from tests.chaos.scene import Stage, Trial
from thousandeyes.delivery import Delivery

_AWAY: Final = 8.0  # seconds


async def _begun(stage: Stage, trial: Trial) -> None:
    await trial.begin()
    await trial.after(stage.moment())


async def prefect_answers(stage: Stage, mode: str) -> Judgement:
    """The Prefect server answers otherwise for a while, as `Proxy` has it; then all is well."""
    async with stage.trial() as trial:
        await _begun(stage, trial)
        trial.prefect.mode = mode
        await asyncio.sleep(_AWAY)
        trial.prefect.mode = "pass"
        trial.mended()
        await trial.ended()
        return await trial.judge()


async def prefect_lets_nobody_in(stage: Stage) -> Judgement:
    """401 from the Prefect server: the run ends, and goes on when it is started again."""
    async with stage.trial() as trial:
        await _begun(stage, trial)
        trial.prefect.mode = "401"
        await trial.ended()
        trial.prefect.mode = "pass"
        await trial.resume()
        await trial.ended()
        return await trial.judge()


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
        return await trial.judge()


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
        return await trial.judge()


async def prefect_killed(stage: Stage) -> Judgement:
    """SIGKILL of the Prefect server, which is started again."""
    async with stage.trial() as trial:
        await _begun(stage, trial)
        os.killpg(stage.topology.process_id, signal.SIGKILL)
        await asyncio.to_thread(stage.topology.stop)
        await asyncio.to_thread(stage.topology.start)
        trial.mended()
        await trial.ended()
        return await trial.judge()


async def api_answers(
    stage: Stage, mode: str, delivery: Delivery = Delivery.AT_LEAST_ONCE
) -> Judgement:
    """The API answers otherwise for a while; what gave up meanwhile is told as that."""
    async with stage.trial(delivery=delivery) as trial:
        await _begun(stage, trial)
        trial.api.mode = mode
        await asyncio.sleep(_AWAY)
        trial.api.mode = "pass"
        trial.mended()
        await trial.ended()
        return await trial.judge()


async def api_closes_kept_connections(stage: Stage) -> Judgement:
    """All the time, a kept connection is closed when its next request comes."""
    async with stage.trial(delivery=Delivery.AT_MOST_ONCE) as trial:
        trial.api.mode = "stale"
        await trial.begin()
        await trial.ended()
        return await trial.judge()


async def token_revoked(stage: Stage) -> Judgement:
    """401 from the API: the run ends, and goes on with a good token when started again."""
    async with stage.trial() as trial:
        await _begun(stage, trial)
        trial.api.mode = "401"
        await trial.ended()
        trial.api.mode = "pass"
        await trial.resume()
        await trial.ended()
        return await trial.judge()


FAULTS: Final[dict[str, Fault]] = {
    **{
        f"prefect-{mode}": partial(prefect_answers, mode=mode)
        for mode in ("refuse", "black-hole", "500", "503", "429", "html")
    },
    "prefect-401": prefect_lets_nobody_in,
    "prefect-flaps": prefect_flaps,
    "prefect-frozen": prefect_frozen,
    "prefect-killed": prefect_killed,
    **{
        f"api-{mode}": partial(api_answers, mode=mode)
        for mode in ("refuse", "black-hole", "503", "html", "half", "reset")
    },
    "api-half-at-most-once": partial(api_answers, mode="half", delivery=Delivery.AT_MOST_ONCE),
    "api-stale": api_closes_kept_connections,
    "token-revoked": token_revoked,
}
