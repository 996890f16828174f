"""Signals to a run on the command line: the first ends it cleanly, the second at once."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Final, TypeVar

from prefect.exceptions import TerminationSignal

Result = TypeVar("Result")
_TO_LEAVE: Final = 2  # interrupts


class Abandoned(Exception):
    """A second Ctrl-C or SIGTERM: the run was abandoned while it was ending cleanly.

    Args:
        by: The signal.
    """

    def __init__(self, by: signal.Signals) -> None:
        super().__init__(by)
        self.by = by


def run_until_interrupted(
    run: Awaitable[Result], on_first: Callable[[signal.Signals], None]
) -> Result:
    """Run something to its end; the first Ctrl-C cancels it and lets it end cleanly.

    So does the first SIGTERM, for which Prefect raises an error in whatever code runs.

    Args:
        run: What is run, in an event loop of its own.
        on_first: Called with the signal if the run doesn't end at once.

    Raises:
        KeyboardInterrupt: It was interrupted, and has ended cleanly.
        TerminationSignal: It was terminated, and has ended cleanly.
        Abandoned: It was interrupted or terminated twice. Its event loop is left open, because
            closing it would wait for all that runs in it; the process should end without closing
            it, too.
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
                on_first(signal.SIGINT)
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
    except (asyncio.CancelledError, RuntimeError) as error:
        stopped = isinstance(error, RuntimeError)  # the loop, and not what ran in it
        if interrupts < (_TO_LEAVE if stopped else 1):
            raise
        left = stopped
        raise (Abandoned(signal.SIGINT) if stopped else KeyboardInterrupt) from None
    except TerminationSignal:  # raised in the loop itself, which has yet to end what it runs
        on_first(signal.SIGTERM)
        raise
    finally:
        if not left:
            _close(runner)
        signal.signal(signal.SIGINT, before)


def _close(runner: asyncio.Runner) -> None:
    try:
        runner.close()
    except TerminationSignal:
        raise Abandoned(signal.SIGTERM) from None
