"""`make demo`: the main job without an account, a server or a token.

Runs the flow against the simulator, on a Prefect embedded in this process, whose home lies in
`.prefect`: the user's home, profile, `.env` and variables are neither read nor written.
"""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console

from deployments.home import HOME, make_private
from tasks.server import ServerNotStarted, start_temporary_server
from thousandeyes.errors import SettingsError
from thousandeyes.proxies import prepare
from thousandeyes.simulator import Behaviour, Fault, create_app, serve
from thousandeyes.terminal import status_of
from thousandeyes.thresholds import Thresholds

if TYPE_CHECKING:
    from thousandeyes.record import Record

GONE: Final = "100200300"
WINDOW_SECONDS: Final = 15.0

# One test each, by its place in the list; all others are accepted at once.
_FAULTS: Final = {
    3: Fault(replies=[503]),
    9: Fault(replies=["dropped_after"]),
    14: Fault(replies=[400]),
    20: Fault(replies=[502], repeat=True),
    27: Fault(replies=[403]),
    31: Fault(replies=["dropped_before"], repeat=True),
}
# What some agents measure in a network test and in a web test; all other tests are healthy.
_AGENTS_OF: Final = {
    12: [Behaviour(agents=[2], loss=100), Behaviour(agents=[7], loss=30)],
    23: [Behaviour(agents=[0, 4], error_type="dns")],
}
EXPECTED: Final = {
    "passed": 34,
    "failed": 2,
    "forbidden": 1,
    "invalid": 1,
    "not_found": 1,
    "server_error": 1,
    "unknown": 1,
}
"""What must come out: a reply that was lost and one 503 are made good by another try."""

_NEXT: Final = """\
[bold]Where to go from here[/]
  the same in Prefect's UI        make ui, then http://127.0.0.1:4200/artifacts
  with your own token and tests   TE_TOKEN=… .venv/bin/python -m flows.rerun ID [ID …]
  what else there is              README.md
"""


def main() -> int:
    """Run the demo; returns 0 when every test ended as the scene has it.

    1 when not, 2 when a variable is wrong, 3 when Prefect does not start, 130 after Ctrl-C.
    """
    console = Console()
    try:
        prepare(os.environ)
        return _demonstrate(console)
    except KeyboardInterrupt:
        return 130
    except SettingsError as error:
        console.print(f"error: {error}", markup=False, soft_wrap=True)
        return 2
    except ServerNotStarted as error:
        console.print(f"error: {error}", markup=False, soft_wrap=True)
        return 3


def _demonstrate(console: Console) -> int:
    test_ids = [str(202_701_000 + 37 * number) for number in range(40)]
    app = create_app(
        tests=test_ids,
        faults={test_ids[place]: fault for place, fault in _FAULTS.items()},
        agents_of={test_ids[place]: behaviours for place, behaviours in _AGENTS_OF.items()},
        healthy=True,
        window_seconds=WINDOW_SECONDS,
    )
    with serve(app, port=0) as simulator:
        _isolate(TE_TOKEN=app.state.simulator.token, TE_BASE_URL=simulator.url)
        console.print(
            f"\nReruns {len(test_ids) + 1} tests of a simulated organization, and waits for what "
            "its laptops measure.\nOne test is gone, six misbehave, and in two some laptops do "
            "badly.\nThe quota is real in all but time: 24 reruns every "
            f"{WINDOW_SECONDS:.0f} s instead of every minute.\n"
            f"What reaches it shows {simulator.page}.\n"
        )
        start_temporary_server(console.print)
        outcomes = _rerun([*test_ids, GONE], console)
    counted = Counter(str(record.ending) for record in outcomes)
    if counted != EXPECTED:
        console.print(f"[red]The demo went wrong:[/] {dict(counted)} instead of {EXPECTED}")
        return 1
    console.print(_NEXT, highlight=False, soft_wrap=True)
    return 0


def _isolate(**environment: str) -> None:
    """Leave the user's settings behind; Prefect reads its own when it is imported."""
    for name in list(os.environ):
        if name.startswith(("PREFECT_", "TE_")):
            del os.environ[name]
    make_private(HOME)
    os.chdir(HOME)
    os.environ |= {
        "PREFECT_HOME": str(HOME),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        **environment,
    }


def _rerun(test_ids: Sequence[str], console: Console) -> "Sequence[Record]":
    # Imported here: see _isolate.
    from flows.rerun import RerunFailed, RerunOptions, rerun_endpoint_tests  # noqa: PLC0415
    from flows.rerun.looking_on import live_line, looked_on  # noqa: PLC0415
    from flows.rerun.outcome_table import show  # noqa: PLC0415
    from flows.rerun.watched import watching  # noqa: PLC0415

    try:
        options = RerunOptions(wait_for_results=True, thresholds=Thresholds(max_loss_percent=20))
        with watching() as seen:
            run = rerun_endpoint_tests(list(test_ids), options=options)
            outcomes = asyncio.run(looked_on(run, seen, live_line(None)))
    except RerunFailed as failed:
        outcomes = failed.outcomes
        words = f"[red]Failed, as it should:[/] {failed}\n"
    else:
        words = "[red]Passed, though it should not have.[/]\n"
    show(outcomes, console, every=not sys.stdout.isatty())
    console.print(words, highlight=False, soft_wrap=True)
    return outcomes


if __name__ == "__main__":
    sys.exit(status_of(main))
