"""The run itself: each test is sent, its outcome is written down, and its results are awaited."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from prefect.context import FlowRunContext

from flows.rerun.baseline import Baseline
from flows.rerun.judging import Judging
from flows.rerun.later_runs import OthersOf
from flows.rerun.looking_up import look_up
from flows.rerun.options import RerunOptions
from flows.rerun.results import Results
from flows.rerun.selection import mark_possibly_sent
from flows.runs.concurrency import all_or_first_error
from flows.runs.history import Died
from flows.runs.recording import Artifacts
from flows.runs.sending import Logger, Sending
from tasks.rerun import rerun_endpoint_test
from tasks.server_calls import NoAccess
from thousandeyes.client import ThousandEyesClient
from thousandeyes.delivery import Delivery
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.thresholds import Thresholds


class Run:
    """One pass over the tests that need a call; their records are updated in place.

    `results` are those still awaited.

    Args:
        client: The run's client.
        sending: How calls go out.
        artifacts: Where outcomes are written down.
        options: How the run works.
        thresholds: What the results of a test must keep to, by its ID; else the options'.
        others: Finds out where the rounds of other runs begin.
        logger: Where the person on call looks.
        call: Makes a test's call, with retries; its arguments are those of the task.
    """

    def __init__(  # noqa: PLR0913 - all that a run is made of
        self,
        client: ThousandEyesClient,
        sending: Sending,
        artifacts: Artifacts,
        options: RerunOptions,
        thresholds: Mapping[str, Thresholds],
        *,
        others: OthersOf,
        logger: Logger,
        call: Callable[..., Awaitable[Any]] = rerun_endpoint_test,
    ) -> None:
        self._client = client
        self._sending = sending
        self._artifacts = artifacts
        self._options = options
        self._others = others
        self._logger = logger
        self._call = partial(call, client=client, delivery=options.delivery)
        self._baseline = Baseline(client, options, logger)
        self.results = Results(
            Judging(client, options, thresholds, self._baseline, logger),
            others,
            on_known=self._take_results,
        )
        self._places: dict[str, int] = {}

    async def execute(
        self,
        to_send: Sequence[Record],
        left_open: Sequence[Record] = (),
        died: Died | None = None,
    ) -> None:
        """Rerun every test and record its outcome; returns when each has one.

        Args:
            to_send: The tests to send.
            left_open: Tests that an earlier attempt of this run sent, and whose results must be
                read.
            died: What is known of the run, if an attempt of it may have sent more than it recorded.
        """
        sending = self._send_all(to_send, left_open, died)
        aids = dict.fromkeys(record.aid for record in [*to_send, *left_open])
        await all_or_first_error([sending, *map(self.results.follow, aids)])

    def stop(self, reason: str) -> None:
        """Send nothing more and wait for nothing more."""
        self._sending.stop(reason, begun_too=True)
        self.results.give_up(reason)

    async def _send_all(
        self,
        to_send: Sequence[Record],
        left_open: Sequence[Record],
        died: Died | None,
    ) -> None:
        with self._sending.through(self._client, self._options.deadline_minutes):
            await self._prepare(to_send, left_open, died)
            if died:
                at_a_time = self._options.max_in_flight
                mark_possibly_sent(to_send, at_a_time, died, self._baseline.out_of_turn)
            bounds = await self._others(left_open, self._baseline) if left_open else {}
            for record in left_open:
                self.results.begin(record, at_once=True, others=bounds.get(record.test_id, ()))
            in_order = sorted(to_send, key=self._baseline.has_just_run)
            await self._sending.all(in_order, self._take_turn, self._options.max_in_flight)
        self._places.clear()  # nothing is left that could be stopped
        self.results.close()

    async def _take_turn(self, record: Record) -> None:
        """Rerun a test; its place in the pool covers the call and its artifact."""
        if reason := self._baseline.why_skip(record):
            record.skipped(reason)
            return
        if not self._sending.stopped:
            await self._baseline.wait_for_a_new_round(
                record, lambda: self._sending.stopped is not None
            )

        async def write_ahead() -> bool:
            self._baseline.note_rounds(record)
            if writes := self._options.delivery is Delivery.AT_MOST_ONCE:
                # If killed now, the run will know of this call when it is executed again.
                await self._artifacts.write(record, self._sending.confirm)
            return writes

        place = await self._sending.send(record, partial(self._call, record), write_ahead)
        if place is None:
            return
        # A lost answer says nothing until it is known whether the test ran.
        is_open = self.results.begin(record) and record.outcome is Outcome.UNKNOWN
        if is_open:
            self._places[record.test_id] = place
        await self._sending.finish(record)
        _forget_results()
        if not is_open:
            self._sending.count(place, record)

    async def _take_results(self, record: Record) -> None:
        try:
            await self._artifacts.keep(record)
        except NoAccess as error:
            self.stop(str(error))
        if (place := self._places.pop(record.test_id, None)) is not None:
            self._sending.count(place, record)

    async def _prepare(
        self, to_send: Sequence[Record], left_open: Sequence[Record], died: Died | None
    ) -> None:
        """Name the tests that have no name yet, and read the rounds that exist before any call.

        If rounds must be distinguished, tests with a name are looked up too: for their intervals.
        """
        records = [*to_send, *left_open]
        for_rounds = self._baseline.needs_rounds
        wanted = [record for record in records if for_rounds or not record.test_name]
        listed = await look_up(self._client, wanted, self._logger, for_rounds=for_rounds)
        for record in records:
            if not record.test_name and (test := listed.get(record.test_id)):
                record.named(test.test_name)
        await self._baseline.read(listed, to_send, left_open, died and died.began)


def _forget_results() -> None:
    """Drop what Prefect keeps of each task run: its result, to draw edges, and its assets.

    No task here depends on another's result, and 10,000 results are 30 MB; there are no assets, but
    10,000 empty entries are 3 MB.
    """
    if context := FlowRunContext.get():
        context.run_results.clear()
        context.task_run_assets.clear()
