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
_LONGEST_FOR_ROUNDS: Final = 60.0  # without its interval no round of a test can be told


async def look_up(
    client: ThousandEyesClient, records: Iterable[Record], logger: Logger, *, for_rounds: bool
) -> dict[str, EndpointTest]:
    """Return what the API lists in the account groups of these tests, by ID; none costs a run.

    Args:
        client: The run's client.
        records: The tests.
        logger: Where the person on call looks.
        for_rounds: Whether rounds are to be told apart, for which the tests' intervals are needed.
    """
    listed: dict[str, EndpointTest] = {}
    try:
        async with asyncio.timeout(_LONGEST_FOR_ROUNDS if for_rounds else _LONGEST):
            for aid in dict.fromkeys(record.aid for record in records):
                listed |= {test.test_id: test for test in await client.tests(aid)}
    except (CallFailed, TimeoutError) as error:
        reason = str(error) or "no answer in time"
        if for_rounds:
            logger.warning(
                "The tests' intervals are not known: %s. Results of a test with an interval of "
                "more than a minute may be missed",
                reason,
            )
        else:
            logger.info("The tests' names are not known: %s", reason)
    return listed
