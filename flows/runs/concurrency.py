"""Doing several things at once in a run, and ending them together."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from prefect import get_run_logger

_A_SCOPE: Final = 0.1  # seconds


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something beside the block and cancel it at the block's end; its errors are logged.

    Raises:
        BaseException: Something other than an error came up in that work, such as a termination
            signal: it ends the block at once.
    """
    block, task = asyncio.current_task(), asyncio.ensure_future(work)
    assert block  # noqa: S101 - a coroutine runs in one
    is_over = cut_short = False

    def end_block(_: object) -> None:
        nonlocal cut_short
        if not is_over and _signal_in(task):
            cut_short = block.cancel()

    task.add_done_callback(end_block)
    try:
        yield
    finally:
        is_over = True
        task.cancel()
        [error] = await asyncio.gather(task, return_exceptions=True)
        if cut_short:
            block.uncancel()
        if signal := _signal_in(task):
            raise signal
        if isinstance(error, Exception):
            get_run_logger().error("Unexpected error beside the run", exc_info=error)


def _signal_in(ended: asyncio.Task[None]) -> BaseException | None:
    error = None if ended.cancelled() else ended.exception()
    return None if isinstance(error, Exception) else error


async def all_or_first_error(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all; when one fails or this is cancelled, cancel the others and raise.

    Unlike `asyncio.TaskGroup`, it raises the error itself: Prefect knows a termination signal
    by its type, and it can surface in any of them.
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        while under_way := [task for task in tasks if not task.done()]:
            for task in under_way:
                if not task.cancelling():  # a second time would cut its ending short
                    task.cancel()
            # It may be in a scope that a library cancels, and go on when that scope is over.
            await asyncio.wait(under_way, timeout=_A_SCOPE)


async def to_the_end(work: Awaitable[None]) -> None:
    """Await a write; once begun, it continues when this is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    finally:
        await asyncio.wait([task])
