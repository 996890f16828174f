"""When a run stops early, because to go on would be pointless."""

from dataclasses import dataclass
from typing import Final

from thousandeyes.errors import Outcome

IN_A_ROW: Final = 10
"""Tests, each after all its retries."""

_DOWN = frozenset({Outcome.SERVER_ERROR, Outcome.UNREACHABLE, Outcome.UNKNOWN})


@dataclass
class Breaker:
    """Counts how tests ended, and opens when it is not about the tests any more."""

    _ended: int = 0
    _down_in_a_row: int = 0
    _first: Outcome | None = None
    _all_alike: bool = True

    def ended(self, outcome: Outcome) -> str | None:
        """Note how a test ended; return why the run should stop, or None."""
        self._ended += 1
        self._first = self._first or outcome
        self._all_alike = self._all_alike and outcome is self._first
        self._down_in_a_row = self._down_in_a_row + 1 if outcome in _DOWN else 0
        if self._down_in_a_row >= IN_A_ROW:
            return f"{IN_A_ROW} tests in a row got no useful answer, all their retries included"
        if self._all_alike and self._ended == IN_A_ROW and self._first is Outcome.FORBIDDEN:
            return f"the first {IN_A_ROW} tests were all forbidden: look at the token's permissions"
        if self._all_alike and self._ended == IN_A_ROW and self._first is Outcome.NOT_FOUND:
            return f"none of the first {IN_A_ROW} tests was found: look at the IDs and at TE_AID"
        return None
