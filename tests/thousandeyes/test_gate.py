import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.thousandeyes.model_server import BOTH, ModelServer
from tests.thousandeyes.virtual_time import run
from thousandeyes.errors import QuotaExhausted, ReplyLost, RunStopped
from thousandeyes.families import Family
from thousandeyes.gate import KEPT_READY, QuotaGate
from thousandeyes.replies import Reply

ORGANIZATION = (Family.ORGANIZATION,)


class World:
    """A gate and the server behind it, both on the loop's clock."""

    def __init__(self, *, instant: int = 24, max_wait: float = 600, takes: float = 0.1) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time
        self.takes = takes
        self.is_silent = False
        self.server = ModelServer(
            {Family.ORGANIZATION: 240, Family.INSTANT: instant}, by_the_clock=False
        )
        self.gate = QuotaGate(max_wait=max_wait, clock=loop.time)
        self.done: list[tuple[str, float]] = []
        self.waits: dict[str, float] = {}

    async def call(
        self,
        name: str,
        spends: tuple[Family, ...] = BOTH,
        *,
        begun: bool = False,
        asked: float | None = None,
    ) -> None:
        def note(seconds: float) -> None:
            self.waits[name] = seconds

        async with self.gate.admit(spends, begun=begun, asked=asked, on_wait=note) as admission:
            admission.sent = True
            status = 200 if self.server.take(spends, self.now()) else 429
            reply = self.server.reply(status, self.now())
            await asyncio.sleep(self.takes)
            if self.is_silent:
                raise ReplyLost("sent, and no answer came back")
            admission.reply = reply
            self.done.append((name, self.now()))

    def start(self, *calls: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
        return [asyncio.ensure_future(call) for call in calls]


def test_calls_go_out_first_come_first_served() -> None:
    async def main() -> None:
        world = World(instant=4)
        names = [f"{number:02}" for number in range(12)]
        await asyncio.gather(*world.start(*(world.call(name) for name in names)))
        assert [name for name, _ in world.done] == names
        assert world.server.refused == 0
        assert world.done[-1][1] == pytest.approx(2 * 60 + 3, abs=2)

    run(main())


def test_who_asks_just_as_a_place_gets_free_goes_behind_those_that_wait_for_it() -> None:
    async def main() -> None:
        world = World()

        async def twice() -> None:
            await world.call("first")
            await world.call("asks again at once")

        await asyncio.gather(*world.start(twice(), world.call("waits")))
        assert [name for name, _ in world.done] == ["first", "waits", "asks again at once"]

    run(main())


def test_there_is_a_call_to_spare_only_while_a_share_of_the_window_is_left() -> None:
    async def main() -> None:
        world = World()
        assert world.gate.has_spare(ORGANIZATION, 0.5), "one may find out"
        spent = 0
        while world.gate.has_spare(ORGANIZATION, 0.5):
            await world.call("path", ORGANIZATION)
            spent += 1
        assert spent == 120
        assert world.gate.wait_for_quota() == 0
        await asyncio.sleep(60)
        assert world.gate.has_spare(ORGANIZATION, 0.5), "the window is over"

    run(main())


def test_no_call_is_to_spare_while_one_finds_out_or_the_gate_is_closed() -> None:
    async def main() -> None:
        world = World(instant=1)
        [asking] = world.start(world.call("first"))
        await asyncio.sleep(0)
        assert not world.gate.has_spare(ORGANIZATION, 0.5)
        await asking
        assert world.gate.has_spare(ORGANIZATION, 0.5)
        world.gate.quota.closed_until = world.now() + 10
        assert not world.gate.has_spare(ORGANIZATION, 0.5)

    run(main())


def test_cancelled_waiters_leave_no_trace() -> None:
    async def main() -> None:
        world = World(instant=4)
        tasks = world.start(*(world.call(f"{number:02}") for number in range(12)))
        await asyncio.sleep(30)  # the window is used up, and eight wait
        for task in tasks[4::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [name for name, _ in world.done] == ["00", "01", "02", "03", "05", "07", "09", "11"]
        assert world.waits["04"] == pytest.approx(29.9), "told also when it fails"
        assert all(family.in_flight == 0 for family in world.gate.quota.families.values())
        await world.call("after")

    run(main())


def test_a_call_cancelled_while_it_is_out_counts_as_lost_and_the_next_goes_on() -> None:
    async def main() -> None:
        world = World(takes=20)
        first, second = world.start(world.call("first"), world.call("second"))
        await asyncio.sleep(10)
        first.cancel()
        await second
        assert world.done == [("second", 30)]
        known = world.gate.quota.families[Family.INSTANT]
        assert (known.in_flight, known.lost) == (0, 1)

    run(main())


def test_a_call_that_was_never_sent_gives_its_place_back() -> None:
    async def main() -> None:
        world = World()
        with pytest.raises(ZeroDivisionError):
            async with world.gate.admit(BOTH):
                raise ZeroDivisionError
        known = world.gate.quota.families[Family.INSTANT]
        assert (known.in_flight, known.lost) == (0, 0)
        await world.call("after")

    run(main())


def test_a_call_that_is_long_made_ready_for_keeps_neither_reads_nor_reruns_waiting() -> None:
    async def main() -> None:
        world = World()

        async def held_up() -> None:
            async with world.gate.admit(BOTH) as admission:
                assert await world.gate.make_ready(admission, asyncio.sleep(1800))
                world.done.append(("held up", world.now()))

        await asyncio.gather(held_up(), world.call("read", ORGANIZATION), world.call("rerun"))
        assert [(name, round(at)) for name, at in world.done] == [
            *(("read", KEPT_READY), ("rerun", KEPT_READY), ("held up", 1800))
        ]
        assert all(family.in_flight == 0 for family in world.gate.quota.families.values())

    run(main())


def test_a_call_that_was_ready_soon_keeps_its_place_however_long_it_is_out() -> None:
    async def main() -> None:
        world = World()
        families = world.gate.quota.families.values()
        async with world.gate.admit(BOTH) as admission:
            assert await world.gate.make_ready(admission, asyncio.sleep(0))
            await asyncio.sleep(2 * KEPT_READY)
            assert [family.in_flight for family in families] == [1, 1]
        assert [family.in_flight for family in families] == [0, 0]

    run(main())


def test_a_call_that_is_made_ready_after_all_room_has_been_taken_does_not_go_out() -> None:
    async def main() -> None:
        world = World(instant=4)

        async def held_up(seconds: float) -> bool:
            async with world.gate.admit(BOTH) as admission:
                return await world.gate.make_ready(admission, asyncio.sleep(seconds))

        late = asyncio.ensure_future(held_up(30))
        await asyncio.gather(*(world.call(f"{number}") for number in range(4)))
        assert not await late
        await asyncio.sleep(60)
        assert await held_up(KEPT_READY - 1)
        assert all(family.in_flight == 0 for family in world.gate.quota.families.values())

    run(main())


def test_a_test_for_which_no_quota_came_is_refused_and_so_is_who_waited_behind_it() -> None:
    async def main() -> None:
        world = World(instant=1, max_wait=45.5)
        await world.call("first")
        waiting = world.start(*(world.call(f"{number}") for number in range(9)))
        await asyncio.wait(waiting)
        errors = [waiter.exception() for waiter in waiting]
        assert {type(error) for error in errors} == {QuotaExhausted}
        assert str(errors[0]).startswith("waited 45.5 s for quota while no call got through")
        assert world.now() == pytest.approx(45.6), "and not one after the other"
        assert [world.waits[f"{number}"] for number in range(9)] == pytest.approx([45.5] * 9)

    run(main())


def test_a_test_waits_for_those_before_it_as_long_as_they_get_through() -> None:
    async def main() -> None:
        world = World(instant=1, max_wait=70)
        await asyncio.gather(*world.start(*(world.call(f"{number}") for number in range(9))))
        assert len(world.done) == 9
        assert world.waits["8"] == pytest.approx(8 * 60, abs=10), "all of it is told"

    run(main())


def test_who_joins_late_waits_as_long_as_any_other() -> None:
    async def main() -> None:
        world = World(instant=1, max_wait=45)
        await world.call("first")
        [early] = world.start(world.call("early"))
        await asyncio.sleep(40)
        await world.call("late")
        assert isinstance(early.exception(), QuotaExhausted)

    run(main())


def test_a_call_that_is_refused_with_429_has_not_got_through_and_goes_on_with_its_wait() -> None:
    async def main() -> None:
        world = World(max_wait=45)
        asked = world.gate.now()
        for _ in range(3):
            async with world.gate.admit(BOTH, asked=asked) as admission:
                admission.sent = True
                admission.reply = Reply(429, {"retry-after": "20"}, "", arrived=0.0)
        with pytest.raises(QuotaExhausted, match="the API will accept no calls for 20 s"):
            await world.call("refused thrice", asked=asked)
        assert world.now() == pytest.approx(40)
        await asyncio.sleep(20)
        await world.call("needs no wait", asked=asked)

    run(main())


@pytest.mark.parametrize("tenths", range(5))
def test_what_is_left_of_a_wait_may_be_less_than_the_clock_can_tell(tenths: int) -> None:
    async def main() -> None:
        world = World(instant=1, max_wait=45)
        await asyncio.sleep(1000 + tenths / 10)  # a moment, and 45 s later, rounded each
        await world.call("first")
        with pytest.raises(QuotaExhausted):
            await world.call("second")

    run(main())


def test_the_wait_for_a_reply_that_tells_the_quota_is_none_for_quota() -> None:
    async def main() -> None:
        world = World(instant=24, max_wait=600)
        async with world.gate.admit(BOTH) as admission:
            [waiting] = world.start(world.call("behind it"))
            await asyncio.sleep(700)  # the first reply is long on its way
            admission.sent = True
            admission.reply = Reply(429, {"retry-after": "5"}, "", arrived=0.0)
        await waiting

    run(main())


@pytest.mark.parametrize(
    "retry_after", ["601", "86400", "9" * 12, "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"], ids=len
)
def test_a_wait_that_the_api_asks_for_and_that_is_too_long_is_not_begun(retry_after: str) -> None:
    async def main() -> None:
        world = World(max_wait=600)
        headers = {"retry-after": retry_after}
        async with world.gate.admit(BOTH) as admission:
            admission.sent = True
            admission.reply = Reply(429, headers, "", arrived=0.0)
        waiting = world.start(*(world.call(f"{number}") for number in range(50)))
        await asyncio.wait(waiting)
        assert world.now() == 0
        errors = [waiter.exception() for waiter in waiting]
        assert {type(error) for error in errors} == {QuotaExhausted}
        assert "the API will accept no calls for " in str(errors[0])
        assert "lets a test wait 10 minutes while no call gets through" in str(errors[0])

    run(main())


def test_a_wait_that_the_api_asks_for_and_that_is_short_enough_is_waited() -> None:
    async def main() -> None:
        world = World(max_wait=600)
        async with world.gate.admit(BOTH) as admission:
            admission.sent = True
            admission.reply = Reply(429, {"retry-after": "590"}, "", arrived=0.0)
        await world.call("patient")
        assert world.now() == pytest.approx(590, abs=1)

    run(main())


@pytest.mark.parametrize("begun_too", [False, True])
def test_a_stop_refuses_what_waits(begun_too: bool) -> None:  # noqa: FBT001
    async def main() -> None:
        world = World(instant=1)
        await world.call("first")
        new, begun = world.start(world.call("new"), world.call("begun", begun=True))
        await asyncio.sleep(5)
        world.gate.stop("the token was refused", begun_too=begun_too)
        with pytest.raises(RunStopped, match=r"^the token was refused$"):
            await new
        assert world.now() == pytest.approx(5.1)
        if begun_too:
            with pytest.raises(RunStopped):
                await begun
        else:
            await begun
        with pytest.raises(RunStopped):
            await world.call("later")

    run(main())


@pytest.mark.parametrize("begun_too", [False, True])
def test_a_stop_lets_what_only_reads_go_on(begun_too: bool) -> None:  # noqa: FBT001
    async def main() -> None:
        world = World()
        world.gate.stop("the deadline has come", begun_too=begun_too)
        await world.call("read", ORGANIZATION)

    run(main())


def test_a_weaker_stop_does_not_take_a_stronger_one_back() -> None:
    async def main() -> None:
        world = World()
        world.gate.stop("the deadline has come", begun_too=True)
        world.gate.stop("ten in a row failed", begun_too=False)
        with pytest.raises(RunStopped, match="deadline"):
            await world.call("begun", begun=True)

    run(main())


def test_queues_of_different_families_do_not_block_one_another() -> None:
    async def main() -> None:
        world = World(instant=1)
        await world.call("rerun")
        waiting = world.start(*(world.call(f"rerun {number}") for number in range(3)))
        await asyncio.sleep(1)
        for number in range(5):
            await world.call(f"read {number}", ORGANIZATION)
        assert world.now() < 2
        await asyncio.gather(*waiting)

    run(main())


def test_the_first_reply_of_a_rerun_is_told() -> None:
    async def main() -> None:
        world = World()
        await world.call("read", ORGANIZATION)
        assert not world.gate.first_reply.is_set()
        await world.call("rerun")
        assert world.gate.first_reply.is_set()

    run(main())


def test_the_wait_for_quota_is_told_as_long_as_it_is_known() -> None:
    async def main() -> None:
        world = World(instant=2, takes=0)
        assert world.gate.wait_for_quota() == 0
        asking = asyncio.ensure_future(world.call("asks"))
        await asyncio.sleep(0)
        assert world.gate.wait_for_quota() == 0, "only a reply can tell"
        await asking
        await world.call("last")
        assert world.gate.wait_for_quota() == pytest.approx(60, abs=1)

    run(main())


class TestAnApiThatSaysNothing:
    """Each call takes half a minute and brings nothing."""

    def test_is_no_wait_for_quota(self) -> None:
        async def main() -> None:
            world = World(takes=30, max_wait=45)
            world.is_silent = True
            calls = world.start(*(world.call(f"{number}") for number in range(20)))
            await asyncio.wait(calls)
            errors = [call.exception() for call in calls]
            assert {type(error) for error in errors} == {ReplyLost}
            assert set(world.waits.values()) == {0.0}
            assert world.now() == 4 * 30, "1, 1, 4, and then up to 16 at a time"

        run(main())

    def test_stops_the_gate_within_minutes_and_says_so(self) -> None:
        async def main() -> None:
            world = World(takes=30)
            world.is_silent = True
            calls = world.start(*(world.call(f"{n}", begun=n % 2 > 0) for n in range(100)))
            await asyncio.wait(calls)
            assert world.now() <= 150
            assert world.gate.silence == (
                "the API does not answer: for 2 minutes, none of 22 calls to run tests got a reply"
            )
            stopped = [call.exception() for call in calls[-60:]]
            assert {str(error) for error in stopped} == {world.gate.silence}
            assert {type(error) for error in stopped} == {RunStopped}

        run(main())

    def test_is_not_one_that_is_slow_or_silent_for_a_moment(self) -> None:
        async def main() -> None:
            world = World(takes=100)
            await asyncio.gather(*world.start(*(world.call(f"slow {n}") for n in range(9))))
            world.takes, world.is_silent = 1, True
            await asyncio.wait(world.start(*(world.call(f"silent {n}") for n in range(30))))
            world.is_silent = False
            await asyncio.sleep(300)
            await world.call("after")
            assert world.gate.silence is None

        run(main())

    def test_is_not_one_that_answers_between_calls_that_are_lost(self) -> None:
        async def main() -> None:
            world = World()
            for number in range(30):
                world.is_silent = number % 3 > 0
                await asyncio.wait(world.start(world.call(f"{number}")))
                await asyncio.sleep(60)
            assert world.gate.silence is None

        run(main())

    def test_does_not_let_more_out_than_a_window_holds_when_it_speaks_again(self) -> None:
        async def main() -> None:
            world = World(takes=30)
            world.is_silent = True
            await asyncio.wait(world.start(*(world.call(f"silent {n}") for n in range(2))))
            world.takes, world.is_silent = 0.1, False
            await asyncio.gather(*world.start(*(world.call(f"{n}") for n in range(60))))
            assert world.server.refused == 0

        run(main())
