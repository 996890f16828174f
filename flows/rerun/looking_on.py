"""What a person at a terminal sees while a run is under way: one live line, and warnings."""

import asyncio
import io
import logging
import os
import sys
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Final, TypeVar

from prefect.logging.handlers import PrefectConsoleHandler

from flows.rerun.watched import Watched
from thousandeyes.live_line import LiveLine
from thousandeyes.terminal import verbatim_console

Result = TypeVar("Result")

_EVERY: Final = 0.25  # seconds
_TOLD_ELSEWHERE: Final = ("prefect.task_runs",)
"""Loggers whose warnings the outcomes show, each beside its test."""
_SAYS_HOW_IT_ENDED: Final = "Finished in state"


def live_line(log: bool | None) -> LiveLine | None:  # noqa: FBT001 - the option --log
    """Return the line that replaces the log; None if the log is shown.

    Args:
        log: Whether to show the log; None: only without a terminal, or if Prefect's own variable
            sets its level.
    """
    console = verbatim_console(stderr=True)
    terminal = sys.stderr.isatty() and not console.is_dumb_terminal
    wanted = "PREFECT_LOGGING_LEVEL" in os.environ if log is None else log
    if wanted or not terminal or not isinstance(sys.stderr, io.TextIOWrapper):
        return None
    return LiveLine(sys.stderr, lambda: console.width)


async def looked_on(
    run: Awaitable[Result],
    seen: Watched,
    line: LiveLine | None,
    log: bool | None = None,  # noqa: FBT001 - the option --log
) -> Result:
    """Await a run, and meanwhile show where it stands, or its log, or only the log's warnings.

    Args:
        run: The run.
        seen: What can be seen of it.
        line: The line that replaces the log, if there is one.
        log: Whether to show the log; None: if there is no line.
    """
    if line is None:
        with _quiet_log() if log is False else nullcontext():
            return await run
    began = time.monotonic()

    async def tell() -> None:
        while True:
            line.show(f"{_clock(time.monotonic() - began)}  {seen.standing() or 'it begins …'}")
            await asyncio.sleep(_EVERY)

    with _quiet_log(line):
        telling = asyncio.ensure_future(tell())
        try:
            return await run
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            line.clear()


@contextmanager
def _quiet_log(line: LiveLine | None = None) -> Iterator[None]:
    """Keep Prefect's log off the terminal, except for warnings that appear nowhere else."""

    def fit(record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or record.name in _TOLD_ELSEWHERE:
            return False
        if record.getMessage().startswith(_SAYS_HOW_IT_ENDED):
            return False
        if line:
            line.clear()
        return True

    handlers = _console_handlers()
    for handler in handlers:
        handler.addFilter(fit)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(fit)


def _console_handlers() -> Sequence[logging.Handler]:
    names = [None, *logging.getLogger().manager.loggerDict]
    found = {handler for name in names for handler in logging.getLogger(name).handlers}
    return [handler for handler in found if isinstance(handler, PrefectConsoleHandler)]


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
