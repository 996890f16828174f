"""One turn of a record: written ahead, sent, written down; and what stops the run."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import count
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import Running
from pydantic import SecretStr

from flows.runs.breaker import IN_A_ROW
from flows.runs.ownership import OwnRun
from flows.runs.sending import Sending
from tasks.server_calls import NoAccess
from thousandeyes.caller import Caller
from thousandeyes.calls import BeforeSending, BeforeWaiting
from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import (
    CallFailed,
    Forbidden,
    ReplyLost,
    RunStopped,
    TooManyRequests,
    Unreachable,
)
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.settings import ThousandEyesSettings

pytestmark = pytest.mark.usefixtures("prefect_server")

SETTINGS = ThousandEyesSettings(token=SecretStr("secret-token"))
LOGGER = logging.getLogger("test")
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


class Asked(OwnRun):
    """A run that is lost, or whose server lets nobody in, from some question on."""

    def __init__(self, ends_at: int = 99, error: Exception | None = None) -> None:
        super().__init__(FlowRun(flow_id=uuid4()))
        self.asked = 0
        self._ends_at, self._error = ends_at, error

    async def confirm(self, trusted: float = 0.0) -> None:  # noqa: ARG002
        self.asked += 1
        if self.asked >= self._ends_at:
            self.lost = self._error is None
            raise self._error or RunStopped("taken for dead")


class Kept:
    """What was written down; a server that lets nobody in from some write on."""

    def __init__(self, ends_at: int = 99) -> None:
        self.outcomes: list[str] = []
        self._ends_at = ends_at

    async def __call__(self, record: Record) -> None:
        if len(self.outcomes) + 1 >= self._ends_at:
            raise NoAccess("no entry (401)")
        self.outcomes.append(record.outcome)


class Api:
    """Counts the calls, by test, and answers each by its account group."""

    def __init__(self, forbidden: str | None = "none") -> None:
        self.sent: Counter[str | None] = Counter()
        self._forbidden = forbidden

    def call(self, record: Record) -> Callable[..., Awaitable[None]]:
        async def call(*, before_sending: BeforeSending, **_: object) -> None:
            record.sending(NOW)
            await before_sending()
            self.sent[record.aid] += 1
            if record.aid == self._forbidden:
                error: CallFailed = Forbidden("403: no", 403)
                record.failed(error)
                raise error
            record.accepted(200, "")

        return call


async def nothing() -> bool:
    return False


async def sent_by(
    sending: Sending, records: list[Record], api: Api, write_ahead: Callable[[], Awaitable[bool]]
) -> None:
    async def turn(record: Record) -> None:
        place = await sending.send(record, api.call(record), write_ahead)
        if place is not None:
            await sending.finish(record)
            sending.count(place, record)

    await sending.all(records, turn)


async def test_the_last_look_is_after_the_write_that_may_have_waited() -> None:
    own_run, api, kept = Asked(), Api(), Kept()
    records = [Record("1"), Record("2")]

    async def write_ahead() -> bool:
        own_run._ends_at = 0  # meanwhile the run goes on elsewhere
        return True

    sending = Sending(records, own_run, kept, LOGGER)
    await sent_by(sending, records, api, write_ahead)
    assert not api.sent
    assert sending.stopped == "taken for dead"
    assert [record.attempts for record in records] == [0, 0]
    assert kept.outcomes == [], "the other process may have sent them"


async def test_a_run_that_went_on_elsewhere_while_a_write_waited_sends_nothing_more() -> None:
    api, records, now = Api(), [Record("1"), Record("2")], 0.0

    async def read(_: UUID) -> FlowRun:
        return FlowRun(flow_id=uuid4(), state=Running(), run_count=2)

    async def keep(_: Record) -> None:
        nonlocal now
        now += 3  # cut off from Prefect, and the run is started again by hand

    own_run = OwnRun(FlowRun(flow_id=uuid4(), run_count=1), clock=lambda: now, read=read)
    sending = Sending(records, own_run, keep, LOGGER)
    await sent_by(sending, records, api, nothing)
    assert api.sent.total() == 1
    assert own_run.lost


async def test_what_a_run_could_not_send_before_it_was_lost_is_not_written_over_the_other_s() -> (
    None
):
    own_run, kept, records = Asked(), Kept(), [Record("1"), Record("2")]
    errors = {"1": Unreachable("no connection"), "2": ReplyLost("no answer")}

    async def turn(record: Record) -> None:
        async def call(*, before_sending: BeforeSending, **_: object) -> None:
            record.sending(NOW)
            await before_sending()
            own_run.lost = True  # cut off, and the run goes on elsewhere
            record.failed(errors[record.test_id])
            raise errors[record.test_id]

        await sending.send(record, call, nothing)
        await sending.finish(record)

    sending = Sending(records, own_run, kept, LOGGER)
    await sending.all(records, turn)
    assert kept.outcomes == ["unknown"], "that one may have reached the API, whoever sent it too"


@pytest.mark.parametrize("wrote", [True, False])
async def test_no_earlier_answer_counts_once_something_was_written_ahead(wrote: bool) -> None:  # noqa: FBT001
    asked = 0

    async def read(_: UUID) -> FlowRun:
        nonlocal asked
        asked += 1
        return FlowRun(flow_id=uuid4(), state=Running(), run_count=1)

    async def write_ahead() -> bool:
        return wrote

    clock = count(1).__next__
    own_run = OwnRun(FlowRun(flow_id=uuid4(), run_count=1), clock=clock, read=read)
    records = [Record("1")]
    await sent_by(Sending(records, own_run, Kept(), LOGGER), records, Api(), write_ahead)
    assert asked == wrote


@pytest.mark.parametrize("wrote", [True, False])
@pytest.mark.parametrize("lost", [False, True], ids=["own", "lost"])
async def test_what_was_written_ahead_of_a_refused_call_is_corrected_before_the_wait(
    wrote: bool,  # noqa: FBT001
    lost: bool,  # noqa: FBT001
) -> None:
    own_run, kept, record = Asked(), Kept(), Record("1")

    async def call(*, before_sending: BeforeSending, before_waiting: BeforeWaiting) -> None:
        record.sending(NOW)
        await before_sending()
        record.failed(TooManyRequests("429: wait", 429))
        own_run.lost = lost
        await before_waiting()
        waiting.append(list(kept.outcomes))

    async def write_ahead() -> bool:
        return wrote

    waiting: list[list[str]] = []
    await Sending([record], own_run, kept, LOGGER).send(record, call, write_ahead)
    assert waiting == [["not_attempted"] if wrote and not lost else []]


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_server_that_lets_nobody_in_stops_the_run_before_the_next_call(at: int) -> None:
    api, records = Api(), [Record(str(number)) for number in range(9)]
    sending = Sending(records, Asked(), Kept(ends_at=at), LOGGER)
    await sent_by(sending, records, api, nothing)
    assert api.sent.total() == at, "one call more than were recorded, and not two"
    assert sending.stopped == "no entry (401)"


@pytest.mark.parametrize(("begun_too", "sent"), [(True, 0), (False, 1)])
async def test_a_call_that_waits_for_the_prefect_server_is_not_sent_once_nothing_more_may_be(
    *, begun_too: bool, sent: int
) -> None:
    api, records, own_run = Api(), [Record("1")], Asked()
    sending = Sending(records, own_run, Kept(), LOGGER)

    async def away(trusted: float = 0.0) -> None:  # noqa: ARG001
        sending.stop("the deadline of 5 minutes has passed", begun_too=begun_too)

    own_run.confirm = away  # type: ignore[method-assign]
    await sent_by(sending, records, api, nothing)
    assert api.sent.total() == sent


async def test_no_call_goes_out_after_a_deadline_that_came_while_the_machine_slept() -> None:
    api, records, now = Api(), [Record("1"), Record("2")], 1000.0
    sending = Sending(records, Asked(), Kept(), LOGGER, clock=lambda: now)

    async def write_ahead() -> bool:
        nonlocal now
        now += 50  # the machine sleeps, and the event loop's clock stands still
        return True

    with sending.through(Caller(SETTINGS), deadline_minutes=1.0):
        await sent_by(sending, records, api, write_ahead)
    assert api.sent.total() == 1
    assert sending.stopped == "the deadline of 1 minute has passed"
    assert records[1].outcome is Outcome.NOT_ATTEMPTED


async def test_a_deadline_that_comes_after_the_last_call_stops_nothing() -> None:
    sending = Sending([], Asked(), Kept(), LOGGER)
    with sending.through(Caller(SETTINGS), deadline_minutes=0.0001):
        pass
    await asyncio.sleep(0.1)  # while results are awaited
    assert sending.stopped is None


@pytest.mark.parametrize("cut", [False, True])
async def test_how_long_a_test_took_is_measured_by_a_clock_that_nobody_sets(cut: bool) -> None:  # noqa: FBT001
    """The client's is at eight, whatever the machine's has been set to meanwhile."""
    record, now = Record("1"), NOW.timestamp()
    sending = Sending([record], Asked(), Kept(), LOGGER)

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal now
        now += 7
        if cut:
            sending.cut_short("somebody cancels it")
        return httpx.Response(200, json={})

    async def call(*, before_sending: BeforeSending, **_: object) -> None:
        await client.rerun(record, before_sending=before_sending)

    transport = httpx.MockTransport(answer)
    async with ThousandEyesClient(SETTINGS, transport=transport, clock=lambda: now) as client:
        with sending.through(client):
            await sending.send(record, call, nothing)
            await sending.finish(record)
    assert (record.started_at, record.seconds) == (NOW, 7)


async def test_nothing_is_sent_where_nobody_tells_whether_it_may_be() -> None:
    api, records = Api(), [Record("1")]
    sending = Sending(records, Asked(1, NoAccess("no entry (403)")), Kept(), LOGGER)
    await sent_by(sending, records, api, nothing)
    assert (api.sent.total(), sending.stopped) == (0, "no entry (403)")


async def test_an_account_group_that_is_all_forbidden_is_left_out_and_no_other() -> None:
    records = [Record(f"{aid}{n}", aid=aid) for n in range(2 * IN_A_ROW) for aid in ("mine", "no")]
    api = Api(forbidden="no")
    sending = Sending(records, Asked(), Kept(), LOGGER)
    await sent_by(sending, records, api, nothing)
    assert api.sent == {"mine": 2 * IN_A_ROW, "no": IN_A_ROW}
    assert sending.stopped is None
    assert Counter(record.outcome for record in records) == {
        Outcome.ACCEPTED: 2 * IN_A_ROW,
        Outcome.FORBIDDEN: IN_A_ROW,
        Outcome.NOT_ATTEMPTED: IN_A_ROW,
    }
    assert "check the token's permissions" in records[-1].detail


async def test_with_one_account_group_alone_the_run_stops() -> None:
    records = [Record(str(n)) for n in range(2 * IN_A_ROW)]
    api = Api(forbidden=None)
    sending = Sending(records, Asked(), Kept(), LOGGER)
    await sent_by(sending, records, api, nothing)
    assert api.sent.total() == IN_A_ROW
    assert "check the token's permissions" in str(sending.stopped)
