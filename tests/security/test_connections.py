"""What changes something goes out on a connection that can't be stale."""

import asyncio

from tests.security.hostile_api import client_of, closes_what_is_kept, replies
from tests.thousandeyes.wire import wire
from thousandeyes.definitions import AgentToServerTest
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record

ACCEPTED = replies(b'{"testId": "202701", "tests": []}')


async def test_no_rerun_is_lost_where_kept_connections_are_closed() -> None:
    records = [Record(str(number)) for number in range(40)]
    async with wire(closes_what_is_kept(ACCEPTED)) as server, client_of(server) as client:
        await client.tests()  # leaves a connection behind
        for start in range(0, 40, 8):
            await asyncio.gather(*map(client.rerun, records[start : start + 8]))
    assert {record.outcome for record in records} == {Outcome.ACCEPTED}
    assert (len(server.requests), server.connections) == (41, 41)


async def test_no_creation_is_lost_there() -> None:
    definition = AgentToServerTest(test_name="Voice", server="voice.example.com")
    async with wire(closes_what_is_kept(ACCEPTED)) as server, client_of(server) as client:
        await client.tests()
        for _ in range(3):
            assert await client.create(definition, Record("", "Voice")) == "202701"
    assert server.connections == 4
