"""Faults of what lies around a run: clock, disk, names, certificates, a network in two parts."""

import asyncio
import resource
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from tests.chaos.judge import Judgement
from tests.chaos.kills import Fault
from tests.chaos.scene import Stage, until
from thousandeyes.delivery import Delivery
from thousandeyes.outcomes import VerdictName

_AWAY: Final = 8.0  # seconds
_SLEEP: Final = (
    "import select, time\ntime.sleep = lambda s: select.select([], [], [], s) and None\n"
)
"""The library's own version of what `time.sleep` calls fails."""
_MEASURED: Final = (VerdictName.PASSED, VerdictName.FAILED)
_RESULTS: Final = {"wait_for_results": True, "results_deadline_minutes": 1}


def libfaketime() -> Path | None:
    """Return the library that sets a process's clock, of Debian's package `faketime`."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


async def clock_steps(stage: Stage, by: str) -> Judgement:
    """The clock of the run's machine is set while tests are sent and results awaited."""
    library = libfaketime()
    if not library:
        raise RuntimeError("libfaketime is not installed: on Debian, apt install faketime")
    (shimmed := stage.topology.directory / "shimmed").mkdir(exist_ok=True)
    (shimmed / "sitecustomize.py").write_text(_SLEEP)
    (clock := shimmed / "clock").write_text("+0\n")
    simulator = {"results_after_seconds": 8.0, "agents": 3}
    async with stage.trial(simulator=simulator, **_RESULTS) as trial:
        await trial.begin(
            LD_PRELOAD=str(library),
            PYTHONPATH=str(shimmed),
            FAKETIME_TIMESTAMP_FILE=str(clock),
            FAKETIME_CACHE_DURATION="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
        )
        await trial.after(stage.moment())
        clock.write_text(f"{by}\n")
        await trial.ended()
        judged = (await trial.judge()).to_the_last()
        astray = [r for r in (await trial.records()).values() if r.ending not in _MEASURED]
        return replace(judged, broken=f"{len(astray)} wrong verdicts") if astray else judged


async def disk_full(stage: Stage) -> Judgement:
    """From a random moment on the run's process can't make any file longer."""
    async with stage.trial() as trial:
        await trial.begin()
        await trial.after(stage.moment())
        _no_more_room(trial.newest.pid)
        await trial.ended()
        return (await trial.judge()).to_the_last()


async def prefects_disk_full(stage: Stage) -> Judgement:
    """For a while the Prefect server can't make its database longer."""
    async with stage.trial() as trial:
        await trial.begin()
        await trial.after(stage.moment())
        before = _no_more_room(stage.topology.process_id)
        await asyncio.sleep(_AWAY)
        resource.prlimit(stage.topology.process_id, resource.RLIMIT_FSIZE, before)
        trial.mended()
        await trial.ended()
        return (await trial.judge()).to_the_last()


def _no_more_room(process_id: int) -> tuple[int, int]:
    before = resource.prlimit(process_id, resource.RLIMIT_FSIZE)
    resource.prlimit(process_id, resource.RLIMIT_FSIZE, (0, before[1]))
    return before


async def api_unreachable(stage: Stage, address: str) -> Judgement:
    """Nothing of the API can be reached, until the run is started again with all in order."""
    async with stage.trial(tests=20, delivery=Delivery.AT_MOST_ONCE) as trial:
        await trial.begin(TE_BASE_URL=address.format(port=trial.api.port))
        await trial.ended()
        await trial.resume()
        await trial.ended()
        return (await trial.judge()).to_the_last()


async def parted(stage: Stage) -> Judgement:
    """The process is cut off from Prefect, the run goes on elsewhere, and the cut is healed."""
    async with stage.trial(tests=60) as trial:
        await trial.begin()
        await trial.after(stage.moment())
        cut_off = trial.newest
        trial.prefect.mode = "black-hole"
        await trial.resume(PREFECT_API_URL=f"{stage.topology.url}/api")
        await trial.ended()
        trial.prefect.mode = "pass"
        await until(lambda: cut_off.returncode is not None, "the end of the process cut off")
        return (await trial.judge()).to_the_last()


async def started_twice(stage: Stage) -> Judgement:
    """The run is started again by force while its process goes on and reaches Prefect."""
    async with stage.trial(tests=120, delivery=Delivery.AT_MOST_ONCE) as trial:
        await trial.begin()
        await trial.after(stage.moment())
        earlier = trial.newest
        await trial.resume()
        await trial.ended()
        await until(lambda: earlier.returncode is not None, "the end of the earlier process")
        return await trial.judge()


FAULTS: Final[dict[str, Fault]] = {
    # Past an hour Prefect's tokens against cross-site requests would not last from call to call.
    "clock-on": partial(clock_steps, by="+50m"),
    "clock-back": partial(clock_steps, by="-1h"),
    "disk-full": disk_full,
    "prefect-disk-full": prefects_disk_full,
    "api-dns": partial(api_unreachable, address="https://thousandeyes.invalid/v7"),
    "api-tls": partial(api_unreachable, address="https://127.0.0.1:{port}/v7"),
    "parted-and-taken-over": parted,
    "started-twice-at-most-once": started_twice,
}
