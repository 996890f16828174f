import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from tests.thousandeyes.steady import steady
from thousandeyes.errors import ReplyLost
from thousandeyes.judging import judge
from thousandeyes.outcomes import VerdictName
from thousandeyes.replies import Reply, read
from thousandeyes.results import Kind, Page, rounds
from thousandeyes.rounds import AnyRow, HttpRound, Measured, NetworkRound, rows_of
from thousandeyes.simulator import create_app
from thousandeyes.thresholds import Thresholds
from thousandeyes.verdict import Verdict

NETWORK, HTTP = "1", "2"
IDS = [NETWORK, HTTP, "3", "4"]
NOON = 1_800_000_000.0
WHO = {"testId": "1", "agentId": "a", "roundId": 60}


class Laptops:
    """A simulator whose time stands still, and the reading half of a client for it."""

    def __init__(self, **options: Any) -> None:
        self.now = NOON
        options = {"tests": IDS, "results_after_seconds": 0, **options}
        self.app: Starlette = create_app(clock=lambda: self.now, **options)
        self.simulator = self.app.state.simulator
        self.calls: list[tuple[str, str, dict[str, str], Mapping[str, Any] | None]] = []
        self.keeps: Callable[[str], bool] = lambda _: True
        self._http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url="http://simulator/v7",
            headers={"Authorization": f"Bearer {self.simulator.token}"},
        )

    async def read(
        self, method: str, path: str, *, params: Any = None, body: Any = None, aid: Any = None
    ) -> Any:
        query = {name: value for name, value in (params or {}).items() if self.keeps(name)}
        query |= {"aid": aid} if aid else {}
        self.calls.append((method, path, query, body))
        reply = await self._http.request(method, path, params=query, json=body)
        return read(Reply(reply.status_code, reply.headers, reply.text, time.time()))

    async def run(self, *test_ids: str) -> None:
        for test_id in test_ids:
            await self.read("POST", f"/endpoint/tests/scheduled-tests/{test_id}/run")
        self.calls.clear()

    async def create(self, kind: str, **settings: Any) -> str:
        """Create a test that many agents may run, which also runs it."""
        body = {"testName": "new", "maxMachines": 300, **settings}
        path = f"/endpoint/tests/scheduled-tests/{kind}/instant"
        created = await self.read("POST", path, body=body)
        test_id: str = created["testId"]
        return test_id

    @property
    def online(self) -> set[str]:
        return {agent.id for agent in self.simulator.agents if agent.is_online}

    async def verdict(self, test_id: str, since: float, **thresholds: Any) -> Verdict:
        network = await every(rounds(self.read, Kind.NETWORK, [test_id], since=since))
        http = await every(rounds(self.read, Kind.HTTP_SERVER, [test_id], since=since))
        answered = {row.agent_id for row in [*network, *http]}
        agents = {agent.id: agent.name for agent in self.simulator.agents}
        return judge(
            [*network, *http],
            Thresholds(**thresholds),
            expected=len(self.online),
            complete=answered >= self.online,
            agent_names=agents,
        )


class Canned:
    """An API that says what it is told to, page by page."""

    def __init__(self, *replies: object) -> None:
        self.replies = list(replies)
        self.calls: list[tuple[Mapping[str, str] | None, Mapping[str, Any] | None]] = []

    async def read(self, *_: str, params: Any, body: Any, **__: Any) -> Any:
        self.calls.append((params, body))
        return self.replies[len(self.calls) - 1]


def page(*rows: Mapping[str, object], cursor: str | None = None) -> dict[str, object]:
    href = f"https://elsewhere.invalid/v9?max=1&cursor={cursor}"
    return {"results": rows and list(rows), "_links": {"next": {"href": href}} if cursor else {}}


def parsed(row: Mapping[str, object], model: type[AnyRow]) -> AnyRow:
    [found] = rows_of([{**WHO, **row}], model)
    return found


async def every(pages: AsyncIterator[Page]) -> list[Measured]:
    """Return the rows of all pages."""
    return [row async for page in pages for row in page.rows]


async def pages_of(pages: AsyncIterator[Page]) -> list[int]:
    return [len(page.rows) async for page in pages]


def test_a_row_passes_over_what_is_not_known_and_survives_what_is_missing() -> None:
    row = parsed({"loss": 12.5, "ztaMetrics": [{"loss": 1}]}, NetworkRound)
    assert (row.test_id, row.agent_id, row.round_id, row.loss) == ("1", "a", 60, 12.5)
    assert [row.avg_latency, row.is_icmp_blocked, row.score] == [None] * 3
    assert "ztaMetrics" not in repr(row)


@pytest.mark.parametrize("odd", [None, "much", [], {}, True, -1, 10**400, float("nan"), 1e300])
def test_an_odd_metric_is_missing_and_costs_no_row(odd: object) -> None:
    assert parsed({"loss": odd, "jitter": 2}, NetworkRound).loss is None
    assert parsed({"loss": odd, "jitter": 2}, NetworkRound).jitter == 2
    assert parsed({"responseTime": odd, "responseCode": odd}, HttpRound).response_code is None
    score = parsed({"score": odd}, HttpRound).score
    assert score is None or score.application_score is None


@pytest.mark.parametrize("model", [NetworkRound, HttpRound])
def test_what_an_agent_says_of_an_error_is_read(model: type[NetworkRound | HttpRound]) -> None:
    assert parsed({"errorDetails": "No host"}, model).error_details == "No host"


def test_numbers_in_text_are_numbers_and_ids_in_numbers_are_text() -> None:
    [row] = rows_of([{"testId": 7, "agentId": "a", "roundId": "60", "loss": "5"}], NetworkRound)
    assert (row.test_id, row.round_id, row.loss) == ("7", 60, 5)


def test_a_row_of_a_round_that_no_calendar_has_is_passed_over() -> None:
    assert rows_of([{**WHO, "roundId": 10**18}], NetworkRound) == []


@pytest.mark.parametrize("who", ["testId", "agentId", "roundId"])
@pytest.mark.parametrize("odd", [..., None, "", [], {}])
def test_a_row_of_nobody_is_left_out_and_the_others_stay(who: str, odd: object) -> None:
    row = {name: value for name, value in WHO.items() if name != who}
    row |= {} if odd is ... else {who: odd}
    assert rows_of([row, WHO, None, "row"], HttpRound) == rows_of([WHO], HttpRound)


@pytest.mark.parametrize(
    ("told", "error"),
    [("none", None), ("None", None), ("", None), (None, None), ("dns", "dns"), ("quic", "quic")],
)
def test_unknown_error_types_are_errors_and_none_is_not(told: object, error: str | None) -> None:
    assert parsed({"errorType": told}, HttpRound).error == error


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@steady(60)
@given(
    st.dictionaries(
        st.sampled_from(["loss", "avgLatency", "errorType", "responseCode", "score"]),
        json_values,
    )
)
def test_whatever_else_a_row_holds_it_is_read(row: dict[str, object]) -> None:
    for model in (NetworkRound, HttpRound):
        assert parsed(row, model).round_id == 60


@pytest.mark.parametrize("cursors", [["a", "a"], ["a", "b", "a"], ["a", ""], ["a", None]])
async def test_a_repeated_empty_or_missing_cursor_ends_it(cursors: list[str | None]) -> None:
    api = Canned(*[page(WHO, cursor=cursor) for cursor in cursors], "never asked for")
    assert await pages_of(rounds(api.read, Kind.NETWORK, ["1"], since=0)) == [1] * len(cursors)


async def test_every_page_is_asked_for_with_the_same_query_and_body() -> None:
    api = Canned(page(WHO, cursor="a"), page(WHO, cursor="b"), page())
    await every(rounds(api.read, Kind.NETWORK, ["1"], since=100))
    first, *others = api.calls
    assert first[0] == {"startDate": "1970-01-01T00:01:00Z", "max": "500"}
    assert first[1] == {
        "searchFilters": {"testId": ["1"]},
        "searchSort": [{"sort": "round-id", "order": "desc"}],
    }
    assert others == [({**first[0], "cursor": cursor}, first[1]) for cursor in "ab"]


async def test_the_last_round_to_read_is_told_to_the_api() -> None:
    api = Canned(page(WHO))
    await every(rounds(api.read, Kind.NETWORK, ["1"], since=100, until=180.0))
    [(params, _)] = api.calls
    dates = {"startDate": "1970-01-01T00:01:00Z", "endDate": "1970-01-01T00:03:00Z"}
    assert params == {**dates, "max": "500"}


async def test_a_caller_may_stop_early() -> None:
    api = Canned(page(WHO, cursor="a"))
    async for first in rounds(api.read, Kind.NETWORK, ["1"], since=0):
        assert first.rows
        break
    assert len(api.calls) == 1


async def test_rows_of_other_tests_and_of_older_rounds_are_dropped() -> None:
    rows = [WHO | {"roundId": moment} for moment in (0, 60, 119, 120)]
    api = Canned(page(*rows, WHO | {"testId": "2"}))
    found = await every(rounds(api.read, Kind.HTTP_SERVER, ["1"], since=119.9))
    assert [row.round_id for row in found] == [60, 119, 120]


async def test_without_tests_nothing_is_read() -> None:
    # An empty filter would mean all tests.
    api = Canned()
    assert await every(rounds(api.read, Kind.NETWORK, [], since=0)) == []
    assert await every(rounds(api.read, Kind.HTTP_SERVER, [], since=0)) == []


@pytest.mark.parametrize("body", [None, [], "text", {"results": {"1": WHO}}, {"results": "none"}])
async def test_a_reply_without_readable_results_is_a_lost_one(body: object) -> None:
    with pytest.raises(ReplyLost, match="network/filter answered without readable results"):
        await every(rounds(Canned(body).read, Kind.NETWORK, ["1"], since=0))


@pytest.mark.parametrize("body", [{}, {"results": None}, {"results": []}])
async def test_a_reply_may_have_no_rows(body: object) -> None:
    assert await every(rounds(Canned(body).read, Kind.NETWORK, ["1"], since=0)) == []


async def test_many_tests_are_read_over_several_pages() -> None:
    laptops = Laptops(page_size=3, agents=8)
    await laptops.run(*IDS)
    network = await every(rounds(laptops.read, Kind.NETWORK, IDS, since=NOON, aid="1234"))
    pages = len(laptops.calls)
    assert pages == -(-len(IDS) * len(laptops.online) // 3)
    assert len(network) == len(IDS) * len(laptops.online)
    http = await every(rounds(laptops.read, Kind.HTTP_SERVER, IDS, since=NOON))
    assert {row.test_id for row in network} == set(IDS)
    assert {row.test_id for row in http} == {HTTP, "4"}
    assert {row.agent_id for row in http} == laptops.online
    assert all(isinstance(row, HttpRound) and row.error_type and row.laptop.facts for row in http)


async def test_the_newest_rounds_come_first() -> None:
    laptops = Laptops(page_size=3, agents=4)
    for _ in range(3):
        await laptops.run(*IDS)
        laptops.now += 120
    for rows in (
        await every(rounds(laptops.read, Kind.NETWORK, IDS, since=NOON)),
        await every(rounds(laptops.read, Kind.HTTP_SERVER, IDS, since=NOON)),
    ):
        round_ids = [row.round_id for row in rows]
        assert round_ids == sorted(round_ids, reverse=True)
        assert len(set(round_ids)) == 3


async def test_every_page_is_of_the_account_group_asked_for() -> None:
    laptops = Laptops(page_size=3)
    await laptops.run(HTTP)
    assert await every(rounds(laptops.read, Kind.NETWORK, [HTTP], since=NOON, aid="1234"))
    assert await every(rounds(laptops.read, Kind.HTTP_SERVER, [HTTP], since=NOON, aid="1234"))
    assert len(laptops.calls) > 4
    assert {query["aid"] for _, _, query, _ in laptops.calls} == {"1234"}


async def test_a_round_that_began_before_the_moment_in_its_minute_counts() -> None:
    laptops = Laptops()
    laptops.now += 45
    await laptops.run(NETWORK)
    found = await every(rounds(laptops.read, Kind.NETWORK, [NETWORK], since=laptops.now))
    assert {row.round_id for row in found} == {NOON}


async def test_agents_that_never_answer_do_not_spoil_a_verdict() -> None:
    laptops = Laptops(agents=25)
    await laptops.run(NETWORK)
    verdict = await laptops.verdict(NETWORK, NOON)
    assert verdict.name is VerdictName.PASSED
    assert verdict.agents_answered == verdict.agents_passed == len(laptops.online) < 25


async def test_nobody_answers_while_nothing_ran() -> None:
    assert (await Laptops().verdict(HTTP, NOON)).name is VerdictName.NO_DATA


async def test_late_agents_are_judged_when_enough_have_answered() -> None:
    laptops = Laptops(results_after_seconds=10)
    await laptops.run(NETWORK)
    names = []
    for seconds in (5, 12, 20):
        laptops.now = NOON + seconds
        names.append((await laptops.verdict(NETWORK, NOON, min_agents=10)).name.value)
    assert names == ["no_data", "timed_out", "passed"]


async def test_agents_that_answer_twice_count_once() -> None:
    laptops = Laptops()
    await laptops.run(HTTP)
    once = await laptops.verdict(HTTP, NOON, min_agents_passing_percent=1)
    for seconds in (0, 60):
        laptops.now = NOON + seconds
        await laptops.run(HTTP)
    verdict = await laptops.verdict(HTTP, NOON, min_agents_passing_percent=1)
    assert verdict.agents_answered == once.agents_answered == len(laptops.online)
    assert verdict == await laptops.verdict(HTTP, NOON + 60, min_agents_passing_percent=1)


async def test_blocked_icmp_fails_nobody() -> None:
    laptops = Laptops(agents=300)
    test_id = await laptops.create("agent-to-server", server="example.com")
    verdict = await laptops.verdict(test_id, NOON)
    assert verdict.name is VerdictName.PASSED
    assert verdict.agents_icmp_blocked > 0
    assert f"({verdict.agents_icmp_blocked} with ICMP blocked)" in verdict.sentence


async def test_every_error_type_of_the_laptops_fails_its_agents() -> None:
    laptops = Laptops(agents=300, page_size=500)
    test_id = await laptops.create("http-server", url="https://example.com")
    verdict = await laptops.verdict(test_id, NOON)
    assert verdict.name is VerdictName.FAILED
    assert verdict.error_types == ("connect", "dns", "http", "receive", "send", "ssl")
    assert verdict.http_status_worst == 503
    said = " ".join(why.text for agent in verdict.failing for why in agent.reasons)
    assert all(f"{kind} error (" in said for kind in verdict.error_types)
    assert verdict.failing[0].name in {agent.name for agent in laptops.simulator.agents}


async def test_an_old_round_that_still_stands_in_the_reply_is_no_answer() -> None:
    laptops = Laptops()
    laptops.keeps = lambda name: name != "startDate"  # an API that answers with its latest rounds
    await laptops.run(NETWORK)
    laptops.now += 600
    verdict = await laptops.verdict(NETWORK, laptops.now)
    assert laptops.calls
    assert verdict.name is VerdictName.NO_DATA
    await laptops.run(NETWORK)
    assert (await laptops.verdict(NETWORK, laptops.now)).agents_answered == len(laptops.online)


@pytest.mark.parametrize("offset", [3600, -3600])
async def test_clocks_an_hour_apart_change_nothing_by_the_servers_clock(offset: float) -> None:
    laptops = Laptops(clock_offset_seconds=offset)
    await laptops.run(NETWORK)
    laptops.now += 600
    by_the_server = laptops.simulator.now()
    assert (await laptops.verdict(NETWORK, by_the_server)).name is VerdictName.NO_DATA
    await laptops.run(NETWORK)
    verdict = await laptops.verdict(NETWORK, by_the_server)
    assert verdict.name is VerdictName.PASSED
    assert verdict.agents_answered == len(laptops.online)


@pytest.mark.parametrize(
    ("counts", "totals"),
    [([5, 5, 5], [5, 5, 5]), ([2, 2, 1], [None] * 3), ([4, 4, 4], [4, None, None])],
    ids=["of all pages", "of one page", "of no more than four"],
)
async def test_a_total_that_does_not_cover_all_pages_is_missing(
    counts: list[int], totals: list[int | None]
) -> None:
    pages = [page(WHO, WHO, cursor="a"), page(WHO, WHO, cursor="b"), page(WHO)]
    told = ({**one, "totalHits": count} for one, count in zip(pages, counts, strict=True))
    api = Canned(*told)
    found = [one.total async for one in rounds(api.read, Kind.NETWORK, ["1"], since=0)]
    assert found == totals
