"""How near each of three organizations comes to what its own quota allows, run side by side.

`rerun-organizations` runs them on a Prefect server with two workers: two organizations with quotas
of their own, and one whose token is dead. The clock of each runs from its first rerun call to its
last, by its own simulator. The ideal is what the API told to wait, as in `quota`: for each window
but the last from the Date of its last accepted reply to its Reset, both in whole seconds.
"""

import asyncio
import contextlib
import math
import tempfile
from pathlib import Path
from typing import Any, Final

from prefect.deployments import arun_deployment
from rich.console import Console

from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tests.benchmarks.report import table
from tests.deployments.scene import client_of, simulated
from tests.deployments.topology import Topology, on_sqlite

REPEAT: Final = 1

_WINDOW: Final = 10.0
_QUOTAS: Final = {"north": 24, "south": 12}
_DEAD: Final = "west"
_WINDOWS: Final = 4
"""What each organization's tests fill."""


def benchmark(console: Console, repeat: int, *, quick: bool) -> None:
    """Run all three and print a row each."""
    shown = table(
        f"organizations: side by side on two workers, windows of {_WINDOW:g} s",
        *("organization", "quota", "tests", "reruns", "429s", "ideal s", "calls s", "ideal/calls"),
    )
    windows = 2 if quick else _WINDOWS
    for _ in range(repeat):
        with tempfile.TemporaryDirectory(prefix="organizations-") as directory:
            sentence = _run(Path(directory), windows, shown)
        shown.add_section()
        console.print(f"[dim]{sentence}[/]")
    console.print(shown)


def _run(directory: Path, windows: int, shown: Any) -> str:
    with contextlib.ExitStack() as stack:
        topology = stack.enter_context(on_sqlite(directory))
        bootstrapped(topology)
        served = {}
        for name in (*_QUOTAS, _DEAD):
            limit = _QUOTAS.get(name, 24)
            tests = [f"{name}-{number}" for number in range(windows * limit)]
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
    ideal, took = pace(simulator)
    shown.add_row(
        name,
        str(simulator.options.instant_limit),
        str(len(simulator.test_ids)),
        str(sum(call.applied for call in reruns)),
        str(sum(call.status == 429 for call in reruns)),
        f"{ideal:.0f}" if took else "",
        f"{took:.2f}" if took else "",
        f"{ideal / took:.3f}" if took else "the token is dead",
    )


def pace(simulator: Any) -> tuple[float, float]:
    """Return the seconds that an organization's reruns would ideally take, and those they took."""
    window = simulator.options.window_seconds
    applied = [c.at for c in simulator.calls if c.path.endswith("/run") and c.applied]
    if not applied:
        return 0.0, 0.0
    last = {at // window: at for at in applied}  # of each window, which begins by the clock
    waited_out = [at for number, at in last.items() if number != max(last)]
    ideal = sum((at // window + 1) * window - math.floor(at) for at in waited_out)
    return ideal, max(applied) - min(applied)


def bootstrapped(topology: Topology) -> None:
    """Put the deployments on a server.

    Raises:
        RuntimeError: That failed; holds what it said.
    """
    done = topology.run("deployments.bootstrap", cwd=topology.directory)
    if done.returncode:
        raise RuntimeError(done.stderr)
