"""`make demo`: the main job without an account, a server or a token.

Runs the flow against the simulator, with a Prefect server in this process and its home in
`.prefect`: the user's home, profile, `.env` and variables are neither read nor changed.
"""

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text
from starlette.applications import Starlette

from deployments.home import HOME, make_private, note, reserved
from tasks.server import ServerNotStarted, start_temporary_server
from thousandeyes.errors import SettingsError
from thousandeyes.proxies import prepare
from thousandeyes.release import add_version
from thousandeyes.simulator import Behaviour, Fault, Simulator, create_app, serve
from thousandeyes.simulator.rounds import agents_of
from thousandeyes.simulator.surroundings import Cause
from thousandeyes.terminal import status_of, verbatim_console, words

if TYPE_CHECKING:
    from thousandeyes.record import Record

_TEST_IDS: Final = tuple(str(202_701_000 + 37 * number) for number in range(40))
GONE: Final = "100200300"
WINDOW_SECONDS: Final = 15.0

# One test each, by its place in the list; all others are accepted at once.
_IN_THE_EVENING: Final = {27: Fault(replies=[403])}
_IN_THE_MORNING: Final = {
    3: Fault(replies=[503]),
    9: Fault(replies=["dropped_after"]),
    14: Fault(replies=[400]),
    20: Fault(replies=[502], repeat=True),
    27: Fault(replies=[403]),
    31: Fault(replies=["dropped_before"], repeat=True),
}
_AGENTS: Final = 60
_SLOW_NAMES: Final = {5: [Behaviour(agents=[0, 4], error_type="dns")]}
"""What some agents measure in a web test in the evening."""
_CUT_OFF: Final = (12, 23, 33)
"""The tests that no laptop on one Wi-Fi network can reach in the morning."""
WIFI: Final = "Guest-7F"
_PATHS: Final = 2
"""Paths read per failed test; those of laptops on the Wi-Fi network end at its gateway."""
EVENING: Final = {"passed": 38, "failed": 1, "forbidden": 1, "not_found": 1}
EXPECTED: Final = {
    "passed": 33,
    "failed": 3,
    "forbidden": 1,
    "invalid": 1,
    "not_found": 1,
    "server_error": 1,
    "unknown": 1,
}
"""The endings expected in the morning: one lost reply and one 503 are overcome by another try."""

_WHERE: Final = Text("Where to go from here", "bold")
_NEXT: Final = """\
  the same in Prefect's UI        make ui, then this page, newest first:
    http://127.0.0.1:4200/artifacts/key/endpoint-reruns-local
  with your own token and tests   put TE_TOKEN=… into .env, then
    .venv/bin/python -m flows.rerun ID [ID …]
  what else there is              README.md
"""


def main() -> int:
    """Run the demo; return 0 when every test ended as expected, and 1 when not.

    2 when a variable is wrong or the home can't be made, 3 when Prefect does not start.
    """
    parser = argparse.ArgumentParser(
        prog="python -m deployments.demo",
        description="Rerun the tests of a simulated organization.",
    )
    add_version(parser)
    parser.parse_args()
    console = verbatim_console()
    try:
        prepare(os.environ)
        make_private(HOME)
        with reserved(HOME) as lock:
            note(lock, f"process {os.getpid()}, the demo")
            return _demonstrate(console)
    except (SettingsError, ServerNotStarted) as error:
        verbatim_console(stderr=True, soft_wrap=True).print(f"error: {error}")
        return 2 if isinstance(error, SettingsError) else 3


def _demonstrate(console: Console) -> int:
    console.print(
        f"\nReruns {len(_TEST_IDS) + 1} tests of a simulated organization twice, as if in the "
        "evening and\non the next morning, and waits for what its laptops measure. One test no "
        "longer\nexists, one is forbidden, and one fails only in the evening, when some "
        "laptops\ncan't look up a name. In the morning the calls of five others go wrong, of "
        "which\ntwo succeed at another try, and three more fail for a cause that some laptops\n"
        f"share. The quota is as in reality, but faster: 24 reruns every {WINDOW_SECONDS:.0f} s, "
        "not every\nminute.\n"
    )
    evening = _simulator(_IN_THE_EVENING, _SLOW_NAMES)
    morning = _simulator(_IN_THE_MORNING, _cut_off(evening.state.simulator))
    _isolate(TE_TOKEN=evening.state.simulator.token)
    start_temporary_server(console.print)
    before = None
    for app, expected in ((evening, EVENING), (morning, EXPECTED)):
        with serve(app, port=0) as simulator:
            os.environ["TE_BASE_URL"] = simulator.url
            outcomes, before = _rerun(before, console)
        counted = Counter(str(record.ending) for record in outcomes)
        if counted != expected:
            wrong = Text("The demo went wrong:", "red")
            console.print(wrong, f"{dict(counted)} instead of {expected}")
            return 1
    console.print(_WHERE, _NEXT, sep="\n", soft_wrap=True)
    return 0


def _cut_off(simulator: Simulator) -> dict[int, list[Behaviour]]:
    """Return what laptops on the Wi-Fi network measure for targets that they can't reach."""
    cause = Cause(attribute="ssid", value=WIFI)
    behaviours = {}
    for place in _CUT_OFF:
        agents = agents_of(simulator, simulator.tests[_TEST_IDS[place]])
        on_it = [number for number, agent in enumerate(agents) if cause.holds(agent.surroundings)]
        behaviours[place] = [Behaviour(agents=on_it, loss=100, error_type="connect")]
    return behaviours


def _simulator(faults: Mapping[int, Fault], agents_of: Mapping[int, list[Behaviour]]) -> Starlette:
    return create_app(
        tests=list(_TEST_IDS),
        agents=_AGENTS,
        max_machines=_AGENTS,
        faults={_TEST_IDS[place]: fault for place, fault in faults.items()},
        agents_of={_TEST_IDS[place]: behaviours for place, behaviours in agents_of.items()},
        healthy=True,
        window_seconds=WINDOW_SECONDS,
    )


def _isolate(**environment: str) -> None:
    """Remove the user's settings from the environment, before Prefect reads it on import."""
    for name in list(os.environ):
        if name.startswith(("PREFECT_", "TE_")):
            del os.environ[name]
    os.chdir(HOME)
    os.environ |= {
        "PREFECT_HOME": str(HOME),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        **environment,
    }


def _rerun(before: str | None, console: Console) -> tuple["Sequence[Record]", str]:
    """Run all tests, print how it ended, and return the outcomes and the flow run's ID.

    Args:
        before: The flow run to compare with.
        console: Where to print.
    """
    # Imported here: see _isolate.
    from flows.rerun import RerunFailed, RerunOptions, rerun_endpoint_tests  # noqa: PLC0415
    from flows.rerun.looking_on import live_line, looked_on  # noqa: PLC0415
    from flows.rerun.outcome_table import show  # noqa: PLC0415
    from flows.rerun.watched import watching  # noqa: PLC0415

    options = RerunOptions(
        wait_for_results=True, compare_with=before, paths_of_failing_agents=_PATHS
    )
    with watching() as seen:
        try:
            run = rerun_endpoint_tests([*_TEST_IDS, GONE], options=options)
            outcomes = asyncio.run(looked_on(run, seen, live_line(None)))
        except RerunFailed as failed:
            outcomes = failed.outcomes
            said = Text.assemble(("Failed, as it should:", "red"), " ", words(str(failed)), "\n")
        else:
            said = Text("Passed, though it should not have.\n", "red")
    console.print(Text("In the morning" if before else "In the evening", "bold"))
    show(outcomes, console, every=not sys.stdout.isatty())
    console.print(said, soft_wrap=True)
    assert seen.flow_run  # noqa: S101 - it has run
    return outcomes, str(seen.flow_run.id)


if __name__ == "__main__":
    sys.exit(status_of(main))
