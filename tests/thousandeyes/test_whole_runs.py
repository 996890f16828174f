"""Whole runs of many IDs, through gate and client, on the virtual clock."""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thousandeyes.model_server import BOTH, EPOCH, ModelServer
from tests.thousandeyes.steady import steady
from tests.thousandeyes.virtual_time import run
from thousandeyes.client import ThousandEyesClient
from thousandeyes.delivery import Delivery, may_send_again
from thousandeyes.errors import CallFailed
from thousandeyes.families import Family
from thousandeyes.gate import QuotaGate
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.settings import ThousandEyesSettings

FAULTS = ["200", "404", "500", "lost after", "lost before", "refused", "429", "html"]


@dataclass
class Api:
    """The model server, with latency and faults; `applied` counts what it carried out."""

    server: ModelServer
    latency: Callable[[str], float] = lambda _: 0.05
    faults: dict[str, list[str]] = field(default_factory=dict)
    applied: Counter[str] = field(default_factory=Counter)
    by_status: Counter[int] = field(default_factory=Counter)
    refused_in: list[int] = field(default_factory=list)
    """The windows in which it refused, one for each 429."""
    resets: set[float] = field(default_factory=set)
    """The Resets that it told."""

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        test_id = request.url.path.split("/")[-2]
        left = self.faults.get(test_id, [])
        fault = left.pop(0) if left else "200"
        if fault == "refused":
            raise httpx.ConnectError("refused")
        if fault == "lost before":
            raise httpx.ReadError("reset")
        now = asyncio.get_running_loop().time
        half = self.latency(test_id) / 2
        await asyncio.sleep(half)
        status = 200 if fault in ("lost after", "html") else int(fault)
        if status == 429:
            self.server.refused += 1
        elif not self.server.take(BOTH, now()):
            status = 429
            self.refused_in.append(self.server.windows[Family.INSTANT].started)
        elif status != 404:
            self.applied[test_id] += 1
        reply = self.server.reply(status, now())
        self.resets |= {told.reset for told in reply.told().values()}
        self.by_status[status] += 1
        await asyncio.sleep(half)
        if fault == "lost after" and status == 200:
            raise httpx.ReadError("reset")
        body = "<html>hello</html>" if fault == "html" else reply.body
        return httpx.Response(status, headers=dict(reply.headers), text=body)


async def whole_run(
    api: Api,
    test_ids: Sequence[str],
    *,
    delivery: Delivery = Delivery.AT_LEAST_ONCE,
    at_a_time: int = 20,
    retries: int = 3,
    max_wait: float = 3600,
    chance: Callable[[], float] = random.random,
) -> list[Record]:
    """Work through the list as the flow does: a small pool, and retries where they may be."""
    loop = asyncio.get_running_loop()
    chosen = ThousandEyesSettings(token="secret-token")
    gate = QuotaGate(max_wait=max_wait, clock=loop.time, chance=chance)
    records = [Record(test_id) for test_id in test_ids]
    queue = iter(records)

    async def work(client: ThousandEyesClient) -> None:
        for record in queue:
            for attempt in range(retries + 1):
                try:
                    await client.rerun(record)
                    break
                except CallFailed as error:
                    if not may_send_again(error, delivery):
                        break
                    await asyncio.sleep(2 * 3**attempt)

    async with ThousandEyesClient(chosen, gate=gate, transport=httpx.MockTransport(api)) as client:
        await asyncio.gather(*(work(client) for _ in range(at_a_time)))
    for family in gate.quota.families.values():
        assert family.in_flight == 0
    return records


def server(instant: int = 24, **options: object) -> ModelServer:
    """Make a server whose windows are minutes of its clock."""
    limits = {Family.ORGANIZATION: 10 * instant, Family.INSTANT: instant}
    return ModelServer(limits, **options)  # type: ignore[arg-type]


def ids(count: int) -> list[str]:
    return [str(number) for number in range(count)]


@pytest.mark.parametrize("phase", [0.75, 12.0, 24.5, 36.1, 48.2, 59.4])
@pytest.mark.parametrize("rounding", [math.ceil, math.floor])
def test_in_windows_of_the_clock_96_tests_take_no_longer_than_the_api_tells_them_to_wait(
    phase: float, rounding: Callable[[float], int]
) -> None:
    """The ideal is what the replies told: from the first one's Date to the third Reset after it."""
    api = Api(server(skew=phase - EPOCH % 60, rounding=rounding))

    async def main() -> float:
        records = await whole_run(api, ids(96))
        assert {record.outcome for record in records} == {Outcome.ACCEPTED}
        return asyncio.get_running_loop().time()

    took = run(main())
    resets = sorted(api.resets)
    assert len(api.refused_in) <= 1
    assert len(resets) == 4
    ideal = resets[2] - math.floor(api.server.clock(0.05))
    assert ideal / took >= 0.97
    assert abs(180 + 60 - phase - took) <= 60


@pytest.mark.parametrize("latency", [0.05, 0.4])
@pytest.mark.parametrize("skew", [0.0, 3600.0, -3600.4])
def test_96_tests_meet_no_429_and_waste_almost_no_time(latency: float, skew: float) -> None:
    api = Api(server(skew=skew), latency=lambda test_id: latency * (1 + int(test_id) % 3) / 2)

    async def main() -> float:
        records = await whole_run(api, ids(96))
        assert {record.outcome for record in records} == {Outcome.ACCEPTED}
        assert [record.attempts for record in records] == [1] * 96
        return asyncio.get_running_loop().time()

    took = run(main())
    assert api.by_status == {200: 96}
    ideal = 3 * 60  # 24 go out at once, and three windows are waited for
    assert ideal / took >= 0.95


@pytest.mark.parametrize("latency", [0.05, 0.4])
@pytest.mark.parametrize("phase", [0.0, 0.3, 0.74, 0.76, 0.99])
def test_a_reset_rounded_down_costs_one_429_a_run_at_most(phase: float, latency: float) -> None:
    api = Api(server(rounding=math.floor, skew=phase), latency=lambda _: latency)

    async def main() -> float:
        records = await whole_run(api, ids(120))
        assert {record.outcome for record in records} == {Outcome.ACCEPTED}
        return asyncio.get_running_loop().time()

    assert 4 * 60 / run(main()) >= 0.95
    assert len(api.refused_in) <= 1, "it teaches that a window goes on after its Reset"


@pytest.mark.parametrize("rounding", [math.ceil, math.floor])
@given(phase=st.floats(0, 1), latency=st.floats(0.01, 0.5))
@steady(6)
def test_a_run_alone_is_refused_once_at_most_and_ends_as_soon_as_it_may(
    rounding: Callable[[float], int], phase: float, latency: float
) -> None:
    api = Api(server(rounding=rounding, skew=phase), latency=lambda _: latency)

    async def main() -> float:
        await whole_run(api, ids(96))
        return asyncio.get_running_loop().time()

    rounded = 1 if rounding is math.ceil else 0
    sending = 12 * latency
    assert run(main()) <= 3 * (60 + rounded + 2 * latency) + sending + 1
    assert len(api.refused_in) <= 1 - rounded


def test_without_headers_one_flood_of_429s_teaches_the_limit() -> None:
    api = Api(server(tells=()))

    async def main() -> float:
        records = await whole_run(api, ids(96))
        assert {record.outcome for record in records} == {Outcome.ACCEPTED}
        return asyncio.get_running_loop().time()

    assert run(main()) <= 5 * 60
    assert api.by_status[429] <= 20, "what was in flight when the window was used up, once"


@pytest.mark.parametrize(("others", "minutes"), [(0, 3), (12, 5), (23, 7)])
def test_without_headers_a_minute_in_which_others_had_the_quota_costs_minutes_and_no_more(
    others: int, minutes: int
) -> None:
    api = Api(server(tells=()))

    async def main() -> None:
        for _ in range(others):
            assert api.server.windows[Family.INSTANT].take(0)
        await whole_run(api, ids(87))
        assert asyncio.get_running_loop().time() < minutes * 60 + 20

    run(main())
    assert sorted(set(api.refused_in)) == [1]


def test_with_the_organization_s_headers_alone_the_instant_limit_is_learned() -> None:
    api = Api(server(tells=(Family.ORGANIZATION,)))
    records = run(whole_run(api, ids(96)))
    assert {record.outcome for record in records} == {Outcome.ACCEPTED}
    assert api.by_status[429] <= 20


def test_two_runs_that_know_nothing_of_each_other_share_a_window() -> None:
    api = Api(server())

    async def main() -> None:
        both = await asyncio.gather(*(whole_run(api, ids(60)) for _ in range(2)))
        assert all(record.outcome is Outcome.ACCEPTED for run in both for record in run)

    run(main())
    assert api.by_status[429] <= 10


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("runs", [2, 4])
def test_runs_that_begin_together_share_fairly_and_have_little_refused(
    runs: int, seed: int
) -> None:
    chance, api, shares = random.Random(seed), Api(server()), list[float]()
    api.latency = lambda _: chance.uniform(0.05, 0.07)

    async def main() -> None:
        async def one(name: int) -> None:
            await asyncio.sleep(chance.uniform(0, 2))
            own = [f"{name}-{each}" for each in range(228 // runs)]
            await whole_run(api, own, chance=chance.random)
            had = Counter(test_id.partition("-")[0] for test_id in api.applied)
            shares.append(min(had.values()) * runs / had.total() if len(had) == runs else 0)

        await asyncio.gather(*(one(name) for name in range(runs)))

    run(main())
    assert shares[0] >= 0.5, "of an equal share, when the first of them had all"
    windows = len(api.resets)
    assert windows <= 11, "228 tests fill nine windows and a half; the first one may be cut short"
    assert api.by_status[429] <= windows + runs, "each may begin in one that is used up"


@given(
    faults=st.lists(st.lists(st.sampled_from(FAULTS), max_size=5), min_size=1, max_size=30),
    instant=st.integers(2, 24),
    tells=st.sampled_from([BOTH, (), (Family.ORGANIZATION,), (Family.INSTANT,)]),
    rounding=st.sampled_from([math.ceil, math.floor]),
    latency=st.sampled_from([0.0, 0.3, 7.0]),
    delivery=st.sampled_from(Delivery),
    at_a_time=st.sampled_from([1, 4, 20]),
)
@steady(80)
def test_every_id_ends_in_exactly_one_outcome_whatever_happens(
    faults: list[list[str]],
    instant: int,
    tells: tuple[Family, ...],
    rounding: Callable[[float], int],
    latency: float,
    delivery: Delivery,
    at_a_time: int,
) -> None:
    api = Api(
        server(instant, tells=tells, rounding=rounding),
        latency=lambda test_id: latency * (int(test_id) % 5) / 5,
        faults={str(number): list(one) for number, one in enumerate(faults)},
    )
    records = run(whole_run(api, ids(len(faults)), delivery=delivery, at_a_time=at_a_time))
    for record in records:
        applied = api.applied[record.test_id]
        assert record.outcome not in (Outcome.NOT_ATTEMPTED, Outcome.QUOTA_EXHAUSTED) or (
            record.http_status == 429
        )
        if record.outcome is Outcome.ACCEPTED:
            assert applied >= 1
        if record.outcome in (Outcome.NOT_FOUND, Outcome.UNREACHABLE) and (
            not record.maybe_duplicate and record.attempts == 1
        ):
            assert applied == 0
        if applied > 1:
            assert record.maybe_duplicate
        if delivery is Delivery.AT_MOST_ONCE:
            assert applied <= 1
            assert not record.maybe_duplicate


def test_a_run_alone_waits_for_its_own_tests_as_long_as_they_take() -> None:
    api = Api(server(instant=1))
    records = run(whole_run(api, ids(40), max_wait=70))
    assert {record.outcome for record in records} == {Outcome.ACCEPTED}
    assert max(record.quota_wait_seconds for record in records) > 18 * 60


def test_tests_for_which_others_leave_no_quota_are_quota_exhausted_in_time() -> None:
    used_up = {str(number): ["429"] * 99 for number in range(8, 12)}
    api = Api(server(instant=4), faults=used_up)

    async def main() -> float:
        records = await whole_run(api, ids(12), max_wait=70)
        assert Counter(record.outcome for record in records) == {
            Outcome.ACCEPTED: 8,
            Outcome.QUOTA_EXHAUSTED: 4,
        }
        return asyncio.get_running_loop().time()

    assert run(main()) < 4 * 60
