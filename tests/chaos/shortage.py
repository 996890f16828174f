"""Faults of too little: quota for several runs, files, memory."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from tests.chaos.judge import Judgement
from tests.chaos.kills import Fault
from tests.chaos.scene import Stage
from thousandeyes.delivery import Delivery

_SCARCE: Final = {"instant_limit": 24, "window_seconds": 10.0}


async def on_one_quota(stage: Stage, runs: int) -> Judgement:
    """Several runs at once, each with tests of its own, on one token's quota."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            stage.trial(tests=20 * runs, latency_seconds=0.02, simulator=_SCARCE)
        )
        trials = [first.share(first.test_ids[20 * n : 20 * (n + 1)]) for n in range(runs)]
        for trial in trials:
            stack.push_async_callback(trial.close)
            await trial.begin()
        await asyncio.gather(*(trial.ended() for trial in trials))
        judged = [await trial.judge() for trial in trials]
    return sum(judged, Judgement()).to_the_last()


async def held_to(stage: Stage, limits: str) -> Judgement:
    """A process that may not have more than this, from its start to its end."""
    async with stage.trial(tests=60, delivery=Delivery.AT_MOST_ONCE, max_in_flight=20) as trial:
        await trial.begin(limits=limits)
        await trial.ended()
        return await trial.judge()


FAULTS: Final[dict[str, Fault]] = {
    "two-runs-one-quota": partial(on_one_quota, runs=2),
    "four-runs-one-quota": partial(on_one_quota, runs=4),
    "64-files": partial(held_to, limits="-n 64"),
    "512-mib": partial(held_to, limits="-d 524288"),
}
