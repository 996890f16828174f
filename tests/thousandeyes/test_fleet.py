import tracemalloc

import pytest

from thousandeyes.fleet import AGENTS_PER_PAGE, MOST_PAGES, AgentsPage, Fleet
from thousandeyes.models import Agent

NOON = 1_800_000_000.0


def page(*ids: str, total: int | None = None, is_last: bool = True) -> AgentsPage:
    return AgentsPage(
        [Agent(id=agent_id, name=f"laptop {agent_id}") for agent_id in ids], total, is_last
    )


def fleet_of(*pages: AgentsPage) -> Fleet:
    fleet = Fleet()
    for one in pages:
        fleet.take(one, NOON)
    return fleet


def test_an_agent_that_stands_on_two_pages_counts_once() -> None:
    fleet = fleet_of(page("a", "b", total=3, is_last=False), page("b", "c", total=3))
    assert fleet.complete
    assert fleet.names == {name: f"laptop {name}" for name in "abc"}
    assert fleet.online == set("abc")


@pytest.mark.parametrize(
    ("pages", "shortfall"),
    [
        ([page("a", total=1)], ""),
        ([page("a")], ""),
        ([page("a", total=0)], ""),
        ([page("a", total=2)], "The API counts 2 agents and lists 1 of them."),
        ([page("a", total=2, is_last=False)], "Only 1 of 2 agents were read, in at most 60 calls."),
        (
            [page("a", is_last=False)],
            "Only 1 agents were read, in at most 60 calls.",
        ),
    ],
)
def test_what_is_missing_is_told(pages: list[AgentsPage], shortfall: str) -> None:
    fleet = fleet_of(*pages)
    assert fleet.shortfall == shortfall
    assert fleet.complete is not bool(shortfall)


def test_as_many_agents_as_can_be_read_take_25_megabytes() -> None:
    fleet = Fleet()
    tracemalloc.start()
    try:
        for first in range(0, MOST_PAGES * AGENTS_PER_PAGE, AGENTS_PER_PAGE):
            numbers = range(first, first + AGENTS_PER_PAGE)
            ids = (f"861b7557-cd57-4bbb-b648-{number:012d}" for number in numbers)
            fleet.take(page(*ids, is_last=False), NOON)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(fleet.names) == len(fleet.online) == 60_000
    assert kept < 25_000_000
    assert most < 30_000_000
