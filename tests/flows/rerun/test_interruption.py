"""What a signal does to a run on the command line."""

import asyncio
import signal
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import TerminationSignal

from flows.rerun.interruption import run_until_interrupted
from flows.rerun.watched import Watched


def test_a_sigterm_that_comes_twice_at_once_lets_a_run_end_cleanly() -> None:
    seen, told, ended = Watched(), list[signal.Signals](), list[str]()

    async def run() -> None:
        seen.begin(FlowRun(flow_id=uuid4()))
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("cleanly")

    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(TerminationSignal):
            run_until_interrupted(run(), seen, told.append)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (told, ended) == ([signal.SIGTERM], ["cleanly"])
