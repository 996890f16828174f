"""The loop, on the virtual clock, with an API that says what it is told to."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.thousandeyes.virtual_time import run
from thousandeyes.awaiting import (
    LAST_LOOK,
    Awaiting,
    newest_rounds,
    read_results,
)
from thousandeyes.errors import (
    CallFailed,
    Forbidden,
    InvalidCall,
    NotFound,
    QuotaExhausted,
    ReplyLost,
    ServerError,
    TokenRefused,
)
from thousandeyes.queries import TESTS_PER_CALL
from thousandeyes.results import Kind
from thousandeyes.together import MOST_REFUSALS
from thousandeyes.watch import FAILURES_IN_A_ROW, AwaitedTest

BEFORE, ROUND = 600, 660
BOTH = frozenset(Kind)
ERRORS = [
    ReplyLost("lost"),
    ServerError("503", 503),
    Forbidden("403", 403),
    QuotaExhausted("waited"),
]


def row(test_id: str = "1", agent: str = "a", round_id: int = ROUND) -> dict[str, Any]:
    return {"testId": test_id, "agentId": agent, "roundId": round_id}


class Api:
    """Answers each call from `answer`, which gets the kind, the test IDs and the cursor."""

    def __init__(self, answer: Callable[[str, list[str], str | None], Any]) -> None:
        self.answer = answer
        self.calls: list[tuple[float, str, list[str], str | None, str | None]] = []

    async def read(self, _: str, path: str, *, params: Any, body: Any, aid: str | None) -> Any:
        kind, test_ids = path.split("/")[-2], body["searchFilters"]["testId"]
        cursor = params.get("cursor")
        self.calls.append((asyncio.get_running_loop().time(), kind, test_ids, cursor, aid))
        answer = self.answer(kind, test_ids, cursor)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Done:
    def __init__(self) -> None:
        self.tests: dict[str, tuple[float, AwaitedTest, str]] = {}

    async def __call__(self, watched: AwaitedTest, trouble: str) -> None:
        self.tests[watched.test_id] = asyncio.get_running_loop().time(), watched, trouble


def watched(test_id: str = "1", **told: Any) -> AwaitedTest:
    usual: dict[str, Any] = {"rounds_after": BEFORE, "kinds": frozenset({Kind.NETWORK})}
    return AwaitedTest(test_id, **usual | {"gives_up_at": 300.0, "next_poll": 10.0} | told)


def awaited(api: Api, *tests: AwaitedTest) -> Done:
    done = Done()

    async def main() -> None:
        awaiting = Awaiting(api.read, done, clock=asyncio.get_running_loop().time)
        for test in tests:
            awaiting.add(test)
        awaiting.close()
        await followed(awaiting, dict.fromkeys(test.aid for test in tests))
        assert len(awaiting) == 0

    run(main())
    return done


async def followed(awaiting: Awaiting, aids: Iterable[str | None]) -> None:
    await asyncio.gather(*map(awaiting.follow, aids))


def page(*rows: dict[str, Any], total: int | None = None, cursor: str = "") -> dict[str, Any]:
    links = {"next": {"href": f"https://elsewhere.invalid/?cursor={cursor}"}} if cursor else {}
    told = {} if total is None else {"totalHits": total}
    return {"results": list(rows), "_links": links, **told}


def test_one_call_serves_many_tests_and_who_is_done_is_not_asked_for_again() -> None:
    api = Api(lambda _, ids, __: page(*(row(one) for one in ids if one != "2" or len(ids) < 3)))
    done = awaited(api, *(watched(str(number), expected=1) for number in range(4)))
    assert [(at, ids) for at, _, ids, *_ in api.calls] == [(10, [*"0123"]), (30, ["2"])]
    assert {test_id: at for test_id, (at, *_) in done.tests.items()} == {
        **dict.fromkeys("013", 10),
        "2": 30,
    }


def test_more_tests_than_a_filter_may_hold_are_asked_for_in_parts() -> None:
    api = Api(lambda _, ids, __: page(*map(row, ids)))
    awaited(api, *(watched(str(n), expected=1) for n in range(TESTS_PER_CALL + 5)))
    assert [len(ids) for _, _, ids, *_ in api.calls] == [TESTS_PER_CALL, 5]


def test_tests_of_other_account_groups_are_asked_for_there() -> None:
    api = Api(lambda _, ids, __: page(*map(row, ids)))
    awaited(api, watched("1", expected=1, aid="12"), watched("2", expected=1))
    assert [(ids, aid) for _, _, ids, _, aid in api.calls] == [(["1"], "12"), (["2"], None)]


def test_tests_sent_in_different_minutes_are_read_together_from_the_first_of_them_on() -> None:
    api = Api(lambda *_: page(row("1"), row("2", round_id=ROUND + 60)))
    awaited(api, watched("2", expected=1, rounds_after=ROUND), watched("1", expected=1))
    assert [(at, ids) for at, _, ids, *_ in api.calls] == [(10, ["1", "2"])]


@pytest.mark.parametrize(
    ("now", "end"), [(None, None), (ROUND + 60.0, None), (ROUND + 600.0, "1970-01-01T00:20:00Z")]
)
def test_what_is_long_over_is_read_no_further_than_it_can_count(
    now: float | None, end: str | None
) -> None:
    asked = []

    async def read(*_: object, params: Any, **__: object) -> Any:
        asked.append(params.get("endDate"))
        return page(row(), row(agent="b", round_id=1200), row(agent="c", round_id=1260))

    tests = [watched("1", rounds_until=1200), watched("2", rounds_until=ROUND)]
    run(read_results(read, tests, now))
    assert asked == [end]
    assert {one.agent_id for one in tests[0].rows} == {"a", "b"}


def test_of_what_is_known_already_one_page_is_read() -> None:
    rows = [row(agent=agent) for agent in "abc"]

    def answer(_: str, __: list[str], cursor: str | None) -> Any:
        if cursor is None:
            return page(*rows[:2], total=3, cursor="next")
        return page(rows[2], total=3)

    api = Api(answer)
    done = awaited(api, watched(expected=9))
    pages = [(at, cursor) for at, _, _, cursor, _ in api.calls]
    # More were to come; they did not, so all is read; and still nothing is new.
    assert pages == [(10, None), (30, None), (30, "next"), (70, None)]
    assert len(done.tests["1"][1].rows) == 3


@pytest.mark.parametrize("expected", [None, 9])
@pytest.mark.parametrize("totals", [[2, 2, 2], [2, 2, 1], [4, 4, 4]], ids=str)
def test_a_count_that_is_reached_before_the_last_page_ends_no_reading(
    totals: list[int], expected: int | None
) -> None:
    """Such a count is of one page, or never goes beyond a certain number."""
    pages = [
        page(row(agent="a"), row(agent="b"), total=totals[0], cursor="1"),
        page(row(agent="c"), row(agent="d"), total=totals[1], cursor="2"),
        page(row(agent="e"), total=totals[2]),
    ]
    done = awaited(Api(lambda _, __, cursor: pages[int(cursor or 0)]), watched(expected=expected))
    assert {one.agent_id for one in done.tests["1"][1].rows} == {*"abcde"}


def test_while_rows_still_come_the_other_pages_are_left_for_later() -> None:
    totals = [3, 5, 7, 7, 7]

    def answer(_: str, __: list[str], cursor: str | None) -> Any:
        total = totals.pop(0) if cursor is None else 7
        rows = [row(agent=str(number)) for number in range(total)]
        return page(*rows[2:], total=total) if cursor else page(*rows[:2], total=total, cursor="n")

    api = Api(answer)
    done = awaited(api, watched(expected=9))
    pages = [(at, cursor) for at, _, _, cursor, _ in api.calls]
    assert pages == [(10, None), (30, None), (70, None), (70, "n"), (130, None), (190, None)]
    assert len(done.tests["1"][1].rows) == 7


@pytest.mark.parametrize("takes", [0, 20])
def test_at_the_last_look_every_page_is_read(takes: float) -> None:
    """Also when the last look is one that was not meant to be, since its calls took so long."""

    class Slow(Api):
        async def read(self, *arguments: Any, **options: Any) -> Any:
            await asyncio.sleep(takes)
            return await super().read(*arguments, **options)

    def answer(_: str, __: list[str], cursor: str | None) -> Any:
        rows = [row(agent=agent) for agent in "abc"]
        return page(*rows[2:], total=3) if cursor else page(*rows[:2], total=3, cursor="n")

    done = awaited(Slow(answer), watched(expected=9, gives_up_at=12.0 + takes / 2))
    _, test, _ = done.tests["1"]
    assert len(test.rows) == 3


def test_where_the_api_tells_no_total_every_page_is_read() -> None:
    api = Api(lambda _, __, cursor: page(row(agent="b")) if cursor else page(row(), cursor="next"))
    done = awaited(api, watched(expected=9))
    assert [cursor for *_, cursor, _ in api.calls] == [None, "next"] * 3
    assert len(done.tests["1"][1].rows) == 2


def test_pages_that_can_tell_nothing_more_are_not_read() -> None:
    api = Api(lambda *_: page(row(), cursor="next"))
    awaited(api, watched(any_row_will_do=True))
    assert len(api.calls) == 1


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_few_failures_in_a_row_are_tolerated(error: CallFailed) -> None:
    replies: list[Any] = [error] * FAILURES_IN_A_ROW + [page(row())] + [error] * 3 + [page(row())]
    api = Api(lambda *_: replies.pop(0) if replies else page(row(), row(agent="b")))
    done = awaited(api, watched(expected=2, gives_up_at=3000.0))
    at, test, trouble = done.tests["1"]
    assert (len(test.rows), trouble) == (2, "")
    assert test.complete
    assert at > 300


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_then_all_tests_are_let_go_with_what_is_known(error: CallFailed) -> None:
    replies: list[Any] = [page(row())]
    api = Api(lambda *_: replies.pop(0) if replies else error)
    late = watched("2", expected=1, next_poll=500.0, gives_up_at=900.0)
    done = awaited(api, watched(expected=2, gives_up_at=900.0), late)
    assert len(api.calls) == 1 + FAILURES_IN_A_ROW + 1
    _, test, trouble = done.tests["1"]
    assert (len(test.rows), trouble) == (1, str(error))
    assert done.tests["2"][2] == str(error)


def test_a_refused_token_is_not_tried_again_in_any_account_group() -> None:
    api = Api(lambda *_: TokenRefused("401: who", 401))
    done = awaited(api, watched(), watched("2", aid="7"))
    assert len(api.calls) == 1
    assert (done.tests["1"][2], done.tests["2"][2]) == ("401: who", "401: who")


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_account_group_that_can_not_be_read_costs_the_others_nothing(error: CallFailed) -> None:
    api = Api(lambda _, ids, __: error if ids[0] < "3" else page(*map(row, ids)))
    shut = [watched("1", expected=1, aid="A"), watched("2", aid="A", next_poll=500.0)]
    others = [watched("3", expected=1, aid="B"), watched("4", expected=2, aid="B")]
    done = awaited(api, *shut, *others, watched("5", expected=1, aid="B", next_poll=600.0))
    assert [done.tests[test_id][2] for test_id in "12345"] == [str(error)] * 2 + [""] * 3
    assert [len(done.tests[test_id][1].rows) for test_id in "345"] == [1, 1, 1]
    assert len([aid for *_, aid in api.calls if aid == "A"]) == FAILURES_IN_A_ROW + 1
    assert done.tests["3"][0] == 10
    assert done.tests["1"][0] == done.tests["2"][0] < 300, "given up together, and not one by one"


REFUSALS = [NotFound("404", 404), Forbidden("403", 403), InvalidCall("400", 400)]


@pytest.mark.parametrize("error", REFUSALS, ids=repr)
@pytest.mark.parametrize("spoilers", [{"150"}, {"1"}, {"1", "2", "200"}])
def test_a_test_that_spoils_a_call_is_found_and_asked_for_alone(
    error: CallFailed, spoilers: set[str]
) -> None:
    api = Api(lambda _, ids, __: error if spoilers & {*ids} else page(*map(row, ids)))
    ids = [str(number + 1) for number in range(TESTS_PER_CALL)]
    done = awaited(api, *(watched(test_id, expected=1, gives_up_at=600.0) for test_id in ids))
    assert {i for i in ids if done.tests[i][2]} == spoilers
    assert {done.tests[i][2] for i in spoilers} == {str(error)}
    assert all(len(done.tests[i][1].rows) == (i not in spoilers) for i in ids)
    assert len(api.calls) < 30 * (1 + len(spoilers))
    assert max(at for at, *_ in done.tests.values()) < 600, "given up before the deadline"


def test_those_that_were_found_are_left_out_of_the_next_calls_also_if_there_are_too_many() -> None:
    spoilers = {"1", "60", "120", "180"}
    error = NotFound("404", 404)
    api = Api(lambda _, ids, __: error if spoilers & {*ids} else page(*map(row, ids)))
    ids = [str(number + 1) for number in range(TESTS_PER_CALL)]
    done = awaited(api, *(watched(test_id, expected=2, gives_up_at=900.0) for test_id in ids))
    assert {i for i in ids if done.tests[i][2]} == spoilers
    assert all(len(done.tests[i][1].rows) == (i not in spoilers) for i in ids)


@pytest.mark.parametrize("error", REFUSALS[:2], ids=repr)
def test_a_test_that_spoiled_a_call_may_still_be_answered(error: CallFailed) -> None:
    replies = [error, page(row("1")), error, error]
    api = Api(lambda _, ids, __: replies.pop(0) if replies else page(*map(row, ids)))
    done = awaited(api, watched("1", expected=1), watched("2", expected=1))
    assert [(done.tests[i][2], len(done.tests[i][1].rows)) for i in "12"] == [("", 1)] * 2
    assert [ids for _, _, ids, *_ in api.calls] == [["1", "2"], ["1"], ["2"], ["2"], ["2"]]


def test_a_kind_of_results_that_a_test_does_not_have_costs_only_what_it_would_tell() -> None:
    both = {"kinds": BOTH, "gives_up_at": 600.0}
    spoils = NotFound("404", 404)
    api = Api(
        lambda kind, ids, _: (
            spoils if kind == Kind.HTTP_SERVER and "1" in ids else page(*map(row, ids))
        )
    )
    done = awaited(api, *(watched(test_id, expected=1, **both) for test_id in "123"))
    assert [len(done.tests[i][1].rows) for i in "123"] == [1, 2, 2]
    assert [done.tests[i][2] for i in "123"] == ["404", "", ""]


def test_an_api_that_refuses_all_is_not_asked_for_each_test() -> None:
    api = Api(lambda *_: Forbidden("403", 403))
    ids = [str(number) for number in range(TESTS_PER_CALL)]
    done = awaited(api, *map(watched, ids))
    assert {trouble for *_, trouble in done.tests.values()} == {"403"}
    assert len(api.calls) == (MOST_REFUSALS + 1) * (FAILURES_IN_A_ROW + 1)


def test_an_unexpected_error_in_an_account_group_costs_the_others_no_verdict() -> None:
    api = Api(lambda _, ids, __: ValueError("odd") if ids[0] == "2" else page(*map(row, ids)))
    done = Done()

    async def main() -> None:
        awaiting = Awaiting(api.read, done, clock=asyncio.get_running_loop().time)
        awaiting.add(watched("1", expected=1, aid="A", next_poll=100.0))
        awaiting.add(watched("2", expected=1, aid="B"))
        awaiting.close()
        other = asyncio.ensure_future(awaiting.follow("A"))
        with pytest.raises(ValueError, match="odd"):
            await awaiting.follow("B")
        awaiting.give_up_on("B", "unexpected")
        await awaiting.follow("B")
        assert [*done.tests] == ["2"]
        await other

    run(main())
    assert {test_id: trouble for test_id, (_, _, trouble) in done.tests.items()} == {
        "1": "",
        "2": "unexpected",
    }


@pytest.mark.parametrize("slow_first", [True, False])
def test_an_account_group_whose_pages_are_slow_and_never_end_costs_the_others_no_time(
    *, slow_first: bool
) -> None:
    class Slow(Api):
        async def read(self, *arguments: Any, **options: Any) -> Any:
            await asyncio.sleep(20 if options["aid"] == "slow" else 0.1)
            return await super().read(*arguments, **options)

    number = iter(range(10**9))

    def answer(_: str, ids: list[str], __: str | None) -> Any:
        if ids[0] == "1":
            return page(row(agent=f"{next(number)}"), cursor=f"{next(number)}")
        return page(*map(row, ids))

    tests = [watched("1", aid="slow"), watched("2", expected=1), watched("3", expected=2)]
    done = awaited(Slow(answer), *(tests if slow_first else reversed(tests)))
    assert {test_id: trouble for test_id, (_, _, trouble) in done.tests.items()} == {
        "1": "the time for results ran out",
        "2": "",
        "3": "",
    }
    assert done.tests["2"][0] < 11
    assert done.tests["3"][0] < 300, "two quiet looks after its first answer"


def test_a_test_that_comes_when_its_account_group_is_given_up_is_let_go_without_a_call() -> None:
    api = Api(lambda _, ids, __: Forbidden("403", 403) if ids[0] < "3" else page(*map(row, ids)))
    done = Done()

    async def main() -> None:
        awaiting = Awaiting(api.read, done, clock=asyncio.get_running_loop().time)
        awaiting.add(watched("1", aid="A"))
        following = asyncio.ensure_future(followed(awaiting, "AB"))
        await asyncio.sleep(200)
        calls = len(api.calls)
        awaiting.add(watched("2", aid="A", next_poll=210.0))
        awaiting.add(watched("3", aid="B", next_poll=210.0, expected=1))
        awaiting.close()
        await following
        assert len(api.calls) == calls + 1

    run(main())
    assert {test_id: trouble for test_id, (_, _, trouble) in done.tests.items()} == {
        "1": "403",
        "2": "403",
        "3": "",
    }


def test_a_failure_on_a_later_page_keeps_the_rows_of_the_earlier_ones() -> None:
    api = Api(lambda _, __, cursor: ReplyLost("lost") if cursor else page(row(), cursor="next"))
    done = awaited(api, watched(expected=9))
    assert len(done.tests["1"][1].rows) == 1
    assert done.tests["1"][2] == "lost"


@pytest.mark.parametrize("pages_take", [0.1, 7.0, 1000.0])
def test_a_look_ends_soon_after_the_deadline_however_many_pages_there_are(
    pages_take: float,
) -> None:
    class Endless(Api):
        async def read(self, *arguments: Any, **options: Any) -> Any:
            await asyncio.sleep(pages_take)
            return await super().read(*arguments, **options)

    number = iter(range(10**9))
    api = Endless(lambda *_: page(row(agent=f"{next(number)}"), cursor=f"{next(number)}"))
    done = awaited(api, watched(expected=10**9), watched("2", gives_up_at=900.0))
    at, test, trouble = done.tests["1"]
    assert at <= 300 + LAST_LOOK
    assert done.tests["2"][0] <= 900 + LAST_LOOK
    assert test.rows or pages_take == 1000
    assert ("240 pages" if pages_take < 1 else "time for results ran out") in trouble


def test_what_kept_others_from_being_read_is_not_told_of_a_test_that_is_complete() -> None:
    def answer(_: str, ids: list[str], __: str | None) -> Any:
        return page(row()) if ids == ["1"] else ReplyLost("lost")

    api = Api(answer)
    done = awaited(api, watched(expected=1, gives_up_at=10.0), watched("2", aid="7"))
    assert done.tests["1"][2] == ""
    assert done.tests["2"][2] == "lost"


def test_a_test_added_while_others_are_awaited_is_looked_for_in_its_time() -> None:
    api = Api(lambda _, ids, __: page(*map(row, ids)))
    done = Done()

    async def main() -> None:
        awaiting = Awaiting(api.read, done, clock=asyncio.get_running_loop().time)
        following = asyncio.ensure_future(awaiting.follow(None))
        awaiting.add(watched("slow", expected=1, next_poll=200.0))
        await asyncio.sleep(50)
        awaiting.add(watched("new", expected=1, next_poll=60.0))
        await asyncio.sleep(200)
        assert not following.done(), "more may come"
        awaiting.close()
        await following

    run(main())
    assert {name: at for name, (at, *_) in done.tests.items()} == {"new": 60, "slow": 200}


def test_the_newest_round_of_each_test_is_found_before_anything_is_sent() -> None:
    told = {
        "network": [row("1", round_id=60), row("1", round_id=120), row("2", round_id=60)],
        "http-server": [row("2", round_id=180)],
    }
    api = Api(lambda kind, *_: page(*told[kind]))
    assert run(newest_rounds(api.read, dict.fromkeys("123", BOTH), since=60)) == (
        {"1": 120, "2": 180},
        {},
    )


def test_nobody_is_asked_for_rounds_of_a_kind_that_a_test_does_not_have() -> None:
    api = Api(lambda *_: page())
    run(newest_rounds(api.read, {"1": {Kind.NETWORK}, "2": BOTH}, since=60))
    assert [(kind, ids) for _, kind, ids, *_ in api.calls] == [
        ("network", ["1", "2"]),
        ("http-server", ["2"]),
    ]


@pytest.mark.parametrize("error", REFUSALS, ids=repr)
def test_one_that_the_api_refuses_hides_the_newest_rounds_of_no_others(error: CallFailed) -> None:
    api = Api(lambda _, ids, __: error if "2" in ids else page(*map(row, ids)))
    newest, refused = run(newest_rounds(api.read, dict.fromkeys("123", BOTH), since=60))
    assert (newest, refused) == ({"1": ROUND, "3": ROUND}, {"2": error})
    with pytest.raises(type(error)):
        run(newest_rounds(api.read, {"2": BOTH}, since=60))


def test_of_several_rounds_the_newest_counts_in_whatever_order_they_come() -> None:
    api = Api(lambda *_: page(row("1", round_id=180), row("1", "b", 120), row("1", "c", 60)))
    assert run(newest_rounds(api.read, {"1": BOTH}, since=60)) == ({"1": 180}, {})


def test_a_test_that_all_have_answered_has_no_part_in_the_trouble_of_a_look() -> None:
    """What fails after its own results were read concerns only the others of that look."""

    def answer(_: str, ids: list[str], __: str | None) -> Any:
        return page(*map(row, ids)) if "0" in ids else ERRORS[0]

    tests = (watched(str(n), expected=1, gives_up_at=10) for n in range(TESTS_PER_CALL + 1))
    done = awaited(Api(answer), *tests)
    assert done.tests["0"][2] == ""
    assert done.tests[str(TESTS_PER_CALL)][2] == str(ERRORS[0])


def test_rounds_are_looked_for_in_the_account_group_that_is_named() -> None:
    api = Api(lambda *_: page())
    run(newest_rounds(api.read, {"1": BOTH}, since=60, aid="12"))
    assert {aid for *_, aid in api.calls} == {"12"}


@pytest.mark.parametrize("of_its_group", [False, True])
def test_who_gives_up_while_nothing_is_due_waits_no_longer(*, of_its_group: bool) -> None:
    done = Done()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        awaiting = Awaiting(Api(lambda *_: page()).read, done, clock=loop.time)
        awaiting.add(watched())
        following = asyncio.ensure_future(awaiting.follow(None))
        await asyncio.sleep(1)
        if of_its_group:
            awaiting.give_up_on(None, "the run was stopped")
        else:
            awaiting.give_up("the run was stopped")
        await asyncio.sleep(1)
        awaiting.add(watched("2"))
        awaiting.close()
        await following

    run(main())
    assert {test_id: (at, why) for test_id, (at, _, why) in done.tests.items()} == {
        "1": (1, "the run was stopped"),
        "2": (2, "the run was stopped"),
    }


def test_the_newest_round_of_a_longer_interval_may_have_begun_before_the_moment() -> None:
    api = Api(lambda *_: page(row("1", round_id=240), row("1", round_id=300)))
    assert run(newest_rounds(api.read, {"1": BOTH}, since=599, interval=300)) == ({"1": 300}, {})
