"""What is shown of Prefect's log while a run is under way, where there is no terminal."""

import asyncio
import io
import logging

import pytest
from prefect.logging.handlers import PrefectConsoleHandler

from flows.rerun.looking_on import live_line, looked_on
from flows.rerun.watched import Watched


@pytest.mark.parametrize(
    ("log", "shown"),
    [(None, ["begins", "amiss"]), (True, ["begins", "amiss"]), (False, ["amiss"])],
)
def test_without_a_terminal_the_log_is_shown_unless_it_is_not_wanted(
    log: bool | None,  # noqa: FBT001
    shown: list[str],
) -> None:
    stream, logger = io.StringIO(), logging.getLogger("prefect.looked_on")
    handler = PrefectConsoleHandler(stream=stream)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)

    async def work() -> str:
        logger.info("begins")
        logger.warning("amiss")
        return "done"

    try:
        line = live_line(log)
        assert line is None
        assert asyncio.run(looked_on(work(), Watched(), line, log)) == "done"
    finally:
        logger.removeHandler(handler)
    assert stream.getvalue().split() == shown
