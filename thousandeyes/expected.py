"""What a test's run should bring: which kinds of results, and of how many agents. Pure."""

from collections.abc import Collection
from typing import Final

from thousandeyes.models import EndpointTest
from thousandeyes.results import Kind

_BOTH: Final = frozenset({Kind.NETWORK, Kind.HTTP_SERVER})
_KINDS: Final = {"agent-to-server": frozenset({Kind.NETWORK}), "http-server": _BOTH}


def kinds_of(test: EndpointTest | None) -> frozenset[Kind]:
    """Return the kinds of results that a test may have; both where its type isn't known."""
    return _KINDS.get(test.type, _BOTH) if test else _BOTH


def expected_agents(test: EndpointTest | None, online: Collection[str] | None) -> int | None:
    """Return how many agents should answer; None where it isn't known.

    Which agents a label stands for is not known here, so that for such a test it may be too many.

    Args:
        test: The test's definition, if the API lists it.
        online: The IDs of the agents that are online, if these are known.
    """
    if online is None:
        return None
    if test is None:
        return len(online)
    may = len(set(online).intersection(test.agents)) if test.agents else len(online)
    return may if test.max_machines is None else min(may, test.max_machines)
