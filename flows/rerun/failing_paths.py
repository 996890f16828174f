"""The paths of agents that failed: read once all results are in, as far as quota and time allow."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final

from flows.rerun.options import RerunOptions
from flows.runs.sending import Logger
from tasks.server_calls import NoAccess
from thousandeyes.caller import READING
from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import CallFailed, Forbidden, InvalidCall, NotFound
from thousandeyes.outcomes import VerdictName
from thousandeyes.path_words import words
from thousandeyes.paths import path_of
from thousandeyes.record import Record
from thousandeyes.text import cut
from thousandeyes.verdict import FailingAgent

LEFT_TO_OTHERS: Final = 0.5
"""The part of the organization's quota that is left to runs which still send and read results."""
LONGEST: Final = 60.0
"""Seconds for all paths of a run."""
FAILURES_IN_A_ROW: Final = 3
"""After this many calls in a row without an answer the others are left out."""
_LONGEST_ERROR: Final = 200
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""What an agent's ID, which comes from a reply, must look like to become part of an address."""


class FailingPaths:
    """Reads the paths of failing agents one after the other, and notes in words where they end.

    No call waits for quota. If a path can't be read, only its words are missing.

    Args:
        options: Say how many agents per test, and whether agents and hops go by name and address.
        keep: Called with each record that has got words.
        logger: Where the person on call looks.
    """

    def __init__(
        self, options: RerunOptions, keep: Callable[[Record], Awaitable[None]], logger: Logger
    ) -> None:
        self._options = options
        self._keep = keep
        self._logger = logger
        self._stopped = ""
        self._shut: dict[str | None, str] = {}
        self._calls = 0
        self._left_out = 0
        self._in_a_row = 0

    def stop(self, reason: str) -> None:
        """Read no more; of several reasons the first counts."""
        self._stopped = self._stopped or reason

    async def read(self, client: ThousandEyesClient, records: Iterable[Record]) -> None:
        """Read the paths of the tests that failed, and update their records in place.

        Args:
            client: The client.
            records: The tests; only for those judged just now is it known which agents failed.
        """
        asked = list(_in_turn(records, self._options.paths_of_failing_agents))
        told: dict[str, list[str]] = {}
        try:
            async with asyncio.timeout(LONGEST):
                for record, agent in asked:
                    if self._has_to_stop(client):
                        break
                    if record.aid in self._shut:
                        continue
                    told.setdefault(record.test_id, []).append(
                        await self._words(client, record, agent)
                    )
                    record.traced(". ".join(told[record.test_id]))
        except TimeoutError:
            self.stop(f"the {LONGEST:.0f} s allowed for paths ran out")
        except Exception as error:
            self._logger.exception("Unexpected error while reading paths")
            self.stop(f"unexpected {type(error).__name__}, see the log")
        self._left_out = len(asked) - sum(map(len, told.values()))
        if self.spent:
            self._logger.info("Paths: %s", self.spent)
        try:
            for record in {record.test_id: record for record, _ in asked}.values():
                if record.test_id in told:
                    await self._keep(record)
        except NoAccess as error:
            self._logger.error("Paths are not recorded: %s", error)  # noqa: TRY400

    @property
    def spent(self) -> str:
        """What they cost, and what was left out and why; empty if there was nothing to read."""
        told = []
        if self._calls:
            calls = "1 call was" if self._calls == 1 else f"{self._calls} calls were"
            told.append(f"{calls} spent on the paths of failing laptops")
        if self._left_out:
            paths, were = ("path", "was") if self._left_out == 1 else ("paths", "were")
            paths += "" if told else " of failing laptops"
            why = "; ".join(filter(None, (*self._shut.values(), self._stopped)))
            told.append(f"{self._left_out} {paths} {were} left out: {why}")
        return ", and ".join(told)

    def _has_to_stop(self, client: ThousandEyesClient) -> bool:
        if not client.gate.has_spare(READING, LEFT_TO_OTHERS):
            self.stop("less than half of the organization's quota is left")
        return bool(self._stopped)

    async def _words(self, client: ThousandEyesClient, record: Record, agent: FailingAgent) -> str:
        self._calls += 1
        try:
            reply = await client.path(record.test_id, agent.agent_id, agent.round_id, record.aid)
        except CallFailed as error:
            self._note(error, record.aid)
            why = cut(str(error), _LONGEST_ERROR)
            return f"The path of {agent.name} could not be read: {why}"
        self._in_a_row = 0
        path = path_of(reply, agent.agent_id, agent.round_id)
        if path is None:
            return f"The path of {agent.name} could not be read: the API reports no hop of it"
        named = self._options.name_laptops_and_networks
        return f"The path of {agent.name} {words(path, with_addresses=named)}"

    def _note(self, error: CallFailed, aid: str | None) -> None:
        """Stop, perhaps for one account group, if the next call would fare no better."""
        self._in_a_row += error.may_pass
        if isinstance(error, Forbidden):
            self._shut[aid] = str(error)
        elif self._in_a_row >= FAILURES_IN_A_ROW or not (
            error.may_pass or isinstance(error, NotFound | InvalidCall)
        ):
            self.stop(str(error))


def _in_turn(records: Iterable[Record], most: int) -> Iterator[tuple[Record, FailingAgent]]:
    """Yield whose paths to read: first the worst agent of each failed test, then the next worst."""
    agents = [
        (record, [agent for agent in record.verdict.failing if _ID.fullmatch(agent.agent_id)])
        for record in records
        if record.verdict and record.ending is VerdictName.FAILED
    ]
    for place in range(most):
        for record, failing in agents:
            if place < len(failing):
                yield record, failing[place]
