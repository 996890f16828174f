"""A process looks before it sends whether the run is still its own."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import httpx
import pytest
from prefect import Task, flow, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Abort, ObjectNotFound
from prefect.states import (
    AwaitingRetry,
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Pending,
    Running,
    Suspended,
)

from flows.runs.ownership import PROMPT, TRUSTED, OwnRun
from thousandeyes.clock import elapsed
from thousandeyes.errors import RunStopped

pytestmark = pytest.mark.usefixtures("prefect_server")


@dataclass
class Server:
    """A clock, and a Prefect server's answer that can be changed."""

    state: State = field(default_factory=Running)
    run_count: int = 1
    now: float = 1000.0
    asked: int = 0
    deleted: bool = False
    proxied: list[str] = field(default_factory=list)
    """Pages that a proxy answers in its place, with status 404."""
    takes: list[float] = field(default_factory=list)
    """Seconds that its next answers take; at once when there are no more."""

    def run(self) -> FlowRun:
        return FlowRun(id=uuid4(), flow_id=uuid4(), state=self.state, run_count=self.run_count)

    async def read(self, _: UUID) -> FlowRun:
        self.asked += 1
        await asyncio.sleep(0)  # others have their turn meanwhile
        self.now += self.takes.pop(0) if self.takes else 0
        if self.proxied:
            answer = httpx.Response(404, text=self.proxied.pop(), request=httpx.Request("GET", "/"))
            error = httpx.HTTPStatusError("404", request=answer.request, response=answer)
            raise ObjectNotFound(error) from error
        if self.deleted:
            raise ObjectNotFound(KeyError())
        return self.run()

    def own_run(self) -> OwnRun:
        return OwnRun(self.run(), clock=lambda: self.now, read=self.read)


async def test_an_answer_counts_for_ten_seconds() -> None:
    server = Server()
    own_run = server.own_run()
    for _ in range(3):
        await own_run.confirm()
        server.now += TRUSTED / 3
    assert server.asked == 0
    server.now += TRUSTED
    for _ in range(3):
        await own_run.confirm()
    assert server.asked == 1


async def test_the_first_answer_counts_since_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with get_client() as client:
        run = await client.create_flow_run(some_flow, state=Running())
        monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", str(run.id))
        monkeypatch.setattr("flows.runs.ownership.elapsed", lambda: elapsed() - TRUSTED - 1)
        own_run = await OwnRun.of_this_process()
        await client.set_flow_run_state(run.id, Cancelling(), force=True)
    with pytest.raises(RunStopped, match="cancelled"):
        await own_run.confirm()


async def test_a_proxy_that_finds_nothing_does_not_tell_that_the_run_was_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tasks.server_calls._FIRST_PAUSE", 0.01)
    server = Server(proxied=["404 page not found"])
    own_run = server.own_run()
    server.now += 1
    await own_run.confirm(trusted=0)
    assert server.asked == 2


async def looking(own_run: OwnRun) -> asyncio.Task[None]:
    """Let somebody look who takes no earlier answer; returns when the question is under way."""
    look = asyncio.create_task(own_run.confirm(trusted=0))
    await asyncio.sleep(0)
    return look


async def test_of_many_that_want_to_know_one_asks() -> None:
    server = Server()
    own_run = server.own_run()
    server.now += TRUSTED + 1
    await asyncio.gather(*(own_run.confirm() for _ in range(20)))
    assert server.asked == 1


async def test_who_takes_no_earlier_answer_takes_none_of_a_look_that_had_begun() -> None:
    server = Server()
    own_run = server.own_run()
    server.now += 1
    first = await looking(own_run)
    assert server.asked == 1
    server.now += 0.1
    await asyncio.gather(first, *(own_run.confirm(trusted=0) for _ in range(20)))
    assert server.asked == 2


@pytest.mark.parametrize(
    ("takes", "asked"),
    [([4.0], 1), ([6.0], 2), ([6.0, 6.0], 3), ([6.0] * 9, 3)],
)
async def test_after_an_answer_that_took_long_it_asks_again(takes: list[float], asked: int) -> None:
    """It may be of before the process was cut off."""
    server = Server(takes=takes)
    own_run = server.own_run()
    server.now += TRUSTED + 1
    await own_run.confirm()
    assert server.asked == asked


async def test_who_waits_for_a_look_that_comes_to_nothing_looks_for_itself() -> None:
    server = Server()
    own_run = server.own_run()
    server.now += 1
    first, waiting = (asyncio.ensure_future(own_run.confirm(trusted=0)) for _ in range(2))
    await asyncio.sleep(0)
    assert server.asked == 1
    first.cancel()
    server.state = Crashed()
    with pytest.raises(RunStopped, match="presumed this process dead"):
        await waiting
    assert server.asked == 2


async def test_an_answer_that_counts_is_not_waited_for() -> None:
    server = Server()
    own_run = server.own_run()
    server.now += 1
    look = await looking(own_run)
    async with asyncio.timeout(0):
        await own_run.confirm()
    await look


async def test_a_run_that_went_on_elsewhere_while_an_answer_was_on_its_way_is_lost() -> None:
    server = Server(takes=[60])
    own_run = server.own_run()
    server.now += TRUSTED + 1
    late = server.run()

    async def read(flow_run_id: UUID) -> FlowRun:
        if server.asked:
            return await server.read(flow_run_id)
        await server.read(flow_run_id)
        server.run_count += 1
        return late

    own_run._read = read
    with pytest.raises(RunStopped, match="presumed this process dead"):
        await own_run.confirm()


@pytest.mark.parametrize(("seconds", "asked"), [(PROMPT - 1, 0), (PROMPT + 1, 1)])
async def test_no_earlier_answer_counts_after_a_write_that_took_long(
    seconds: float, asked: int
) -> None:
    server = Server()
    own_run = server.own_run()
    with own_run.doubted_if_slow():
        server.now += seconds
    for _ in range(2):
        await own_run.confirm()
    assert server.asked == asked


async def test_a_run_that_is_being_cancelled_sends_nothing_and_is_still_its_process_own() -> None:
    server = Server()
    own_run = server.own_run()
    server.state, server.now = Cancelling(), server.now + 1
    with pytest.raises(RunStopped, match="cancelled"):
        await own_run.confirm(trusted=0)
    assert (own_run.cancelled, own_run.lost) == (True, False)
    await own_run.confirm_or_abort()


async def test_a_run_that_was_cancelled_meanwhile_is_still_its_process_s_to_report() -> None:
    server = Server()
    own_run = server.own_run()
    states: list[State] = [Cancelling(), Cancelled()]
    for state in states:
        server.state, server.now = state, server.now + 1
        await own_run.confirm_or_abort()
    assert (own_run.cancelled, own_run.lost) == (True, False)


@flow
def some_flow() -> None: ...


async def subflow_of(parent: FlowRun) -> FlowRun:
    """Make a run under way, with a parent, as Prefect's engine does."""
    async with get_client() as client:
        tracking = await client.create_task_run(
            Task(lambda: None), parent.id, str(uuid4()), state=Pending()
        )
        made = await client.create_flow_run(
            some_flow, parent_task_run_id=tracking.id, state=Running()
        )
        return await client.read_flow_run(made.id)


async def set_state(flow_run: FlowRun, state: State) -> None:
    async with get_client() as client:
        await client.set_flow_run_state(flow_run.id, state, force=True)


async def new_run() -> FlowRun:
    async with get_client() as client:
        return await client.create_flow_run(some_flow, state=Running())


@pytest.mark.parametrize("state", [Cancelling(), Cancelled()], ids=lambda state: state.name)
async def test_a_run_is_cancelled_with_any_run_that_it_is_a_subflow_of(state: State) -> None:
    top = await new_run()
    own_run = OwnRun(await subflow_of(await subflow_of(top)))
    await own_run.confirm(trusted=0)
    await set_state(top, state)
    with pytest.raises(RunStopped, match="cancelled"):
        await own_run.confirm(trusted=0)
    assert (own_run.cancelled, own_run.lost) == (True, False)


@pytest.mark.parametrize("state", [Cancelling(), Cancelled()], ids=lambda state: state.name)
async def test_a_run_that_is_retried_by_itself_is_not_cancelled_with_what_ended_before_it(
    state: State,
) -> None:
    top = await new_run()
    run = await subflow_of(top)
    await set_state(top, state)
    with pytest.raises(RunStopped, match="cancelled"):
        await OwnRun(run).confirm(trusted=0)
    await set_state(run, Crashed())
    await set_state(run, Running())
    async with get_client() as client:
        again = await client.read_flow_run(run.id)
    await OwnRun(again).confirm(trusted=0)


async def test_a_run_that_begins_below_one_that_is_being_cancelled_is_cancelled_too() -> None:
    top = await new_run()
    await set_state(top, Cancelling())
    with pytest.raises(RunStopped, match="cancelled"):
        await OwnRun(await subflow_of(top)).confirm(trusted=0)


async def test_the_end_of_a_run_above_and_its_deletion_cancel_nothing() -> None:
    top = await new_run()
    own_run = OwnRun(await subflow_of(top))
    await set_state(top, Crashed())
    await own_run.confirm(trusted=0)
    async with get_client() as client:
        await client.delete_flow_run(top.id)
    await own_run.confirm(trusted=0)
    await OwnRun(own_run.flow_run).confirm(trusted=0)


async def test_a_run_that_is_suspended_sends_nothing_and_is_still_its_process_own() -> None:
    server = Server()
    own_run = server.own_run()
    server.state, server.now = Suspended(), server.now + 1
    with pytest.raises(RunStopped, match="suspended"):
        await own_run.confirm(trusted=0)
    await own_run.confirm_or_abort()
    assert (own_run.suspended, own_run.lost) == (True, False)
    server.state, server.now = Pending(), server.now + 1  # resumed, for another process
    with pytest.raises(Abort):
        await own_run.confirm_or_abort()


async def test_it_is_watched_until_nothing_more_may_be_sent() -> None:
    server = Server()
    own_run = server.own_run()
    told: list[str] = []

    async def sleep(seconds: float) -> None:
        server.now += seconds + 1
        if server.asked == 3:
            server.state = Cancelling()

    await own_run.watch(told.append, sleep)
    assert (told, server.asked) == (["cancelled"], 4)


async def test_work_that_sends_nothing_is_cut_short_when_the_run_is_to_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flows.runs.ownership.TRUSTED", 0.01)
    server = Server()
    own_run = server.own_run()
    server.state, server.now = Cancelling(), server.now + TRUSTED + 1
    told: list[str] = []
    await own_run.cutting_short(asyncio.sleep(600), told.append)
    assert told == ["cancelled"]


async def test_it_raises_what_the_work_raises_and_is_itself_cancelled_as_ever() -> None:
    async def fails() -> None:
        raise ValueError("of the work")

    own_run = Server().own_run()
    with pytest.raises(ValueError, match="of the work"):
        await own_run.cutting_short(fails(), pytest.fail)
    doing = asyncio.ensure_future(own_run.cutting_short(asyncio.sleep(600), pytest.fail))
    await asyncio.sleep(0)
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing


@pytest.mark.parametrize("state", [Crashed(), AwaitingRetry(), Pending(), Completed()])
async def test_a_run_that_was_taken_for_dead_is_lost_for_good(state: State) -> None:
    server = Server(takes=[6.0])  # it answers late
    own_run = server.own_run()
    server.state, server.now = state, server.now + TRUSTED + 1
    with pytest.raises(RunStopped, match="presumed this process dead"):
        await own_run.confirm()
    server.state = Running()
    with pytest.raises(RunStopped):
        await own_run.confirm()
    with pytest.raises(Abort):
        await own_run.confirm_or_abort()
    assert server.asked == 1


async def test_a_run_that_goes_on_elsewhere_is_told_by_its_count() -> None:
    server = Server()
    own_run = server.own_run()
    server.run_count, server.now = 2, server.now + TRUSTED + 1
    with pytest.raises(RunStopped):
        await own_run.confirm()
    assert own_run.lost


async def test_a_run_that_was_deleted_is_lost() -> None:
    server = Server()
    own_run = server.own_run()
    server.deleted, server.now = True, server.now + TRUSTED + 1
    with pytest.raises(RunStopped):
        await own_run.confirm()


async def test_at_the_end_it_looks_whatever_it_knew() -> None:
    server = Server()
    own_run = server.own_run()
    server.now += 0.1
    await own_run.confirm_or_abort()
    assert server.asked == 1
