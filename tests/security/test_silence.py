"""An API that takes calls and says nothing is told as that, within minutes."""

import asyncio
from collections import Counter

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from tests.flows.rerun.world import World
from thousandeyes.delivery import Delivery
from thousandeyes.outcomes import Outcome

TESTS = 170
WORDS = "the API does not answer: "


class BlackHole:
    """Takes every call, and after `answers` of them lets each run into its read timeout."""

    def __init__(self, world: World, answers: int = 0) -> None:
        self._app = world.app
        self._answers = answers
        self.swallowed = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._answers:
            self._answers -= 1
            await self._app(scope, receive, send)
            return
        self.swallowed += 1
        await asyncio.sleep(30)
        raise httpx.ReadTimeout("")


@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.parametrize("answers", [0, 60])
def test_a_run_against_a_black_hole_ends_within_minutes_and_says_why(
    delivery: Delivery, answers: int
) -> None:
    world = World(tests=TESTS)
    world.app = hole = BlackHole(world, answers)  # type: ignore[assignment]  # an application too
    records = world.rerun(delivery=delivery, max_in_flight=20)
    assert world.took < 6 * 60
    ended = Counter(record.outcome for record in records.values())
    assert set(ended) <= {Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.NOT_ATTEMPTED}
    assert ended[Outcome.UNKNOWN] <= hole.swallowed <= 60
    for record in records.values():
        assert "quota" not in record.detail
        if record.outcome is Outcome.NOT_ATTEMPTED:
            assert record.detail.startswith(WORDS)
            assert record.quota_wait_seconds == pytest.approx(0, abs=70 if answers else 1)
    assert world.stopped
    assert world.stopped.startswith(WORDS)
