"""An API that says nothing, or that nobody gets through to, is told as that, within minutes."""

import asyncio
from collections import Counter

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from flows.runs.breaker import IN_A_ROW
from tests.flows.rerun.world import World
from thousandeyes.delivery import Delivery
from thousandeyes.outcomes import Outcome

TESTS = 170
WORDS = "the API does not answer: "


class BlackHole:
    """Answers some calls, and then lets each run into its timeout.

    Args:
        world: What answers until then.
        answers: How many calls it answers.
        only: What the path of a call must hold to be swallowed; others are always answered.
        timeout: What a call ends with: it is never sent, or it is sent in vain.
        seconds: How long that takes.
    """

    def __init__(
        self,
        world: World,
        answers: int = 0,
        *,
        only: str = "",
        timeout: type[httpx.TimeoutException] = httpx.ReadTimeout,
        seconds: float = 30,
    ) -> None:
        self._app = world.app
        self._answers = answers
        self._only = only
        self._timeout = timeout
        self._seconds = seconds
        self.swallowed = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_meant = self._only in scope["path"]
        if self._answers or not is_meant:
            self._answers -= is_meant
            await self._app(scope, receive, send)
            return
        self.swallowed += 1
        await asyncio.sleep(self._seconds)
        raise self._timeout("")


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


@pytest.mark.parametrize("answers", [0, 60])
@pytest.mark.parametrize("wait_for_results", [False, True])
def test_a_run_whose_reruns_alone_are_swallowed_ends_too_though_results_can_be_read(
    answers: int,
    wait_for_results: bool,  # noqa: FBT001
) -> None:
    world = World(tests=TESTS)
    world.app = hole = BlackHole(world, answers, only="/run")  # type: ignore[assignment]
    records = world.rerun(delivery="at_most_once", wait_for_results=wait_for_results)
    ended = Counter(record.outcome for record in records.values())
    assert ended[Outcome.ACCEPTED] == answers
    assert ended[Outcome.UNKNOWN] == hole.swallowed <= 60
    assert world.stopped
    assert world.stopped.startswith(WORDS)
    assert world.took < 12 * 60, "five minutes of it for the results of what was lost"


def test_results_that_can_not_be_read_stop_no_run_whose_reruns_are_answered() -> None:
    world = World(tests=TESTS)
    world.app = BlackHole(world, only="/test-results/")  # type: ignore[assignment]
    records = world.rerun(wait_for_results=True)
    assert {record.outcome for record in records.values()} == {Outcome.ACCEPTED}
    assert world.stopped is None


@pytest.mark.parametrize("seconds", [5, 30])
@pytest.mark.parametrize("answers", [0, 60])
@pytest.mark.parametrize("at_a_time", [4, 20])
def test_a_run_that_gets_no_connection_ends_within_minutes_and_says_so(
    seconds: float, answers: int, at_a_time: int
) -> None:
    world = World(tests=TESTS)
    hole = BlackHole(world, answers, timeout=httpx.ConnectTimeout, seconds=seconds)
    world.app = hole  # type: ignore[assignment]
    records = world.rerun(max_in_flight=at_a_time)
    assert world.took < 6 * 60
    ended = Counter(record.outcome for record in records.values())
    assert set(ended) <= {Outcome.ACCEPTED, Outcome.UNREACHABLE, Outcome.NOT_ATTEMPTED}
    assert ended[Outcome.UNREACHABLE] <= 2 * at_a_time + IN_A_ROW
    assert world.stopped
    assert world.stopped.startswith((WORDS, f"{IN_A_ROW} tests in a row got no connection"))
