"""What to expect of a test's run: which kinds of results, and from which agents. Pure."""

from collections.abc import Iterable, Set
from typing import Final

from thousandeyes.fleet import MOST_CHOSEN, Fleet
from thousandeyes.models import EndpointTest
from thousandeyes.results import Kind

_BOTH: Final = frozenset({Kind.NETWORK, Kind.HTTP_SERVER})
_HTTP: Final = "http-server"
_KINDS: Final = {"agent-to-server": frozenset({Kind.NETWORK}), _HTTP: _BOTH}


def kinds_of(test: EndpointTest | None) -> frozenset[Kind]:
    """Return the kinds of results that a test may have; both if its type isn't known."""
    return _KINDS.get(test.type, _BOTH) if test else _BOTH


def is_http(test: EndpointTest | None) -> bool:
    """Tell whether a test is known to be an HTTP test."""
    return test is not None and test.type == _HTTP


def expected_agents(test: EndpointTest | None, fleet: Fleet | None) -> Set[str] | int | None:
    """Return the agents that should answer, or only how many; None if neither is known.

    They may be too many for a test with labels or tags, because it isn't known here which agents
    these select.

    Args:
        test: The test's definition, if the API lists it.
        fleet: The agents, if anything is known of them. If not all could be read, there may be
            more; but a test runs on no more than its `max_machines`.
    """
    if fleet is None:
        return None
    chosen = test.agents if test else None
    may = fleet.online.intersection(chosen) if chosen else fleet.online
    if test and test.max_machines is not None and len(may) >= test.max_machines:
        return test.max_machines
    is_known = fleet.knows(chosen) if chosen else fleet.complete
    return may if is_known else None


def only_agents(tests: Iterable[EndpointTest | None]) -> frozenset[str] | None:
    """Return the agents that may run any of these tests; None if any agent may, or too many may.

    They are too many if reading the whole list is cheaper than asking for each.
    """
    chosen: set[str] = set()
    for test in tests:
        if test is None or not test.agents:
            return None
        chosen.update(test.agents)
        if len(chosen) > MOST_CHOSEN:
            return None
    return frozenset(chosen) or None
