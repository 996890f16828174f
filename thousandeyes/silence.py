"""When an API that says nothing is given up. Pure: time is passed in, as in `quota`."""

from dataclasses import dataclass
from typing import Final

from thousandeyes.text import duration

SILENT_CALLS: Final = 10
SILENT_SECONDS: Final = 120.0
"""After that many calls in a row, over that long, without a single reply, the API is given up."""


@dataclass
class Silence:
    """The calls to run tests since one of them was last answered.

    Calls that only read don't count: these may be answered while the others are not, and the other
    way round.
    """

    _calls: int = 0
    _since: float = 0.0

    def answered(self) -> None:
        """Note a reply."""
        self._calls = 0

    def unanswered(self, since: float, now: float) -> str | None:
        """Note a call that got no reply; return why nothing more should be sent, or None.

        Args:
            since: When the call began.
            now: When it was given up.
        """
        if not self._calls:
            self._since = since
        self._calls += 1
        lasted = now - self._since
        if self._calls < SILENT_CALLS or lasted < SILENT_SECONDS:
            return None
        none = f"none of {self._calls} calls to run tests got a reply"
        return f"the API does not answer: for {duration(lasted)}, {none}"
