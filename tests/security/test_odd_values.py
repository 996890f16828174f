"""Whatever the API sends, one odd value costs one row, and no library's error gets through."""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rows import row
from tests.flows.rerun.world import World
from tests.security.hostile_api import TOKEN, client_of, replies
from tests.security.mutations import (
    DEEP,
    HEADERS,
    ODD,
    Mutating,
    Mutation,
    mutations,
    nested,
    of_whole_replies,
)
from tests.thousandeyes.agents import every_agent
from tests.thousandeyes.steady import steady
from tests.thousandeyes.virtual_time import run
from tests.thousandeyes.wire import wire
from thousandeyes.awaiting import newest_rounds
from thousandeyes.client import ThousandEyesClient
from thousandeyes.definitions import AgentToServerTest
from thousandeyes.delivery import Delivery
from thousandeyes.errors import CallFailed, ReplyLost
from thousandeyes.gate import QuotaGate
from thousandeyes.outcomes import Outcome, VerdictName
from thousandeyes.paging import next_cursor
from thousandeyes.path_words import words
from thousandeyes.paths import path_of
from thousandeyes.record import Record
from thousandeyes.replies import Reply, read
from thousandeyes.results import RESULTS, Kind
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.simulator import Behaviour, create_app

TESTS = 4
LARGEST_ROW = 20_000
LONGEST_RUN = 3600.0


def rerun_all(world: World, plan: Mapping[int, Mutation], **options: Any) -> dict[str, Record]:
    """Rerun all tests with replies made odd; fail where a library's error got through."""
    world.app = Mutating(world.app, plan)  # type: ignore[assignment]  # as ASGI applications are
    said: list[logging.LogRecord] = []
    logger, handler = logging.getLogger("world"), logging.Handler()
    handler.emit = said.append  # type: ignore[method-assign, assignment]
    logger.addHandler(handler)
    try:
        records = world.rerun(**options)
    finally:
        logger.removeHandler(handler)
    assert not [entry.getMessage() for entry in said if entry.exc_info]
    assert not [record.detail for record in records.values() if "unexpected" in record.detail]
    return records


def new_world(**options: Any) -> World:
    usual = {"tests": TESTS, "agents": 3, "page_size": 4, "results_after_seconds": 1}
    return World(**usual | options)


@given(
    seed=st.integers(0, 10_000),
    one_in=st.sampled_from([8, 30]),
    whole_replies=st.dictionaries(st.integers(0, 30), of_whole_replies, max_size=5),
    delivery=st.sampled_from(Delivery),
    wait_for_results=st.sampled_from([True, True, False]),
)
@steady(40)
def test_each_test_of_a_run_ends_in_an_outcome_whatever_replies_become(
    seed: int, one_in: int, whole_replies: Mapping[int, Mutation], **options: Any
) -> None:
    world = new_world(agents_of={"*": [Behaviour(agents=[0], loss=100)]})
    chosen = {"results_deadline_minutes": 5, "paths_of_failing_agents": 2}
    plan = {call: Mutation(strewn=one_in, where=1000 * seed + call) for call in range(100)}
    records = rerun_all(world, {**plan, **whole_replies}, **chosen, **options)
    assert len(records) == TESTS
    assert world.took < LONGEST_RUN
    for record in records.values():
        assert world.stopped or record.outcome is not Outcome.NOT_ATTEMPTED
        assert (record.test_id in world.known) is (record.finished_at is not None)
        accepted = record.outcome is Outcome.ACCEPTED
        assert (record.verdict is not None) is (accepted and options["wait_for_results"])
        written = json.dumps(row(record), allow_nan=False, ensure_ascii=False).encode()
        assert len(written) < LARGEST_ROW


async def a_path(client: ThousandEyesClient) -> str | None:
    """Return what is said of the path of the first agent that is told."""
    summary = await client.read("GET", f"{RESULTS}/202701/path-vis")
    with suppress(AttributeError, KeyError, TypeError, IndexError):
        agent_id, round_id = (summary["results"][0][name] for name in ("agentId", "roundId"))
        if re.fullmatch(r"[\w-]{1,100}", f"{agent_id}", re.ASCII):
            path = path_of(await client.path("202701", agent_id, round_id), agent_id, round_id)
            return words(path) if path else None
    return None


CALLS: dict[str, Callable[[ThousandEyesClient], Awaitable[object]]] = {
    "tests": lambda client: client.tests(),
    "agents": every_agent,
    "account groups": lambda client: client.account_groups(),
    "a creation": lambda client: client.create(
        AgentToServerTest(test_name="Voice", server="voice.example.com"), Record("")
    ),
    "a rerun": lambda client: client.rerun(Record("202701")),
    "results": lambda client: newest_rounds(client.read, {"202701": {*Kind}}, since=0),
    "a path": a_path,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@given(mutation=mutations)
@steady(30)
def test_a_call_ends_in_a_value_or_in_an_error_of_this_project(
    call: Callable[[ThousandEyesClient], Awaitable[object]], mutation: Mutation
) -> None:
    async def main() -> None:
        honest = create_app(token=TOKEN, tests=["202701"], earlier_round_seconds=600)
        app = Mutating(honest, dict.fromkeys(range(30), mutation))
        chosen = ThousandEyesSettings.model_validate({"token": TOKEN, "max_quota_wait": 100})
        gate = QuotaGate(max_wait=100, clock=asyncio.get_running_loop().time)
        transport = httpx.ASGITransport(app)
        async with ThousandEyesClient(chosen, gate=gate, transport=transport) as client:
            with suppress(CallFailed):
                await call(client)
            client.server_time()
        assert len(client._http.cookies) == 0

    run(main())


FIRST_ROW, IN_FIRST_ROW = 1, 2
"""Places in a page of results, and in a listing."""


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd[:20])
@pytest.mark.parametrize(("how", "where"), [("insert", FIRST_ROW), ("add", IN_FIRST_ROW)])
def test_no_verdict_suffers_from_what_is_no_row_or_from_a_field_that_nobody_reads(
    odd: str, how: str, where: int
) -> None:
    everywhere = dict.fromkeys(range(1000), Mutation(odd=odd, where=where, how=how))
    records = rerun_all(new_world(tests=2), everywhere, wait_for_results=True)
    assert {record.ending for record in records.values()} == {VerdictName.PASSED}


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd[:20])
async def test_an_item_that_can_not_be_read_costs_no_other(odd: str) -> None:
    body = f'{{"tests": [{{"testId": "1"}}, {odd}, {{"testId": {odd}}}, {{"testId": "2"}}]}}'
    async with wire(replies(body.encode())) as server, client_of(server) as client:
        found = [test.test_id for test in await client.tests()]
    assert (found[0], found[-1]) == ("1", "2")
    assert len(found) <= 3


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd[:20])
async def test_an_odd_field_counts_as_missing(odd: str) -> None:
    names = ("testName", "type", "aid", "isEnabled", "agentSelectorConfig", "neverRead")
    fields = ",".join(f'"{name}": {odd}' for name in names)
    body = f'{{"tests": [{{"testId": "1", {fields}}}]}}'
    async with wire(replies(body.encode())) as server, client_of(server) as client:
        [test] = await client.tests()
    assert len(test.model_dump_json()) < 5_000


@pytest.mark.parametrize("value", [value for name, value in HEADERS if name == "date"])
async def test_an_odd_date_is_no_date(value: str) -> None:
    answer = replies(b"{}", f"date: {value}")
    async with wire(answer) as server, client_of(server) as client:
        before = client._clock()
        await client.rerun(Record("1"))
        told = client.server_time()
    assert told is not None
    assert before - 1 <= told <= client._clock()


@given(
    before=st.text('\\u"ad8', max_size=8),
    letter=st.characters(exclude_categories=[]),
    half=st.sampled_from(["\udc00", "\ud83d"]),
)
@steady(300)
def test_what_is_read_can_be_written_again(before: str, letter: str, half: str) -> None:
    for text in (before + half, half + letter, letter + half + before + half, before + letter):
        body = json.dumps([text])
        [told] = read(Reply(200, {}, body, arrived=0.0))
        assert len(told) <= len(text)
        told.encode()
        with suppress(UnicodeEncodeError):
            text.encode()
            assert told == text


async def test_a_cursor_that_fits_in_no_address_is_not_asked_for() -> None:
    with pytest.raises(ReplyLost, match="70000 characters"):
        next_cursor({"_links": {"next": {"href": "?cursor=" + "a" * 69_992}}})


def test_deep_nesting_where_nobody_reads_is_passed_over() -> None:
    body = f'{{"testId": "1", "neverRead": {nested(DEEP)}}}'
    assert read(Reply(200, {}, body, arrived=0.0))["testId"] == "1"
