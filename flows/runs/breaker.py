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
OPENING: Final = DOWN | _HINTS.keys()
"""How tests end that may stop a run: wherever too many come together, others get no turn."""


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
        row = self._down_around(place)
        if len(row) < IN_A_ROW:
            return None
        got = "connection to the API" if set(row) == {Outcome.UNREACHABLE} else "useful answer"
        return f"{IN_A_ROW} tests in a row got no {got}, even after all retries"

    def closes(self, aid: str | None) -> str | None:
        """Return why nothing more should be sent in an account group, or None.

        Its first tests show whether the token may use it at all; once one got through, it may.
        """
        places = self._places.get(aid, [])
        first = [self._outcomes[place] for place in places[:IN_A_ROW]]
        if not (len(first) == IN_A_ROW and len(set(first)) == 1 and first[0] in _HINTS):
            return None
        if any(self._outcomes[place] is Outcome.ACCEPTED for place in places):
            return None
        return f"the first {IN_A_ROW} tests {_HINTS[first[0]]}"

    def _down_around(self, place: int) -> list[Outcome | None]:
        """Return how the tests in a row ended, with the one at this place, that got no answer."""
        if self._outcomes[place] not in DOWN:
            return []
        before = self._outcomes[max(0, place + 1 - IN_A_ROW) : place]
        after = self._outcomes[place:][:IN_A_ROW]
        both = (reversed(before), after)
        return [outcome for side in both for outcome in takewhile(DOWN.__contains__, side)]
