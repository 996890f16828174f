"""`python -m thousandeyes`: what the API lists, for whoever looks for an ID. Sends no rerun."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import CallFailed, SettingsError
from thousandeyes.finding import is_named, matching
from thousandeyes.fleet import Fleet
from thousandeyes.models import AccountGroup, Agent, EndpointTest
from thousandeyes.release import add_version
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.terminal import LONGEST_CELL, LONGEST_SENTENCE, status_of, words
from thousandeyes.text import cut

_LISTED, _FAILED, _NOT_STARTED = 0, 1, 2
_NOT_LISTED: Final = (
    "The API's documents don't say whether it lists instant tests: one that is missing here can "
    "be run again all the same, by its ID."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """List what the arguments ask for; return the exit status."""
    given = _parser().parse_args(arguments)
    try:
        return asyncio.run(_answer(given))
    except SettingsError as error:
        return _error(error, _NOT_STARTED)
    except CallFailed as error:
        return _error(error, _FAILED)


async def _answer(given: argparse.Namespace) -> int:
    async with ThousandEyesClient(ThousandEyesSettings()) as client:
        await given.answer(client, given, Console())
    return _LISTED


async def _list_tests(
    client: ThousandEyesClient, given: argparse.Namespace, console: Console
) -> None:
    tests = await client.tests(given.aid)
    found = matching(tests, name=given.name, kind=given.type, enabled=given.enabled)
    if given.ids:
        sys.stdout.writelines(f"{test.test_id}\n" for test in found)
        return
    console.print(_tests(found))
    console.print(f"{len(found)} tests. {_NOT_LISTED}")


async def _list_agents(
    client: ThousandEyesClient, given: argparse.Namespace, console: Console
) -> None:
    agents, fleet = [], Fleet()
    async for page in client.agents(given.aid):
        fleet.take(page, client.server_time() or 0.0)
        agents += [agent for agent in page.agents if is_named(agent.name, given.name)]
    online = [agent for agent in agents if agent.agent_id in fleet.online]
    console.print(_agents(online if given.online else agents, fleet))
    said = f"{len(online)} of {len(agents)} agents are online: seen within the last hour."
    console.print(f"{said} {fleet.shortfall}".rstrip())


async def _list_account_groups(
    client: ThousandEyesClient, _: argparse.Namespace, console: Console
) -> None:
    console.print(_account_groups(await client.account_groups()))


def _agents(agents: Sequence[Agent], fleet: Fleet) -> Table:
    table = _table("name", "last contact", "online", "agent")
    for agent in sorted(agents, key=lambda agent: (agent.name.casefold(), agent.agent_id)):
        seen = f"{agent.last_seen:%Y-%m-%d %H:%M} UTC" if agent.last_seen else "not told"
        online = "yes" if agent.agent_id in fleet.online else "no"
        _add(table, agent.name, seen, online, agent.agent_id)
    return table


def _tests(tests: Sequence[EndpointTest]) -> Table:
    table = _table("test", "name", "type", "enabled")
    for test in tests:
        enabled = {True: "yes", False: "no", None: ""}[test.is_enabled]
        _add(table, test.test_id, test.test_name, test.type, enabled)
    return table


def _account_groups(groups: Sequence[AccountGroup]) -> Table:
    table = _table("aid", "name", "")
    for group in groups:
        _add(table, group.aid, group.name, "the token's own" if group.is_current else "")
    return table


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _add(table: Table, *cells: str) -> None:
    table.add_row(*(words(cell, LONGEST_CELL) for cell in cells))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m thousandeyes",
        description="List what the ThousandEyes API knows. Nothing is changed, no test is run.",
        epilog=(
            "settings: TE_TOKEN, and as needed TE_AID, TE_BASE_URL and others, from the "
            "environment or .env. exit status: 0 listed; 1 the API did not answer, or not all of "
            "the list could be written; 2 wrong arguments or settings, nothing was sent."
        ),
    )
    add_version(parser)
    what = parser.add_subparsers(dest="what", required=True)
    tests = what.add_parser("tests", help="endpoint scheduled tests", description=_NOT_LISTED)
    tests.set_defaults(answer=_list_tests)
    _name_and_aid(tests)
    tests.add_argument("--type", help="such as agent-to-server or http-server")
    switch = tests.add_mutually_exclusive_group()
    switch.add_argument("--enabled", action="store_const", const=True, help="only those enabled")
    switch.add_argument(
        "--disabled", dest="enabled", action="store_const", const=False, help="only those not"
    )
    tests.add_argument(
        "--ids", action="store_true", help="print IDs alone, to be read by flows.rerun -"
    )
    agents = what.add_parser("agents", help="endpoint agents and their last contact")
    agents.set_defaults(answer=_list_agents)
    _name_and_aid(agents)
    agents.add_argument("--online", action="store_true", help="only those that can answer now")
    groups = what.add_parser("account-groups", help="account groups of the token's user")
    groups.set_defaults(answer=_list_account_groups)
    return parser


def _name_and_aid(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="*", metavar="PATTERN", help="such as 'Payroll*'")
    parser.add_argument("--aid", help="account group; TE_AID, else the token's own, when left out")


def _error(error: Exception, status: int) -> int:
    print(f"error: {cut(str(error), LONGEST_SENTENCE)}", file=sys.stderr)  # noqa: T201 - a command's output
    return status


if __name__ == "__main__":
    sys.exit(status_of(main, unwritten=_FAILED))
