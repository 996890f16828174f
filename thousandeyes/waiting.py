"""Waiting for something to happen, with a time limit."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any


async def wait_for_event(
    event: asyncio.Event, seconds: float, sleep: Callable[[float], Awaitable[None]]
) -> None:
    """Return when the event is set, or after that many seconds of `sleep`; `math.inf`: no limit."""
    waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(event.wait())]
    if seconds < math.inf:
        waiting.append(asyncio.ensure_future(sleep(seconds)))
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for future in waiting:
            future.cancel()
