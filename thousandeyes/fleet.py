"""What a run keeps of an account group's agents, of which there may be 150,000. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from thousandeyes.models import Agent
from thousandeyes.text import cut

MOST_PAGES: Final = 60
"""Calls that reading the agents takes at the most: a quarter of the organization's minute. That is
60,000 agents, if the API gives as many on a page as it is asked for, and 6,000 by pages of 100."""
LARGEST_PAGE: Final = 1_000
"""Agents that are asked for in a page: some 3 MB. The API's description names no bound."""
MOST_CHOSEN: Final = 1_000
"""Agents that are asked for by ID, 200 in a call; of more, the whole list is read."""
IDS_PER_CALL: Final = 200

_LONGEST_NAME: Final = 60


class AgentsPage(NamedTuple):
    """One page of agents.

    `total` is the API's own count of all that were asked for, None where it tells none; `is_last`
    tells that no page follows.
    """

    agents: list[Agent]
    total: int | None
    is_last: bool


@dataclass
class Fleet:
    """The agents of one account group as far as they were read: some 400 bytes for each.

    `chosen` are the IDs that were asked for, None where all agents were.
    """

    chosen: frozenset[str] | None = None
    names: dict[str, str] = field(default_factory=dict)
    """By ID, of all that were read; empty where it has none."""
    online: set[str] = field(default_factory=set)
    """The IDs of those that can answer."""
    total: int | None = None
    ended: bool = False

    def take(self, page: AgentsPage, now: float) -> None:
        """Take a page that was read at `now`, epoch seconds of the server's clock."""
        for agent in page.agents:
            self.names[agent.agent_id] = cut(agent.name, _LONGEST_NAME)
            if agent.is_online(now):
                self.online.add(agent.agent_id)
        self.total, self.ended = page.total, page.is_last

    @property
    def complete(self) -> bool:
        """Whether all agents that the API counts were read."""
        return self.ended and (self.total is None or len(self.names) >= self.total)

    @property
    def shortfall(self) -> str:
        """What is missing, in a sentence; empty where nothing is."""
        if self.complete:
            return ""
        if self.ended:
            return f"The API counts {self.total} agents and lists {len(self.names)} of them."
        of = "those that there are" if self.total is None else f"{self.total} agents"
        return f"Only {len(self.names)} of {of} were read, in at most {MOST_PAGES} calls."

    def knows(self, agents: Collection[str]) -> bool:
        """Tell whether it is known of each of these agents if it is online."""
        return self.complete or all(agent in self.names for agent in agents)
