"""Tests are asked for in as few calls as the API lets, and each that can be asked for is."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thousandeyes.errors import InvalidCall, NotFound, Refused, ServerError
from thousandeyes.queries import TESTS_PER_CALL
from thousandeyes.together import MOST_REFUSALS, ask_together

IDS = [str(number) for number in range(TESTS_PER_CALL)]


async def found(
    ask: Callable[[Sequence[str]], Awaitable[None]],
    test_ids: Sequence[str],
    refusals: Iterator[int],
) -> dict[str, Refused]:
    return {test_id: error async for test_id, error in ask_together(ask, test_ids, refusals)}


class Api:
    """Refuses each call for one of the spoilers."""

    def __init__(self, spoilers: set[str]) -> None:
        self.spoilers = spoilers
        self.answered: list[str] = []
        self.refusals = 0

    async def ask(self, test_ids: Sequence[str]) -> None:
        if self.spoilers.isdisjoint(test_ids):
            self.answered += test_ids
            return
        self.refusals += 1
        raise NotFound(" ".join(test_ids), 404)

    def told(self, test_ids: Sequence[str], refusals: int | None = None) -> dict[str, Refused]:
        most = repeat(0) if refusals is None else repeat(0, refusals)
        return asyncio.run(found(self.ask, test_ids, most))


@given(count=st.integers(1, len(IDS)), spoilers=st.sets(st.sampled_from(IDS)))
def test_whoever_can_be_asked_for_is_once_and_the_others_have_their_own_refusals(
    count: int, spoilers: set[str]
) -> None:
    api, asked = Api(spoilers), IDS[:count]
    refused = api.told(asked)
    assert {test_id: str(error) for test_id, error in refused.items()} == {
        test_id: test_id for test_id in asked if test_id in spoilers
    }
    assert api.answered == [test_id for test_id in asked if test_id not in spoilers]


@given(spoiler=st.sampled_from(IDS))
def test_one_among_the_most_that_a_call_may_ask_for_is_found_within_the_limit(
    spoiler: str,
) -> None:
    assert [*Api({spoiler}).told(IDS, MOST_REFUSALS)] == [spoiler]


def test_where_the_api_refuses_all_the_search_ends() -> None:
    api = Api({*IDS})
    with pytest.raises(NotFound):
        api.told(IDS, MOST_REFUSALS)
    assert api.refusals == MOST_REFUSALS + 1
    assert not api.answered


@pytest.mark.parametrize("error", [ServerError("503", 503), InvalidCall("400", 400)], ids=repr)
def test_only_a_refusal_may_be_the_fault_of_one_test(error: Refused) -> None:
    asked: list[Sequence[str]] = []

    async def ask(test_ids: Sequence[str]) -> None:
        asked.append(test_ids)
        raise error

    with pytest.raises(type(error)):
        asyncio.run(found(ask, IDS, repeat(0, MOST_REFUSALS)))
    assert len(asked) == (1 if error.may_pass else MOST_REFUSALS + 1)
