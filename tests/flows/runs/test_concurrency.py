"""Doing several things at once in a run, and ending them together."""

import asyncio
from contextlib import suppress

import pytest
from prefect.exceptions import TerminationSignal

from flows.runs.concurrency import all_or_first_error, in_background, to_the_end
from tests.thousandeyes.virtual_time import run


async def killed() -> None:
    """Do something during which the process is told to end: Prefect's handler raises anywhere."""
    raise TerminationSignal(15)


async def test_a_termination_signal_that_comes_up_beside_the_block_ends_it() -> None:
    with pytest.raises(TerminationSignal):
        async with asyncio.timeout(5), in_background(killed()), in_background(asyncio.sleep(9)):
            await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0, "what reports the end is not cancelled"


async def test_a_termination_signal_that_comes_up_as_the_block_ends_is_raised_too() -> None:
    with pytest.raises(TerminationSignal):
        async with in_background(killed()):
            await asyncio.sleep(0)


async def test_what_is_beside_the_block_ends_with_it() -> None:
    work = asyncio.Event()
    async with in_background(_until_cancelled(work)):
        await asyncio.sleep(0)
    assert work.is_set()


async def test_a_block_that_is_cancelled_stays_so() -> None:
    async def block() -> None:
        async with in_background(asyncio.sleep(9)):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(block())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _until_cancelled(cancelled: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        cancelled.set()


async def test_one_that_a_library_cancels_at_that_moment_is_cancelled_too() -> None:
    moment, over = asyncio.Event(), asyncio.Event()

    async def in_a_scope_of_its_own() -> None:
        task = asyncio.current_task()
        assert task
        task.cancel()
        moment.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await over.wait()  # as a connection that another attempt has made needless
        task.uncancel()
        await asyncio.Event().wait()

    async def fails() -> None:
        await moment.wait()
        asyncio.get_running_loop().call_later(0.05, over.set)
        raise TerminationSignal(15)

    with pytest.raises(TerminationSignal):
        async with asyncio.timeout(5):
            await all_or_first_error([in_a_scope_of_its_own(), fails()])


def test_one_that_takes_long_to_end_is_cancelled_once() -> None:
    ended: list[str] = []

    async def takes_long_to_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(60)
            ended.append("in its own time")

    with pytest.raises(TerminationSignal):
        run(all_or_first_error([takes_long_to_end(), killed()]))
    assert ended == ["in its own time"]


async def test_a_write_that_has_begun_is_awaited_although_that_is_cancelled() -> None:
    begun, may_end, written = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def write() -> None:
        begun.set()
        await may_end.wait()
        written.set()

    task = asyncio.ensure_future(to_the_end(write()))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert written.is_set()
