"""What a run keeps of an account group's agents. There may be 150,000 of them. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from thousandeyes.models import Agent
from thousandeyes.text import cut

MOST_PAGES: Final = 60
"""The most calls to read the agents: a quarter of the organization's calls in a minute. They reach
60,000 agents if the API fills pages as asked, and 6,000 with pages of 100."""
AGENTS_PER_PAGE: Final = 1_000
"""Agents to ask for in a page: some 3 MB. The API's description names no limit."""
MOST_CHOSEN: Final = 1_000
"""The most agents to ask for by ID, 200 in a call; for more, the whole list is read."""
IDS_PER_CALL: Final = 200

_LONGEST_NAME: Final = 60


class AgentsPage(NamedTuple):
    """One page of agents.

    `total` is the API's own count of all agents that were asked for, None if it gives none.
    `is_last` says that no page follows.
    """

    agents: list[Agent]
    total: int | None
    is_last: bool


@dataclass
class Fleet:
    """The agents of one account group, as far as they were read: some 400 bytes for each.

    `chosen` are the IDs that were asked for, None if all agents were.
    """

    chosen: frozenset[str] | None = None
    names: dict[str, str] = field(default_factory=dict)
    """The names of all that were read, by ID; empty for an agent without a name."""
    online: set[str] = field(default_factory=set)
    """The IDs of the agents that can answer."""
    total: int | None = None
    ended: bool = False

    def take(self, page: AgentsPage, now: float) -> None:
        """Add a page that was read at `now`, in epoch seconds of the server's clock."""
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
        """A sentence on what is missing; empty if nothing is."""
        if self.complete:
            return ""
        if not self.names and self.total is None:
            return "No agents were read."
        if self.ended:
            return f"The API counts {self.total} agents and lists {len(self.names)} of them."
        of = "" if self.total is None else f" of {self.total}"
        return f"Only {len(self.names)}{of} agents were read, in at most {MOST_PAGES} calls."

    def knows(self, agents: Collection[str]) -> bool:
        """Tell whether it is known for each of these agents whether it is online."""
        return self.complete or all(agent in self.names for agent in agents)
