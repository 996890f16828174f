"""Any interleaving of calls, replies, losses and other users, against true fixed windows."""

import math
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.thousandeyes.model_server import BOTH, ModelServer
from tests.thousandeyes.steady import steady
from thousandeyes.families import MOST_ASKING, Family
from thousandeyes.quota import Permit, Quota
from thousandeyes.replies import Reply

SPENDS = st.sampled_from([BOTH, (Family.ORGANIZATION,)])


@dataclass(eq=False)
class Call:
    """One call as the world sees it, which knows more than the run."""

    permit: Permit
    sent_at: float
    reply: Reply | None = None
    windows: dict[Family, int] = field(default_factory=dict)
    """The window of each family that counted it."""
    told_of: dict[Family, int] = field(default_factory=dict)
    """The window of each family that its reply tells of."""
    seen: frozenset["Call"] = frozenset()
    """What the server had counted when it replied."""
    vain: bool = False
    """Refused, or never arrived: it took nothing."""


@dataclass
class Reading:
    """What one reply told of one family; `seen` are the calls that its Remaining counts."""

    family: Family
    window: int
    ends_at: float
    left: int
    seen: frozenset[Call]

    def takes(self, call: Call) -> bool:
        """Tell whether a call is or may yet be counted by the window after this was told."""
        window = call.windows.get(self.family, self.window)
        new = call not in self.seen and not call.vain and window == self.window
        return new and self.family in call.permit.spends


class AnyInterleaving(RuleBasedStateMachine):
    """One run, alone or with others, against a server that keeps its word."""

    @initialize(
        instant=st.one_of(st.integers(1, 4), st.integers(1, 24)),
        organization=st.one_of(st.just(240), st.integers(1, 60)),
        tells=st.sampled_from([BOTH, BOTH, (Family.ORGANIZATION,), (Family.INSTANT,), ()]),
        rounding=st.sampled_from([math.ceil, math.floor]),
        skew=st.sampled_from([0.0, 3600.0, -3600.0, 0.5]),
        reserve=st.sampled_from([0.0, 0.0, 0.25, 0.9]),
        kind=st.tuples(st.booleans(), st.booleans()),
    )
    def begin(
        self,
        instant: int,
        organization: int,
        tells: tuple[Family, ...],
        rounding: type[int],
        skew: float,
        reserve: float,
        kind: tuple[bool, bool],
    ) -> None:
        limits = {Family.INSTANT: instant, Family.ORGANIZATION: organization}
        alone, by_the_clock = kind
        self.server = ModelServer(limits, tells, rounding, skew, by_the_clock=by_the_clock)
        self.alone = alone
        self.keeps_its_word = set(tells) == set(BOTH) and rounding is math.ceil
        self.quota = Quota(reserve)
        self.now = 0.0
        self.out: list[Call] = []
        self.all: list[Call] = []
        self.lost: list[Call] = []
        self.crowded = False
        """Whether more calls may be on their way than a window holds, and the run can't know."""
        self.readings: list[Reading] = []
        self.closed_until = -math.inf
        self.silent = dict.fromkeys(Family, 0)
        """Calls in a row that brought no reply."""

    def kept_back(self, family: Family) -> int:
        limit = self.server.limits[family]
        return min(math.ceil(limit * self.quota.reserve), max(0, limit - 1))

    @rule(seconds=st.one_of(st.floats(0.01, 3), st.floats(1, 70)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(spends=SPENDS, calls=st.integers(1, 10))
    def calls_want_out(self, spends: tuple[Family, ...], calls: int) -> None:
        for _ in range(calls):
            if self.quota.wait(spends, self.now) > 0:
                return
            self.send(spends)

    def send(self, spends: tuple[Family, ...]) -> None:
        assert self.now >= self.closed_until, "sent before the Reset that a 429 told"
        unknown = [
            (family, known.era)
            for family in spends
            if (known := self.quota.families[family]).told is None and not known.untold
        ]
        for family, era in unknown:
            others = [c for c in self.out if family in c.permit.spends]
            asking = sum(c.permit.marks[family].era == era for c in others)
            assert asking < min(4 ** max(0, self.silent[family] - 1), MOST_ASKING), "not alone"
            unheard = sum(family in c.permit.spends for c in self.lost if not c.vain)
            self.crowded |= len(others) + unheard >= self.server.limits[family]
        call = Call(self.quota.send(spends), self.now)
        self.out.append(call)
        self.all.append(call)
        for reading in self.readings:
            if reading.family in spends and self.now < reading.ends_at:
                took = sum(reading.takes(c) for c in self.all)
                assert took <= reading.left, "more than the window was told to hold"

    @precondition(lambda self: any(not c.reply for c in self.out))
    @rule(data=st.data(), fault=st.sampled_from([0, 0, 0, 0, 404, 500]))
    def the_server_answers(self, data: st.DataObject, fault: int) -> None:
        self.answer(data.draw(st.sampled_from([c for c in self.out if not c.reply])), fault)

    def answer(self, call: Call, fault: int = 0) -> None:
        granted = self.server.take(call.permit.spends, self.now)
        call.told_of = {f: self.server.windows[f].started for f in Family}
        call.reply = self.server.reply((fault or 200) if granted else 429, self.now)
        if granted:
            call.windows = {f: self.server.windows[f].started for f in call.permit.spends}
        elif self.keeps_its_word and self.alone:
            assert self.crowded, "refused, though nobody else is there"
        call.seen = frozenset(c for c in self.all if c.windows)

    @precondition(lambda self: any(c.reply for c in self.out))
    @rule(data=st.data(), calls=st.integers(1, 8))
    def replies_arrive(self, data: st.DataObject, calls: int) -> None:
        for _ in range(calls):
            if answered := [c for c in self.out if c.reply]:
                self.arrive(data.draw(st.sampled_from(answered)))

    def arrive(self, call: Call) -> None:
        assert call.reply
        self.out.remove(call)
        told = call.reply.told()
        call.vain = call.reply.status == 429
        for family, reading in told.items():
            ends_at = reading.reset - self.server.clock(0.0)
            heard = Reading(family, call.told_of[family], ends_at, 0, call.seen)
            already = sum(heard.takes(c) for c in self.all)
            heard.left = max(reading.remaining - self.kept_back(family), already)
            self.readings.append(heard)
        self.quota.replied(call.permit, call.reply, self.now)
        for family in call.permit.spends:
            self.silent[family] = 0
        if call.vain:
            explained = [t.seconds_left for t in told.values() if t.remaining == 0]
            wait = max([1.0, *explained]) if explained else 0.0
            self.closed_until = max(self.closed_until, self.now + wait)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def a_call_is_lost(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.out))
        self.out.remove(call)
        call.vain = call.reply is None or call.reply.status == 429
        self.lost.append(call)
        self.quota.lost(call.permit)
        for family in call.permit.spends:
            self.silent[family] += 1

    @precondition(lambda self: any(not c.reply for c in self.out))
    @rule(data=st.data(), timed_out=st.booleans())
    def a_call_gets_no_connection(self, data: st.DataObject, *, timed_out: bool) -> None:
        call = data.draw(st.sampled_from([c for c in self.out if not c.reply]))
        self.out.remove(call)
        call.vain = True
        if not timed_out:
            self.quota.unsent(call.permit)
            return
        self.quota.lost(call.permit, sent=False)
        for family in call.permit.spends:
            self.silent[family] += 1

    @precondition(lambda self: not self.alone)
    @rule(spends=SPENDS, calls=st.integers(1, 30))
    def others_call(self, spends: tuple[Family, ...], calls: int) -> None:
        for _ in range(calls):
            self.server.take(spends, self.now)

    @invariant()
    def whoever_waits_waits_for_something(self) -> None:
        for spends in (BOTH, (Family.ORGANIZATION,)):
            wait = self.quota.wait(spends, self.now)
            assert wait < math.inf or self.out, "waits for a reply, and none is to come"
            assert wait == math.inf or wait <= 62, "longer than a window"

    def teardown(self) -> None:
        """When all is answered, what waits gets out after a few finite waits."""
        if not hasattr(self, "quota"):
            return
        for call in list(self.out):
            if not call.reply:
                self.answer(call)
            self.arrive(call)
        for _ in range(4):
            wait = self.quota.wait(BOTH, self.now)
            assert wait < math.inf
            self.now += wait
        assert self.quota.wait(BOTH, self.now) == 0


AnyInterleaving.TestCase.settings = steady(120, steps=40)
TestAnyInterleaving = AnyInterleaving.TestCase
