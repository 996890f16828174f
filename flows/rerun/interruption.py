"""Signals to a run on the command line: the first ends it cleanly, the second at once."""

import asyncio
import math
import signal
import time
from collections.abc import Awaitable, Callable
from functools import partial
from types import FrameType
from typing import Any, Final, TypeVar

from prefect.exceptions import TerminationSignal

from flows.rerun.watched import Watched

Result = TypeVar("Result")
Handler = Callable[[int, FrameType | None], None]
_TO_LEAVE: Final = 2  # signals
_AT_ONCE: Final = 1.0  # seconds


class Abandoned(Exception):
    """A second Ctrl-C or SIGTERM: the run was abandoned while it was ending cleanly.

    Args:
        by: The signal.
    """

    def __init__(self, by: signal.Signals) -> None:
        super().__init__(by)
        self.by = by


def run_until_interrupted(
    run: Awaitable[Result], seen: Watched, on_first: Callable[[signal.Signals], None]
) -> Result:
    """Run something to its end; the first Ctrl-C or SIGTERM cancels it and lets it end cleanly.

    Args:
        run: What is run, in an event loop of its own.
        seen: What can be seen of it.
        on_first: Called with the first signal.

    Raises:
        KeyboardInterrupt: It was interrupted, and has ended cleanly.
        TerminationSignal: It was terminated, and has ended cleanly.
        Abandoned: A second signal came. Its event loop is left open, because closing it would wait
            for all that runs in it; the process should end without closing it, too.
    """
    runner = asyncio.Runner()
    came: list[signal.Signals] = []

    async def main() -> Result:
        task = asyncio.current_task()
        assert task  # noqa: S101 - a coroutine runs in one
        ends = partial(_end, task, came, on_first)
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, ends)
        # Only once Prefect has put its own there, which raises an error in whatever code runs.
        seen.on_begin = lambda: signal.signal(signal.SIGTERM, _not_at_once(ends))
        return await run

    before = signal.getsignal(signal.SIGINT)
    left = False
    try:
        return runner.run(main())
    except asyncio.CancelledError:
        if came:
            raise _error_of(came[0]) from None
        raise
    except RuntimeError:  # that the loop was stopped
        if len(came) < _TO_LEAVE:
            raise
        left = True
        raise Abandoned(came[-1]) from None
    finally:
        if not left:
            runner.close()
        signal.signal(signal.SIGINT, before)


def _end(
    task: "asyncio.Task[Any]",
    came: list[signal.Signals],
    on_first: Callable[[signal.Signals], None],
    number: int,
    _: FrameType | None,
) -> None:
    """Handle a signal: cancel the task at the first, and stop its event loop at the next."""
    loop = task.get_loop()
    came.append(signal.Signals(number))
    if len(came) == 1:
        on_first(came[0])
        loop.call_soon_threadsafe(task.cancel)
    else:
        # An error raised here would surface anywhere, and Prefect would catch it there.
        loop.call_soon_threadsafe(loop.stop)


def _not_at_once(handle: Handler) -> Handler:
    """Leave out what comes within a second of the one before.

    Whoever ends a group of processes and a wrapper among them may both send a SIGTERM.
    """
    before = -math.inf

    def handle_one(number: int, frame: FrameType | None) -> None:
        nonlocal before
        now = time.monotonic()
        if now >= before + _AT_ONCE:
            handle(number, frame)
        before = now

    return handle_one


def _error_of(number: signal.Signals) -> BaseException:
    return TerminationSignal(number) if number == signal.SIGTERM else KeyboardInterrupt()
