"""How much more memory, and how much time, a run takes against an API that means harm.

100 tests each; results are waited for, a minute at the most. `reruns` are answered with harm after
one honest reply, without which nothing more would be sent; `reads` are what a run asks for besides,
and there every rerun is answered honestly. The figure is the peak resident set of the process.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.benchmarks.contest import Measured, compete
from tests.benchmarks.report import table
from tests.security.hostile_api import MEGABYTE, gzip_bomb, never_ends, packed, pages
from tests.thousandeyes.wire import Answer, Wire, drips, says, wire

TESTS: Final = 100
REPEAT: Final = 1

_HONEST: Final = says()
_OPTIONS: Final[dict[str, Any]] = {"wait_for_results": True, "results_deadline_minutes": 1}


def _harm() -> dict[str, tuple[Answer, Answer]]:
    """Return by name what reruns and what reads are answered with."""
    bomb = gzip_bomb(300)
    reads = {
        "a gzip bomb": bomb,
        "no end": never_ends(),
        "small values": packed(b'[{"a":1}' + b',{"a":1}' * 1_400_000 + b"]"),
        "lists in lists": packed(b"[" * 500 + b"[]" + b",[]" * 5_000_000 + b"]" * 500),
        "a wide letter": packed('["\U0001f600'.encode() + b"a" * 11 * MEGABYTE + b'"]'),
        "pages without end": pages(lambda _: []),
    }
    reruns = {"a gzip bomb": bomb, "no end": never_ends(), "a byte at a time": drips}
    return {f"reruns: {name}": (answer, _HONEST) for name, answer in reruns.items()} | {
        f"reads: {name}": (_HONEST, answer) for name, answer in reads.items()
    }


def benchmark(console: Console, repeat: int, *, quick: bool) -> None:
    """Run against an honest API and each kind of harm, and print a row each."""
    tests = TESTS // 10 if quick else TESTS
    shown = table(
        f"hostile: {tests} tests, results awaited for a minute",
        *("the API", "peak MB", "above honest MB", "flow s"),
    )
    for _ in range(repeat):
        honest = _measured(tests)
        _row(shown, "honest", honest, honest)
        for name, (reruns, reads) in _harm().items():
            with _serving(reruns, reads) as port:
                base_url = f"http://127.0.0.1:{port}/v7"
                _row(shown, name, _measured(tests, TE_BASE_URL=base_url), honest)
        shown.add_section()
    console.print(shown)


def _measured(tests: int, **variables: str) -> Measured:
    return compete("against", tests, options=_OPTIONS, prefect=variables)


def _row(shown: Table, name: str, measured: Measured, honest: Measured) -> None:
    above = measured.peak_mb - honest.peak_mb
    shown.add_row(name, f"{measured.peak_mb:.1f}", f"{above:.1f}", f"{measured.wall_seconds:.1f}")


@contextlib.contextmanager
def _serving(reruns: Answer, reads: Answer) -> Iterator[int]:
    """Serve in a thread until the block ends; yields the port."""
    told: Future[int] = Future()
    loop = asyncio.new_event_loop()
    first = [_HONEST]

    async def answer(server: Wire, writer: asyncio.StreamWriter) -> None:
        if server.requests[-1].split()[1].partition("?")[0].endswith("/run"):
            await (first.pop() if first else reruns)(server, writer)
        else:
            await reads(server, writer)

    async def serve() -> None:
        async with wire(answer) as server:
            told.set_result(server.port)
            await asyncio.Event().wait()

    task = loop.create_task(serve())
    thread = threading.Thread(target=_until_cancelled, args=(loop, task))
    thread.start()
    try:
        yield told.result()
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


def _until_cancelled(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(task)
