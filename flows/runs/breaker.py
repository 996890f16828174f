"""When a run stops early, because continuing would be pointless."""

from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from thousandeyes.outcomes import DOWN, Outcome

IN_A_ROW: Final = 10
"""Tests, each after all its retries."""

_HINTS: Final = {
    Outcome.FORBIDDEN: "were all forbidden: check the token's permissions",
    Outcome.NOT_FOUND: "were all not found: check the IDs and TE_AID",
}


@dataclass
class Breaker:
    """Looks at how tests ended, in the order of their calls; opens if the tests are not the cause.

    A test whose results must still show whether it ran keeps its place, and is neither good nor bad
    until then.
    """

    _outcomes: list[Outcome | None] = field(default_factory=list)
    _places: dict[str | None, list[int]] = field(default_factory=dict)

    def take_place(self, aid: str | None) -> int:
        """Give the next test, which has made its call, a place in the order; return the place."""
        place = len(self._outcomes)
        self._outcomes.append(None)
        self._places.setdefault(aid, []).append(place)
        return place

    def note(self, place: int, outcome: Outcome) -> str | None:
        """Note how the test at this place ended; return why the run should stop, or None."""
        self._outcomes[place] = outcome
        if outcome in DOWN and self._down_around(place) >= IN_A_ROW:
            return f"{IN_A_ROW} tests in a row got no useful answer, even after all retries"
        return None

    def closes(self, aid: str | None) -> str | None:
        """Return why nothing more should be sent in an account group, or None.

        Its first tests show whether the token may use it at all; once one got through, it may.
        """
        first = [self._outcomes[place] for place in self._places.get(aid, ())[:IN_A_ROW]]
        if len(first) == IN_A_ROW and len(set(first)) == 1 and first[0] in _HINTS:
            return f"the first {IN_A_ROW} tests {_HINTS[first[0]]}"
        return None

    def _down_around(self, place: int) -> int:
        """Return how many tests in a row, including the one at this place, got no answer."""
        until_here = self._outcomes[max(0, place + 1 - IN_A_ROW) : place + 1]
        after = self._outcomes[place + 1 : place + IN_A_ROW]
        both = (reversed(until_here), after)
        return sum(1 for side in both for _ in takewhile(DOWN.__contains__, side))
