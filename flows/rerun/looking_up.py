"""What the API lists of a run's tests: their names, types and intervals, by account group."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final, TypeVar

from flows.runs.concurrency import all_or_first_error
from flows.runs.sending import Logger
from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import CallFailed
from thousandeyes.models import EndpointTest
from thousandeyes.record import Record

Key = TypeVar("Key")
NO_ANSWER: Final = "no answer in time"
_LONGEST: Final = 10.0  # seconds; names are not worth more
_LONGEST_FOR_ROUNDS: Final = 60.0  # without its interval no round of a test can be told


async def look_up(
    client: ThousandEyesClient, records: Iterable[Record], logger: Logger, *, for_rounds: bool
) -> dict[str, EndpointTest]:
    """Return what the API lists in the account groups of these tests, by ID; failures fail no run.

    Args:
        client: The run's client.
        records: The tests.
        logger: Where the person on call looks.
        for_rounds: Whether rounds must be distinguished, which needs the tests' intervals.
    """
    listed: dict[str, EndpointTest] = {}

    async def ask(aid: str | None) -> None:
        listed.update({test.test_id: test for test in await client.tests(aid)})

    seconds = _LONGEST_FOR_ROUNDS if for_rounds else _LONGEST
    if why := await ask_each(grouped(records, lambda one: one.aid), ask, seconds):
        if for_rounds:
            logger.warning(
                "The tests' intervals are not known: %s. Results of a test with an interval of "
                "more than a minute may be missed",
                why,
            )
        else:
            logger.info("The tests' names are not known: %s", why)
    return listed


def grouped(records: Iterable[Record], by: Callable[[Record], Key]) -> dict[Key, list[str]]:
    """Return the IDs of tests by what they have in common."""
    test_ids: dict[Key, list[str]] = {}
    for record in records:
        test_ids.setdefault(by(record), []).append(record.test_id)
    return test_ids


async def ask_each(
    aids: Collection[str | None],
    ask: Callable[[str | None], Awaitable[None]],
    seconds: float | None = None,
) -> str:
    """Ask for all account groups at once, so that one that fails or is slow affects no other.

    Args:
        aids: The account groups, each once; None is the run's own.
        ask: Asks for one.
        seconds: The time for it; None: `ask` has limits of its own.

    Returns:
        Why nothing is known, and of which groups if there are several; empty if all is known.
    """
    why: dict[str | None, str] = {}

    async def ask_one(aid: str | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await ask(aid)
        except (CallFailed, TimeoutError) as error:
            why[aid] = str(error) or NO_ANSWER

    await all_or_first_error(map(ask_one, aids))
    failed: dict[str, list[str]] = {}
    for aid in filter(why.__contains__, aids):
        group = f"account group {aid}" if aid else "the run's own account group"
        failed.setdefault(why[aid], []).append(group)
    return "; ".join(
        f"{reason} ({', '.join(groups)})" if len(aids) > 1 else reason
        for reason, groups in failed.items()
    )
