"""How near each of three organizations comes to what its own quota allows, run side by side.

`rerun-organizations` runs them on a Prefect server with two workers: two organizations with quotas
of their own, and one whose token is dead. The clock of each runs from its first rerun call to its
last, by its own simulator. `least` is how long a sender that takes no time would need, as in
`sharing`.
"""

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import Any, Final

from prefect.deployments import arun_deployment
from rich.console import Console

from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tests.benchmarks.report import table
from tests.benchmarks.windows import REFUSED, least_seconds
from tests.deployments.scene import client_of, simulated
from tests.deployments.topology import Topology, on_sqlite

REPEAT: Final = 1

_WINDOW: Final = 10.0
_QUOTAS: Final = {"north": 24, "south": 12}
_DEAD: Final = "west"
_WINDOWS: Final = 3.5
"""What each organization's tests fill: the last one in part, so that one late call costs no whole
window."""


def benchmark(console: Console, repeat: int, *, quick: bool) -> None:
    """Run all three and print a row each."""
    shown = table(
        f"organizations: side by side on two workers, windows of {_WINDOW:g} s",
        *("organization", "quota", "tests", "reruns", "429s", "least s", "took s", "least/took"),
    )
    windows = 1.5 if quick else _WINDOWS
    for _ in range(repeat):
        with tempfile.TemporaryDirectory(prefix="organizations-") as directory:
            sentence = _run(Path(directory), windows, shown)
        shown.add_section()
        console.print(f"[dim]{sentence}[/]")
    console.print(shown)


def _run(directory: Path, windows: float, shown: Any) -> str:
    with contextlib.ExitStack() as stack:
        topology = stack.enter_context(on_sqlite(directory))
        bootstrapped(topology)
        served = {}
        for name in (*_QUOTAS, _DEAD):
            limit = _QUOTAS.get(name, 24)
            tests = [f"{name}-{number}" for number in range(int(windows * limit))]
            served[name] = stack.enter_context(
                simulated(
                    tests=tests,
                    token=f"token-of-{name}",
                    instant_limit=limit,
                    window_seconds=_WINDOW,
                    latency_seconds=0.05,
                )
            )
        for name in ("first", "second"):
            stack.enter_context(topology.worker(name))
        stack.enter_context(client_of(topology))
        sentence = asyncio.run(_execute(served))
        for name, (simulator, _) in served.items():
            _add(shown, name, simulator)
    return sentence


async def _execute(served: dict[str, Any]) -> str:
    for name, (simulator, env) in served.items():
        token = "expired" if name == _DEAD else f"token-of-{name}"
        credentials = {"token": token, "base_url": env["TE_BASE_URL"]}
        await ThousandEyesCredentials.model_validate(credentials).save(name, overwrite=True)
        group = EndpointTestGroup(test_ids=simulator.test_ids, credentials=name)
        await group.save(f"{name}-tests", overwrite=True)
    flow_run = await arun_deployment(
        "rerun-organizations/organizations",
        parameters={"groups": [f"{name}-tests" for name in served]},
    )
    return str(flow_run.state and flow_run.state.message)


def _add(shown: Any, name: str, simulator: Any) -> None:
    reruns = [call for call in simulator.calls if call.path.endswith("/run")]
    least, took = pace(simulator)
    shown.add_row(
        name,
        str(simulator.options.instant_limit),
        str(len(simulator.test_ids)),
        str(sum(call.applied for call in reruns)),
        str(sum(call.status == REFUSED for call in reruns)),
        f"{least:.0f}" if took else "",
        f"{took:.2f}" if took else "",
        f"{least / took:.3f}" if took else "the token is dead",
    )


def pace(simulator: Any) -> tuple[float, float]:
    """Return the seconds that an organization's reruns take at least, and those they took.

    What a fault made it send again counts for both.
    """
    options = simulator.options
    reruns = [c for c in simulator.calls if c.path.endswith("/run")]
    applied = [c.at for c in reruns if c.applied]
    if not applied:
        return 0.0, 0.0
    begin, granted = reruns[0].at, sum(c.status != REFUSED for c in reruns)
    least = least_seconds(begin, granted, options.instant_limit, options.window_seconds, {})
    return least, max(applied) - begin


def bootstrapped(topology: Topology) -> None:
    """Put the deployments on a server.

    Raises:
        RuntimeError: That failed; holds what it said.
    """
    done = topology.run("deployments.bootstrap", cwd=topology.directory)
    if done.returncode:
        raise RuntimeError(done.stderr)
