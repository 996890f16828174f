"""SIGTERM ends a run, whatever code it interrupts."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from prefect.exceptions import TerminationSignal

PATIENCE: Final = 5.0
"""Seconds in which Prefect's error may end a run, of the 30 after which a worker kills it."""
_at_work: Final[set[int]] = set()  # by the descriptor that each block is told of signals by


@contextmanager
def ended_by_sigterm(patience: float = PATIENCE) -> Iterator[None]:
    """Let SIGTERM end the block, also where the code that it interrupts would go on.

    Prefect's handler raises `TerminationSignal` in whatever code the process is in. A transport or
    a callback of the event loop only logs it, a group of tasks wraps it, and a scope that it breaks
    cancels a task that nobody else cancels. Therefore the event loop hears of the signal as well,
    and cancels a block that goes on.

    Args:
        patience: Seconds after which the block is cancelled if the error has not ended it.

    Raises:
        TerminationSignal: The signal ended the block, whatever became of Prefect's error.
    """
    block, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert block  # noqa: S101 - a coroutine runs in one
    is_over = is_told = cut_short = False

    def hear() -> None:
        nonlocal is_told
        is_told = True
        loop.call_later(patience, cut)

    def cut() -> None:
        nonlocal cut_short
        if is_over:
            return
        # A scope of a library may cancel the task for a moment, and swallow that.
        if not block.cancelling():
            cut_short = block.cancel()
        loop.call_later(patience, cut)

    try:
        with _heard(hear):
            yield
    except BaseException as error:
        wrapped = isinstance(error, BaseExceptionGroup) and error.subgroup(TerminationSignal)
        is_cancelled = isinstance(error, asyncio.CancelledError)
        by_nobody = is_told and is_cancelled and not block.cancelling()
        if cut_short or wrapped or by_nobody:
            raise TerminationSignal(signal.SIGTERM) from error
        raise
    finally:
        is_over = True
        if cut_short:
            block.uncancel()


@contextmanager
def _heard(tell: Callable[[], object]) -> Iterator[None]:
    """Call something in the event loop at each SIGTERM, beside the handler that is installed."""
    loop = asyncio.get_running_loop()
    hears, told = socket.socketpair()
    with hears, told:
        for end in (hears, told):
            end.settimeout(0)
        try:
            before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        except ValueError:  # not the main thread, which alone gets signals
            yield
            return
        if before not in {-1, *_at_work}:  # whoever runs this event loop handles signals itself
            signal.set_wakeup_fd(before)
            yield
            return

        def hear() -> None:
            if signal.SIGTERM in hears.recv(64):
                tell()

        _at_work.add(told.fileno())
        loop.add_reader(hears, hear)
        try:
            yield
        finally:
            loop.remove_reader(hears)
            _at_work.discard(told.fileno())
            now = signal.set_wakeup_fd(-1)
            if now != told.fileno():  # a block that began later is still at work
                signal.set_wakeup_fd(now)
            elif before in _at_work:  # and one that began earlier
                signal.set_wakeup_fd(before)
