"""Asks for many tests in one call, and finds those for which the API refuses such a call."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Final

from thousandeyes.errors import Forbidden, InvalidCall, NotFound, Refused

MOST_REFUSALS: Final = 10
"""How many calls the API may refuse until the search ends: enough to find one test in 200."""


async def ask_together(
    ask: Callable[[Sequence[str]], Awaitable[None]],
    test_ids: Sequence[str],
    refusals: Iterator[int],
) -> AsyncIterator[tuple[str, Refused]]:
    """Ask for tests together; if the API refuses because of one of them, for fewer and fewer.

    Whether one test can spoil a call for many is not documented.

    Args:
        ask: Makes the call for some of them.
        test_ids: The tests, each once; at least one.
        refusals: An item for each call that the API may refuse.

    Yields:
        Each test for which it refuses also alone, with its answer.

    Raises:
        CallFailed: A call failed for another reason, or too many were refused.
    """
    try:
        await ask(test_ids)
    except (Forbidden, NotFound, InvalidCall) as error:
        if next(refusals, None) is None:
            raise
        if len(test_ids) == 1:
            yield test_ids[0], error
            return
    else:
        return
    middle = len(test_ids) // 2
    for part in (test_ids[:middle], test_ids[middle:]):
        async for found in ask_together(ask, part, refusals):
            yield found
