"""What Ctrl-C does to a run on the command line: the first ends it cleanly, the second at once."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Final, TypeVar

Result = TypeVar("Result")
_TO_LEAVE: Final = 2  # interrupts


class Abandoned(Exception):
    """A second Ctrl-C: the run was abandoned while it was ending cleanly."""


def run_until_interrupted(run: Awaitable[Result], on_first: Callable[[], None]) -> Result:
    """Run something to its end; the first Ctrl-C cancels it and lets it end cleanly.

    Args:
        run: What is run, in an event loop of its own.
        on_first: Called at the first Ctrl-C.

    Raises:
        KeyboardInterrupt: It was interrupted, and has ended cleanly.
        Abandoned: It was interrupted twice. Its event loop is left open, because closing it would
            wait for all that runs in it; the process should end without closing it, too.
    """
    runner = asyncio.Runner()
    interrupts = 0

    async def main() -> Result:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        assert task  # noqa: S101 - a coroutine runs in one

        def interrupt(_: int, __: FrameType | None) -> None:
            nonlocal interrupts
            interrupts += 1
            if interrupts == 1:
                on_first()
                loop.call_soon_threadsafe(task.cancel)
            else:
                # An error raised here would surface anywhere, and Prefect would catch it there.
                loop.call_soon_threadsafe(loop.stop)

        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, interrupt)
        return await run

    before = signal.getsignal(signal.SIGINT)
    left = False
    try:
        return runner.run(main())
    except asyncio.CancelledError:
        if interrupts:
            raise KeyboardInterrupt from None
        raise
    except RuntimeError:  # that the loop was stopped
        if interrupts < _TO_LEAVE:
            raise
        left = True
        raise Abandoned from None
    finally:
        if not left:
            runner.close()
        signal.signal(signal.SIGINT, before)
