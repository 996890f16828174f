"""What the API lists of a run's tests: their names, types and intervals."""

import asyncio
from collections.abc import Iterable
from typing import Final

from flows.runs.sending import Logger
from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import CallFailed
from thousandeyes.models import EndpointTest
from thousandeyes.record import Record

_LONGEST: Final = 10.0  # seconds; a name is not worth more


async def look_up(
    client: ThousandEyesClient, records: Iterable[Record], logger: Logger
) -> dict[str, EndpointTest]:
    """Return what the API lists in the account groups of these tests, by ID; none costs a run.

    Args:
        client: The run's client.
        records: The tests.
        logger: Where the person on call looks.
    """
    listed: dict[str, EndpointTest] = {}
    try:
        async with asyncio.timeout(_LONGEST):
            for aid in dict.fromkeys(record.aid for record in records):
                listed |= {test.test_id: test for test in await client.tests(aid)}
    except (CallFailed, TimeoutError) as error:
        logger.info("The tests' names are not known: %s", str(error) or "no answer in time")
    return listed
