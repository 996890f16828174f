"""Who may send when: the one place in which a run waits for quota."""

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
from thousandeyes.text import duration
from thousandeyes.waiting import wait_for_event

Spends = tuple[Family, ...]
OnWait = Callable[[float], None]

SILENT_CALLS: Final = 10
SILENT_SECONDS: Final = 120.0
"""So many calls in a row, over so long, without a single reply: the API does not answer."""
KEPT_READY: Final = 5.0
"""Seconds for which a call that is being made ready keeps its permission from others."""
_SHORTEST: Final = 0.001
"""Seconds of the shortest wait: one too short for the clock would end at once, again and again."""


@dataclass
class Admission:
    """Permission to send one call. Who has it notes here what came of the call."""

    permit: Permit
    since: float
    keeps: bool
    is_lent: bool = False
    sent: bool = False
    reply: Reply | None = None


class QuotaGate:
    """Lets calls out one after the other, first come, first served, as the quota allows.

    Calls that spend different families wait in queues of their own, so that reading results
    doesn't wait behind reruns. All callers share one event loop.

    Where the API does not answer, the gate stops of itself: `silence` is the reason. `first_reply`
    is set when an instant call has been answered, `other_window` when Resets have shown that the
    window of these is no minute.

    Args:
        reserve: The fraction of each window that is left to other users.
        max_wait: Seconds that a call may wait for quota while none of its queue ends otherwise than
            with 429. Each that does shows that the queue moves, and who waits in it waits for this
            run's own calls.
        clock: Seconds on a clock that never goes back.
        sleep: Waits that many seconds by the same clock.
        chance: A number from 0 to 1, another one each time: the lot for a window's last calls.
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
        self._unanswered, self._unanswered_since = 0, 0.0

    def stop(self, reason: str, *, begun_too: bool) -> None:
        """Let no more reruns and creations out. Calls that only read may go on.

        Args:
            reason: Is told to every test that is refused.
            begun_too: Also refuse tests of which a call went out before. Once refused, they stay
                so: a later stop without it changes nothing.
        """
        if begun_too or self._stop is None:
            self._stop, self._stop_all = reason, begun_too
        self._wake()

    def now(self) -> float:
        """Return the seconds on the gate's clock."""
        return self._clock()

    def wait_for_quota(self) -> float:
        """Return how many seconds a rerun would wait now if nothing else changed; 0: none."""
        wait = self.quota.wait(tuple(Family), self._clock())
        return wait if wait < math.inf else 0.0

    def has_spare(self, spends: Spends, share: float) -> bool:
        """Tell whether such a call need not wait, and leaves a share of each window to others."""
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
            asked: When the same call asked first, by `now`; later than that where it was refused
                with 429. This moment when left out.
            again: Whether `make_ready` has just turned the same call away. It goes before all
                others then, and keeps its permission, or slow work would turn it away for ever.
            on_wait: Is told the seconds of this wait as soon as it ends, also when it fails: all of
                them, those in which the queue moved too. To wait for a reply that tells the quota
                is no wait for quota.

        Raises:
            QuotaExhausted: For `max_wait` no call of the queue got through, or the API has asked
                for a longer wait than is left of that.
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
        """Await what comes right before a call; tell whether the call may go out after that.

        Work that takes longer than `KEPT_READY` lends the permission to others: reading results
        waits for no Prefect server. At its end the call may go out if there is room for it.
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
        if not (reply and reply.status == HTTPStatus.TOO_MANY_REQUESTS):
            self._moved[permit.spends] = now
        if reply:
            self.quota.replied(permit, reply, now)
            self._unanswered = 0
            if Family.INSTANT in permit.spends:
                self.first_reply.set()
                if self.quota.families[Family.INSTANT].window != WINDOW:
                    self.other_window.set()
        elif admission.sent:
            self.quota.lost(permit)
            self._note_silence(admission.since)
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
                if wait == math.inf:  # nobody's quota is waited for: only a reply can tell it
                    try:
                        await wait_for_event(self._changed, math.inf, self._sleep)
                    finally:
                        awaited = self._clock() - now
                        awaiting_reply, asked = awaiting_reply + awaited, asked + awaited
                    continue
                left = self._max_wait - (now - max(asked, self._moved.get(spends, asked)))
                if left <= 0:
                    raise QuotaExhausted(
                        f"waited {self._max_wait:.0f} s for quota while no call got through, as "
                        "long as TE_MAX_QUOTA_WAIT allows; others may be using it up"
                    )
                closed = self.quota.closed_until - now
                if closed > left:
                    raise QuotaExhausted(
                        f"the API will accept no calls for {duration(closed)}, and "
                        f"TE_MAX_QUOTA_WAIT lets a test wait {duration(self._max_wait)} while no "
                        "call gets through"
                    )
                # Who is not the first waits for those before.
                limit = min(wait, left) if queue[0] is place else left
                await wait_for_event(self._changed, max(limit, _SHORTEST), self._sleep)
        finally:
            queue.remove(place)
            on_wait(self._clock() - since - awaiting_reply)
            self._wake()

    def _note_silence(self, since: float) -> None:
        """Note that a call which went out then brought no reply; stop if that is enough."""
        if not self._unanswered:
            self._unanswered_since = since
        self._unanswered += 1
        silent_for = self._clock() - self._unanswered_since
        if self._unanswered >= SILENT_CALLS and silent_for >= SILENT_SECONDS:
            calls = f"{self._unanswered} calls in a row, over {duration(silent_for)}"
            self.silence = f"the API does not answer: {calls}, brought no reply"
            self.stop(self.silence, begun_too=True)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
