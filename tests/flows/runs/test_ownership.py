"""A process looks before it sends whether the run is still its own."""

from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Abort, ObjectNotFound
from prefect.states import AwaitingRetry, Cancelling, Completed, Crashed, Pending, Running

from flows.runs.ownership import PROMPT, TRUSTED, OwnRun
from thousandeyes.errors import RunStopped


@dataclass
class Server:
    """A clock, and a Prefect server's answer that can be changed."""

    state: State = field(default_factory=Running)
    run_count: int = 1
    now: float = 1000.0
    asked: int = 0
    deleted: bool = False

    def run(self) -> FlowRun:
        return FlowRun(id=uuid4(), flow_id=uuid4(), state=self.state, run_count=self.run_count)

    async def read(self, _: UUID) -> FlowRun:
        self.asked += 1
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
    server.state = Cancelling()
    with pytest.raises(RunStopped, match="cancelled"):
        await own_run.confirm(trusted=-1)
    assert (own_run.cancelled, own_run.lost) == (True, False)
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


@pytest.mark.parametrize("state", [Crashed(), AwaitingRetry(), Pending(), Completed()])
async def test_a_run_that_was_taken_for_dead_is_lost_for_good(state: State) -> None:
    server = Server()
    own_run = server.own_run()
    server.state, server.now = state, server.now + TRUSTED + 1
    with pytest.raises(RunStopped, match="for dead"):
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
