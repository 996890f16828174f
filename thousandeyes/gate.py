"""Decides who may send when: the only place in which a run waits for quota."""

import asyncio
import math
import random
import time
from bisect import insort
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from typing import Final

from thousandeyes.errors import QuotaExhausted, RunStopped
from thousandeyes.families import WINDOW, Family
from thousandeyes.quota import Permit, Quota
from thousandeyes.replies import Reply
from thousandeyes.silence import Silence
from thousandeyes.text import duration
from thousandeyes.waiting import wait_for_event

Spends = tuple[Family, ...]
OnWait = Callable[[float], None]

KEPT_READY: Final = 5.0
"""Seconds for which a call that is being made ready keeps its permission to itself."""
_SHORTEST: Final = 0.001
"""The shortest wait in seconds: one too short for the clock would end at once, again and again."""


@dataclass
class Admission:
    """Permission to send one call. Its holder notes here what became of the call.

    `timed_out` says of a call that was not sent that nobody answered when it tried to connect.
    """

    permit: Permit
    since: float
    keeps: bool
    is_lent: bool = False
    sent: bool = False
    timed_out: bool = False
    reply: Reply | None = None


class QuotaGate:
    """Lets calls out one after the other, first come, first served, as the quota allows.

    Calls that spend different families wait in separate queues, so that reading results doesn't
    wait behind reruns. All callers share one event loop.

    If the API does not answer, the gate stops by itself, and `silence` is the reason. `first_reply`
    is set once an instant call has been answered, `other_window` once Resets have shown that the
    window of instant calls is not a minute long.

    Args:
        reserve: The fraction of each window that is left to other users.
        max_wait: Seconds that a call may wait for quota while every call of its queue ends with
            429. A call that ends otherwise shows that the queue moves: then the wait is for this
            run's own calls.
        clock: Returns seconds on a clock that never goes back.
        sleep: Waits that many seconds by the same clock.
        chance: Returns a random number from 0 to 1, to draw lots for a window's last calls.
    """

    def __init__(
        self,
        *,
        reserve: float = 0.0,
        max_wait: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.quota = Quota(reserve, chance)
        self.first_reply = asyncio.Event()
        self.other_window = asyncio.Event()
        self.silence: str | None = None
        self._max_wait = max_wait
        self._clock = clock
        self._sleep = sleep
        self._queues: dict[Spends, list[tuple[bool, int]]] = {}
        self._places = count()
        self._moved: dict[Spends, float] = {}  # when the last call of a queue got through
        self._changed = asyncio.Event()
        self._stop: str | None = None
        self._stop_all = False
        self._silence = Silence()

    def stop(self, reason: str, *, begun_too: bool) -> None:
        """Let no more reruns and creations out. Calls that only read are still allowed.

        Args:
            reason: Noted with every test that is refused.
            begun_too: Also refuse tests that already had a call go out. This can't be undone: a
                later stop without it changes nothing.
        """
        if begun_too or self._stop is None:
            self._stop, self._stop_all = reason, begun_too
        self._wake()

    def now(self) -> float:
        """Return the seconds on the gate's clock."""
        return self._clock()

    def wait_for_quota(self) -> float:
        """Return how many seconds a rerun would have to wait now if nothing else changed."""
        wait = self.quota.wait(tuple(Family), self._clock())
        return wait if wait < math.inf else 0.0

    def has_spare(self, spends: Spends, share: float) -> bool:
        """Tell whether such a call need not wait and would leave this share of each window."""
        at_once = self.quota.wait(spends, self._clock()) <= 0
        return at_once and all(self.quota.families[family].leaves(share) for family in spends)

    @asynccontextmanager
    async def admit(
        self,
        spends: Spends,
        *,
        begun: bool = False,
        asked: float | None = None,
        again: bool = False,
        on_wait: OnWait = lambda _: None,
    ) -> AsyncIterator[Admission]:
        """Wait for permission to send one call, and hold it while the call is out.

        Args:
            spends: The families that the call spends.
            begun: Whether an earlier call of the same test went out.
            asked: When the call first asked, by `now()`; by default this moment. It is in the past
                if the call was refused with 429.
            again: Whether `make_ready` has just turned this call away. It then goes before all
                others and keeps its permit, or slow work would turn it away for ever.
            on_wait: Called with the seconds of this wait when it ends, even if it fails. They
                include those in which the queue moved, but not the wait for a reply that shows the
                quota.

        Raises:
            QuotaExhausted: For `max_wait` no call of the queue got through, or the API asked for a
                longer wait than is left of that.
            RunStopped: The gate was stopped.
        """
        permit = await self._permit(spends, begun=begun, asked=asked, again=again, on_wait=on_wait)
        admission = Admission(permit, self._clock(), keeps=again)
        try:
            yield admission
        finally:
            if not admission.is_lent:
                self._end(admission)

    async def make_ready(self, admission: Admission, work: Awaitable[None]) -> bool:
        """Await what has to be done right before a call; return whether the call may go out then.

        If the work takes longer than `KEPT_READY`, others may use the permission: reading results
        must not wait for a Prefect server. When it ends, the call may go out if there is room.
        """
        lending = asyncio.ensure_future(self._lend(admission))
        try:
            await work
        finally:
            lending.cancel()
        admission.since, spends = self._clock(), admission.permit.spends
        if admission.is_lent and self.quota.wait(spends, self._clock()) <= 0:
            admission.permit, admission.is_lent = self.quota.send(spends), False
        return not admission.is_lent

    async def _lend(self, admission: Admission) -> None:
        await self._sleep(KEPT_READY)
        if not admission.keeps:
            self.quota.unsent(admission.permit)
            admission.is_lent = True
            self._wake()

    def _end(self, admission: Admission) -> None:
        permit, reply, now = admission.permit, admission.reply, self._clock()
        runs_tests = Family.INSTANT in permit.spends
        if not (reply and reply.status == HTTPStatus.TOO_MANY_REQUESTS):
            self._moved[permit.spends] = now
        if reply:
            self.quota.replied(permit, reply, now)
            if runs_tests:
                self._silence.answered()
                self.first_reply.set()
                if self.quota.families[Family.INSTANT].window != WINDOW:
                    self.other_window.set()
        elif admission.sent or admission.timed_out:
            self.quota.lost(permit, sent=admission.sent)
            if runs_tests and (silence := self._silence.unanswered(admission.since, now)):
                self.silence = silence
                self.stop(silence, begun_too=True)
        else:
            self.quota.unsent(permit)
        self._wake()

    async def _permit(
        self, spends: Spends, *, begun: bool, asked: float | None, again: bool, on_wait: OnWait
    ) -> Permit:
        queue = self._queues.setdefault(spends, [])
        place = (not again, next(self._places))
        insort(queue, place)
        since, awaiting_reply = self._clock(), 0.0
        asked = since if asked is None else asked
        try:
            while True:
                if self._stop and Family.INSTANT in spends and (self._stop_all or not begun):
                    raise RunStopped(self._stop)
                now = self._clock()
                wait = self.quota.wait(spends, now)
                if wait <= 0 and queue[0] is place:
                    return self.quota.send(spends)
                if wait == math.inf:  # not a wait for quota: only a reply can show the quota
                    try:
                        await wait_for_event(self._changed, math.inf, self._sleep)
                    finally:
                        awaited = self._clock() - now
                        awaiting_reply, asked = awaiting_reply + awaited, asked + awaited
                    continue
                left = self._max_wait - (now - max(asked, self._moved.get(spends, asked)))
                if left <= 0:
                    raise QuotaExhausted(
                        f"waited {self._max_wait:.12g} s for quota while no call got through, as "
                        "long as TE_MAX_QUOTA_WAIT allows; others may be using it up"
                    )
                closed = self.quota.closed_until - now
                if closed > left:
                    raise QuotaExhausted(
                        f"the API will accept no calls for {duration(closed)}, and "
                        f"TE_MAX_QUOTA_WAIT lets a test wait {duration(self._max_wait)} while no "
                        "call gets through"
                    )
                # All but the first wait for those ahead of them.
                limit = min(wait, left) if queue[0] is place else left
                await wait_for_event(self._changed, max(limit, _SHORTEST), self._sleep)
        finally:
            queue.remove(place)
            on_wait(self._clock() - since - awaiting_reply)
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
