"""However much the API sends, and however it is packed, little of it is taken."""

import asyncio
import gzip
import time

import pytest

from tests.security.hostile_api import (
    MEGABYTE,
    client_of,
    gzip_bomb,
    most_memory,
    never_ends,
    packed,
    replies,
)
from tests.thousandeyes.wire import Answer, wire
from thousandeyes.body import LARGEST_ANSWER, LARGEST_PAGE
from thousandeyes.errors import ReplyLost
from thousandeyes.families import Family
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.silence import SILENT_CALLS

TOO_MUCH = {
    "a gzip bomb": gzip_bomb(300),
    "an error that is one": gzip_bomb(300, status="500 Internal Server Error"),
    "a 429 that is one": gzip_bomb(300, status="429 Too Many Requests"),
    "no end": never_ends(),
    "a body packed twice": replies(
        gzip.compress(gzip.compress(b"{}")), "content-encoding: gzip, gzip"
    ),
}


@pytest.mark.parametrize("answer", TOO_MUCH.values(), ids=TOO_MUCH)
async def test_an_answer_that_is_too_large_is_lost_and_takes_no_memory(answer: Answer) -> None:
    record = Record("765231567")
    async with wire(answer) as server, client_of(server) as client:
        with most_memory() as peak, pytest.raises(ReplyLost):
            await client.rerun(record)
        assert peak() < 2 * LARGEST_ANSWER / MEGABYTE + 3
    assert (record.outcome, record.attempts) == (Outcome.UNKNOWN, 1)


async def test_a_hundred_reruns_at_once_take_little_memory_too() -> None:
    records = [Record(str(number)) for number in range(100)]
    async with wire(replies(b"{}"), gzip_bomb(300)) as server, client_of(server) as client:
        await client.rerun(records[0])  # goes out alone, to learn the quota
        with most_memory() as peak:
            told = [client.rerun(record) for record in records[1:]]
            await asyncio.gather(*told, return_exceptions=True)
        assert peak() < 150
    assert {record.outcome for record in records[1:]} == {Outcome.UNKNOWN}


LISTINGS = {
    "a gzip bomb": gzip_bomb(300),
    "no end": never_ends(),
    "small values that are large in memory": packed(b'[{"a":1}' + b',{"a":1}' * 1_400_000 + b"]"),
    "lists in lists": packed(b"[" * 500 + b"[]" + b",[]" * 5_000_000 + b"]" * 500),
    "a letter that makes each of the others take four bytes": packed(
        '["\U0001f600'.encode() + b"a" * 11 * MEGABYTE + b'"]'
    ),
}


@pytest.mark.parametrize("answer", LISTINGS.values(), ids=LISTINGS)
async def test_a_listing_that_is_large_in_any_way_is_lost_and_takes_little_memory(
    answer: Answer,
) -> None:
    async with wire(answer) as server, client_of(server) as client:
        with most_memory() as peak, pytest.raises(ReplyLost):
            await client.tests()
        assert peak() < 150


async def test_others_have_their_turn_while_a_bomb_is_unpacked() -> None:
    async with wire(gzip_bomb(300)) as server, client_of(server) as client:
        reading = asyncio.ensure_future(client.tests())
        await asyncio.wait_for(server.asked.wait(), 10)
        turns = 0
        while not reading.done():
            turns += 1
            await asyncio.sleep(0)
        assert turns > LARGEST_PAGE / MEGABYTE
        with pytest.raises(ReplyLost, match="larger than 12 MB"):
            await reading


@pytest.mark.parametrize("tests", [10, 10_000])
async def test_the_largest_honest_listing_is_read_whole(tests: int) -> None:
    link = "https://api.thousandeyes.com/v7/endpoint/test-results/scheduled-tests/1234567/network"
    about = f'"testName":"{"a name " * 9}","server":"www.example.com","links":["{link}"'
    fields = ",".join(f'"field{number}":true' for number in range(40))
    one = f'{{"testId":"1234567",{about}],{fields}}}'
    body = f'{{"tests":[{",".join([one] * tests)}]}}'.encode()
    async with wire(packed(body)) as server, client_of(server) as client:
        assert len(await client.tests()) == tests
    assert "\r\naccept-encoding: gzip\r\n" in server.requests[0].lower()


@pytest.mark.parametrize(
    "answer",
    [
        replies(gzip.compress(b"{}")[:-9], "content-encoding: gzip"),
        replies(b"{}", "content-encoding: gzip"),
        replies(b"{}", "content-encoding: br"),
        replies(b"{}", "content-encoding: zstd"),
    ],
)
async def test_a_body_that_can_not_be_unpacked_is_lost(answer: Answer) -> None:
    async with wire(answer) as server, client_of(server) as client:
        with pytest.raises(ReplyLost):
            await client.rerun(Record("1"))


@pytest.mark.parametrize(
    "unread", [gzip_bomb(2), replies(b"{}", "content-encoding: br")], ids=["too large", "br"]
)
async def test_an_answer_that_can_not_be_read_is_no_silence(
    unread: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thousandeyes.silence.SILENT_SECONDS", 0)
    async with wire(unread) as server, client_of(server) as client:
        for number in range(SILENT_CALLS + 1):
            with pytest.raises(ReplyLost, match="the answer is "):
                await client.rerun(Record(str(number)))
        assert client.gate.silence is None


async def test_what_an_answer_that_can_not_be_read_tells_of_the_quota_counts() -> None:
    reset = str(int(time.time()) + 60)
    told = {"limit": "24", "remaining": "7", "reset": reset}
    headers = [f"x-instant-test-rate-limit-{name}: {value}" for name, value in told.items()]
    answer = replies(b"{}", "content-encoding: br", *headers)
    async with wire(answer) as server, client_of(server) as client:
        with pytest.raises(ReplyLost):
            await client.rerun(Record("1"))
        instant = client.gate.quota.families[Family.INSTANT]
        assert (instant.free, instant.untold) == (7, False)
        assert client.gate.quota.families[Family.ORGANIZATION].told is None, "nor by the book"
        assert client.server_time() is not None


@pytest.mark.parametrize(
    "answer",
    [
        never_ends(gzip.compress(b"{}"), "content-encoding: gzip"),
        replies(b"", "content-encoding: gzip"),
        replies(b"", "content-encoding: gzip", status="204 No Content"),
        replies(b"{}", "content-encoding: identity"),
        packed(b"{}"),
    ],
)
async def test_what_comes_after_a_packed_body_or_instead_of_it_does_no_harm(answer: Answer) -> None:
    async with wire(answer) as server, client_of(server) as client:
        assert await client.rerun(Record("1")) == ""
