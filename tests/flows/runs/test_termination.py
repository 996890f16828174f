"""SIGTERM ends a run, whatever code it interrupts."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from prefect.exceptions import TerminationSignal
from prefect.utilities.engine import capture_sigterm

from flows.runs.concurrency import all_or_first_error
from flows.runs.termination import ended_by_sigterm


@pytest.fixture(autouse=True)
def _as_in_a_run() -> Iterator[None]:
    """Install Prefect's handler, which passes what it gets to the one that was there before."""

    def passed_on(number: int, _: object) -> None:
        raise TerminationSignal(number)

    before = signal.signal(signal.SIGTERM, passed_on)
    with capture_sigterm():
        yield
    signal.signal(signal.SIGTERM, before)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _swallow() -> None:
    with suppress(BaseException):
        terminate()


async def waits(interrupted: Callable[[], object], patience: float = 0) -> None:
    """Wait without end in such a block, in which something is interrupted first."""
    async with asyncio.timeout(5):
        with ended_by_sigterm(patience):
            interrupted()
            await asyncio.Event().wait()


async def test_where_a_callback_of_the_event_loop_meets_it() -> None:
    loop = asyncio.get_running_loop()
    swallowed = []
    loop.set_exception_handler(lambda _, context: swallowed.append(context["exception"]))
    with pytest.raises(TerminationSignal):
        await waits(lambda: loop.call_soon(terminate))
    assert [type(error) for error in swallowed] == [TerminationSignal]
    _is_not_cancelled()


async def test_where_code_that_catches_every_error_meets_it() -> None:
    with pytest.raises(TerminationSignal):
        await waits(_swallow)
    _is_not_cancelled()


async def test_where_a_group_of_tasks_meets_it() -> None:
    async def interrupted() -> None:
        terminate()

    async def group() -> None:
        with ended_by_sigterm():
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(interrupted())
                await asyncio.Event().wait()

    with pytest.raises(TerminationSignal):
        await group()
    _is_not_cancelled()


async def test_where_a_scope_meets_it_and_cancels_a_task_of_the_block() -> None:
    async def in_a_scope() -> None:
        with suppress(TerminationSignal):
            terminate()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    async def block() -> None:
        with ended_by_sigterm():
            await all_or_first_error([in_a_scope()])

    with pytest.raises(TerminationSignal):
        await block()


async def test_somebody_who_cancels_the_block_meanwhile_finds_it_cancelled() -> None:
    task = asyncio.ensure_future(waits(_swallow, patience=60))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_after_a_block_within_the_block() -> None:
    def swallow_after_another_block() -> None:
        with ended_by_sigterm():
            pass
        asyncio.get_running_loop().call_soon(terminate)

    with pytest.raises(TerminationSignal):
        await waits(swallow_after_another_block)
    _is_not_cancelled()


async def test_in_the_last_of_blocks_that_end_in_any_order() -> None:
    first_is_over = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def first() -> None:
        with ended_by_sigterm():
            await asyncio.sleep(0)
        first_is_over.set()

    async def last() -> None:
        with ended_by_sigterm(patience=0):
            await first_is_over.wait()
            loop.call_soon(terminate)
            await asyncio.Event().wait()

    with pytest.raises(TerminationSignal):
        await asyncio.wait_for(all_or_first_error([first(), last()]), 5)
    before = signal.set_wakeup_fd(-1)
    assert before == -1, "nothing of theirs is left"


async def test_within_a_block_within_the_block() -> None:
    async def both() -> None:
        with ended_by_sigterm():
            await waits(lambda: asyncio.get_running_loop().call_soon(terminate))

    with pytest.raises(TerminationSignal):
        await both()
    _is_not_cancelled()


async def test_a_block_that_was_ended_by_it_reports_undisturbed() -> None:
    with pytest.raises(TerminationSignal):
        await waits(terminate)
    for _ in range(3):
        await asyncio.sleep(0)
    _is_not_cancelled()


async def test_other_signals_and_other_errors_are_left_alone() -> None:
    noted: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: noted.append(number))

    async def fails() -> None:
        with ended_by_sigterm(patience=0):
            os.kill(os.getpid(), signal.SIGUSR1)
            for _ in range(3):
                await asyncio.sleep(0)
            raise ValueError("its own")

    try:
        with pytest.raises(ValueError, match="its own"):
            await fails()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert noted == [signal.SIGUSR1]


async def test_a_host_that_handles_signals_in_its_event_loop_keeps_hearing_them() -> None:
    heard = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, heard.set)
    try:
        with ended_by_sigterm():
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.wait_for(heard.wait(), 5)
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)


def test_a_run_in_another_thread_than_the_main_one_is_as_it_was() -> None:
    ended: list[str] = []

    async def run() -> None:
        with ended_by_sigterm():
            await asyncio.sleep(0)
        ended.append("well")

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    thread.join()
    assert ended == ["well"]


def _is_not_cancelled() -> None:
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0, "what reports the end is not cancelled"
