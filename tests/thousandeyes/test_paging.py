"""Pages that lead to further pages, and what they count."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thousandeyes.steady import steady
from thousandeyes.errors import InvalidCall
from thousandeyes.paging import next_cursor, pages, total_of

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
TOO_LARGE = InvalidCall("400: max is too large", 400)


class Api:
    """Answers with links to these cursors in turn, and refuses calls as large as it is told."""

    def __init__(self, *cursors: str | None, refuses: str = "") -> None:
        self._cursors = list(cursors)
        self._refuses = refuses
        self.asked: list[dict[str, str]] = []

    async def ask(self, params: Mapping[str, str]) -> Any:
        self.asked.append(dict(params))
        if self._refuses in params:
            raise TOO_LARGE
        cursor = self._cursors.pop(0)
        return {"_links": {"next": {"href": f"?cursor={cursor}"}} if cursor else {}}

    async def read(self, calls: int = 9) -> list[bool]:
        return [goes_on async for _, goes_on in pages(self.ask, {"day": "1"}, 5, range(calls))]


@pytest.mark.parametrize("last", ["", None, "a", "b"])
async def test_each_page_is_asked_for_alike_until_one_leads_to_none_that_is_new(
    last: str | None,
) -> None:
    api = Api("a", "b", last)
    assert await api.read() == [True, True, False]
    first = {"day": "1", "max": "5"}
    assert api.asked == [first, first | {"cursor": "a"}, first | {"cursor": "b"}]


async def test_if_the_calls_do_not_suffice_the_last_page_leads_to_another() -> None:
    assert await Api("a", "b", "c").read(calls=2) == [True, True]


async def test_an_api_that_refuses_so_large_a_page_chooses_its_size() -> None:
    api = Api("a", None, refuses="max")
    assert await api.read() == [True, False]
    assert api.asked == [{"day": "1", "max": "5"}, {"day": "1"}, {"day": "1", "cursor": "a"}]


@pytest.mark.parametrize(("refuses", "calls"), [("day", 2), ("cursor", 2)])
async def test_one_that_refuses_more_than_the_size_is_not_asked_again(
    refuses: str, calls: int
) -> None:
    api = Api("a", refuses=refuses)
    with pytest.raises(InvalidCall):
        await api.read()
    assert len(api.asked) == calls


@steady(60)
@given(ANY_JSON)
def test_whatever_a_reply_is_it_has_no_cursor_or_a_text(body: object) -> None:
    for reply in (body, {"_links": body}, {"_links": {"next": body}}):
        assert next_cursor(reply) is None


@pytest.mark.parametrize(
    ("href", "cursor"),
    [
        ("https://api.thousandeyes.com/v7/x?cursor=WzAs%3D&window=1h", "WzAs="),
        ("https://elsewhere.invalid/?cursor=a", "a"),
        ("?cursor=a", "a"),
        ("/x?cursor=", None),
        ("/x?max=5", None),
        ("http://[", None),
        ("", None),
    ],
)
def test_of_a_link_the_cursor_alone_is_taken(href: str, cursor: str | None) -> None:
    assert next_cursor({"_links": {"next": {"href": href}}}) == cursor


@pytest.mark.parametrize(
    ("told", "total"), [(0, 0), (7, 7), *((odd, None) for odd in (-1, True, 7.5, "7", None, [7]))]
)
def test_a_total_that_is_no_count_is_missing(told: object, total: int | None) -> None:
    assert total_of({"totalHits": told}, "totalHits") == total
    assert total_of({}, "totalHits") is None
