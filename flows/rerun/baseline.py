"""What is known before a run sends anything, and which tests that leaves out or delays.

Later it shows which results are the run's own.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import Final

from flows.rerun.looking_up import ask_each, grouped
from flows.rerun.options import RerunOptions
from flows.runs.sending import Logger
from thousandeyes.awaiting import newest_rounds
from thousandeyes.client import ThousandEyesClient
from thousandeyes.delivery import Delivery
from thousandeyes.errors import Refused
from thousandeyes.expected import expected_agents, kinds_of, only_agents
from thousandeyes.fleet import MOST_PAGES, Fleet
from thousandeyes.models import EndpointTest
from thousandeyes.own_rounds import OwnRounds, own_rounds
from thousandeyes.record import Record
from thousandeyes.results import ROUND_SECONDS, first_round

_LONGEST: Final = 60.0  # seconds for each of the two questions, about all account groups
_MINUTE: Final = 60.0
_LONGEST_TO_A_NEW_ROUND: Final = 300.0  # seconds
_LONGEST_AGO: Final = 3600.0  # seconds; rounds of a longer time are not worth the pages to read


class Baseline:
    """The agents that are online, and the rounds that exist, before a run's first call.

    A run that needs no results asks for nothing. What can't be found out costs no test: without the
    agents, silence ends the waiting; without the rounds, no doubt is settled.

    Args:
        client: The run's client.
        options: Say whether results are waited for, and what they may have to settle.
        logger: Where the person on call looks.
    """

    def __init__(self, client: ThousandEyesClient, options: RerunOptions, logger: Logger) -> None:
        self.tests: Mapping[str, EndpointTest] = {}
        self.agent_names: dict[str, str] = {}
        self._client, self._options, self._logger = client, options, logger
        self._fleets: dict[str | None, Fleet] = {}
        self._standing: dict[str, int] = {}
        self._rounds_known_of: set[str | None] = set()
        self._refused: dict[str, Refused] = {}
        self._reaches_back = False
        self._began_at = 0.0

    @property
    def needs_rounds(self) -> bool:
        """Whether this run has to distinguish rounds."""
        return bool(
            self._options.wait_for_results
            or self._options.delivery is Delivery.AT_MOST_ONCE
            or self._options.skip_if_run_within_minutes
        )

    async def read(
        self,
        tests: Mapping[str, EndpointTest],
        to_send: Sequence[Record],
        left_open: Sequence[Record] = (),
        died: datetime | None = None,
    ) -> None:
        """Ask what the run needs to know.

        Args:
            tests: What the API lists of the tests, by ID.
            to_send: The tests that will be sent.
            left_open: Tests that were sent earlier, and whose results are awaited.
            died: When an attempt of the run began that may have sent more than it recorded.
        """
        if not self.needs_rounds:
            return  # and keep nothing: the API's list of 10,000 tests takes 12 MB
        self.tests = tests
        if self._options.wait_for_results:
            await self._look_for_agents(grouped([*to_send, *left_open], lambda one: one.aid))
        await self._look_for_rounds(to_send, died)

    def expected_agents(self, record: Record) -> Set[str] | int | None:
        """Return the agents that should answer for a test, or how many; None if unknown."""
        fleet = self._fleets.get(record.aid)
        return self._options.expected_agents or expected_agents(
            self.tests.get(record.test_id), fleet
        )

    def has_just_run(self, record: Record) -> bool:
        """Tell whether the test's latest round is from the interval in which this run began."""
        first = first_round(self._began_at, self.interval(record))
        return self.latest_round(record) >= first > 0

    def interval(self, record: Record) -> int:
        """Return the seconds between a test's rounds: as listed, else as for an instant test."""
        test = self.tests.get(record.test_id)
        return (test and test.interval) or ROUND_SECONDS

    def why_skip(self, record: Record) -> str | None:
        """Return why a test is left out, if the run should skip those that ran lately."""
        minutes, now = self._options.skip_if_run_within_minutes, self._client.server_time()
        latest = self.latest_round(record)
        if minutes is None or now is None or not latest or record.attempts:
            return None
        age = max(0.0, now - latest) / _MINUTE
        if age >= minutes:
            return None
        option = "skip_if_run_within_minutes"
        return f"it ran {int(age)} min ago, less than the {minutes:g} min of {option}"

    def latest_round(self, record: Record) -> int:
        """Return the test's latest round among those that `read` asked for; 0 if there is none."""
        return self._standing.get(record.test_id, 0)

    def out_of_turn(self, record: Record) -> bool:
        """Tell whether an attempt that died may have skipped the test and sent it later."""
        known = self._reaches_back and self._knows_rounds_of(record)
        return self.needs_rounds and (not known or self.latest_round(record) > 0)

    def _knows_rounds_of(self, record: Record) -> bool:
        return record.aid in self._rounds_known_of and record.test_id not in self._refused

    async def wait_for_a_new_round(self, record: Record, stopped: Callable[[], bool]) -> None:
        """Wait until a round of this rerun can be told from the existing one.

        Rounds are named by the minute in which they begin, or by a longer interval of the test. If
        that interval ends later than results are usually waited for, this does not wait.

        Args:
            record: The test.
            stopped: Tells whether the run has stopped meanwhile.
        """
        server_time, interval = self._client.server_time(), self.interval(record)
        if server_time is None or not self.has_just_run(record):
            return
        left = self.latest_round(record) + interval - server_time
        if not 0 < left <= interval:
            return
        ran = f"Test {record.test_id} already ran in its interval of {interval} s"
        if left > _LONGEST_TO_A_NEW_ROUND:
            told = "its new round can't be told from the existing one"
            self._logger.warning("%s: %s", ran, told)
            return
        told = f"waiting {left:.0f} s so that its rounds differ"
        self._logger.info("%s: %s", ran, told)
        while left > 0 and not stopped():
            await asyncio.sleep(min(left, _MINUTE))
            left -= _MINUTE

    def note_rounds(self, record: Record) -> None:
        """Note in the record, right before its call, after which round its own begin."""
        server_time = self._client.server_time()
        if not self._knows_rounds_of(record) or server_time is None:
            return
        # An earlier call counts if it may have been carried out.
        if record.rounds_after is None or not record.maybe_duplicate:
            interval = self.interval(record)
            earlier = first_round(server_time, interval) - interval
            record.rounds_count_after(max(earlier, self.latest_round(record)))

    def rounds_after(self, record: Record, *, doubts_too: bool = False) -> int | None:
        """Return the round after which a test's rounds can be its own; None if that is unknown.

        If nothing was noted, the time of sending counts. For a test in doubt, which somebody else
        may have run within that minute, it counts only with `doubts_too`.
        """
        unproved = record.in_doubt and not doubts_too
        if record.rounds_after is not None or unproved or record.started_at is None:
            return record.rounds_after
        sent = self._client.server_time(record.started_at.timestamp())
        interval = self.interval(record)
        return None if sent is None else first_round(sent, interval) - interval

    def own_rounds(self, record: Record, later: Iterable[int] = ()) -> OwnRounds | None:
        """Return which rounds are a test's own; None if that is unknown.

        Args:
            record: The test, sent.
            later: The rounds after which those of other reruns of it begin.
        """
        after = self.rounds_after(record)
        if after is None:
            return None
        awaited = self._options.results_deadline_minutes * _MINUTE
        interval, took = self.interval(record), record.seconds
        return own_rounds(after, interval, took=took, awaited=awaited, later=later)

    def is_too_early(self, record: Record) -> bool:
        """Tell whether agents that have not answered for a test may still do so."""
        own, now = self.own_rounds(record), self._client.server_time()
        return own is not None and (now is None or now < own.answered_by)

    async def _look_for_agents(self, test_ids: Mapping[str | None, Sequence[str]]) -> None:
        """Read the agents of account groups, or those that their tests name, within the limits."""
        calls = iter(range(MOST_PAGES))

        async def ask(aid: str | None) -> None:
            chosen = only_agents(self.tests.get(test_id) for test_id in test_ids[aid])
            fleet = self._fleets[aid] = Fleet(chosen)
            async for page in self._client.agents(aid, chosen=chosen, calls=calls):
                fleet.take(page, self._client.server_time() or 0.0)

        if why := await ask_each(test_ids, ask, _LONGEST):
            self._logger.warning("The agents are not all known: %s", why)
        for fleet in self._fleets.values():
            self.agent_names |= fleet.names
            if fleet.names or fleet.complete:
                online, read = len(fleet.online), len(fleet.names)
                of_those = " that the tests name" if fleet.chosen else ""
                self._logger.info("%d of %d agents%s are online", online, read, of_those)
            if not fleet.complete:
                words = (
                    "How many agents should answer is known only for tests that need no more than "
                    "are online among those read, and the others have no names"
                )
                self._logger.warning("%s %s", fleet.shortfall, words)

    async def _look_for_rounds(self, records: Sequence[Record], died: datetime | None) -> None:
        now = self._client.server_time()
        if now is None:  # no reply has come, so there is nobody to ask
            return
        began = (died and self._client.server_time(died.timestamp())) or now
        lately = _MINUTE * (self._options.skip_if_run_within_minutes or 0)
        since = max(began, now - _LONGEST_AGO) - lately
        self._began_at, self._reaches_back = now, began >= now - _LONGEST_AGO
        # Those that the API doesn't list may be gone, and might spoil the calls for all.
        alike = grouped(
            records,
            lambda record: (record.aid, self.interval(record), record.test_id in self.tests),
        )

        async def ask(aid: str | None) -> None:
            for (group, interval, _), test_ids in alike.items():
                if group == aid:
                    kinds = {test_id: kinds_of(self.tests.get(test_id)) for test_id in test_ids}
                    newest, refused = await newest_rounds(
                        self._client.read, kinds, since=since, aid=aid, interval=interval
                    )
                    self._standing |= newest
                    self._refused |= refused
            self._rounds_known_of.add(aid)

        if why := await ask_each({aid: None for aid, *_ in alike}, ask, _LONGEST):
            self._logger.warning("Results can't be read before anything is sent: %s", why)
        for test_id, error in self._refused.items():
            words = "Test %s: its results can't be read before it is sent: %s"
            self._logger.warning(words, test_id, error)
