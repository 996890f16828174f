"""`python -m thousandeyes`: list what the API knows, to look up an ID. Sends no rerun."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from thousandeyes.arguments import one
from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import CallFailed, SettingsError
from thousandeyes.finding import is_named, matching
from thousandeyes.fleet import Fleet
from thousandeyes.proxies import prepare
from thousandeyes.release import add_version
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.terminal import LONGEST_CELL, LONGEST_SENTENCE, status_of, verbatim_console
from thousandeyes.text import counted, cut, shown

_Value = str | bool | datetime | None
_Row = dict[str, _Value]
"""One line of the list, by field name. `--json` keeps these names; the first field is the ID."""


class _Listing(NamedTuple):
    """What was found, a sentence that sums it up, and one on what is missing, if anything is."""

    rows: list[_Row]
    said: str
    missing: str = ""


_LISTED, _FAILED, _NOT_STARTED = 0, 1, 2
_HEADINGS: Final[Mapping[str, str]] = {
    "test_id": "test",
    "test_name": "name",
    "type": "type",
    "is_enabled": "enabled",
    "agent_id": "agent",
    "agent_name": "name",
    "last_seen": "last contact UTC",
    "is_online": "online",
    "aid": "aid",
    "account_group_name": "name",
    "is_current": "current",
}
_NARROWEST: Final = 8
"""The least characters of each column, margins included. The first column takes its IDs as well."""
_NOT_LISTED: Final = (
    "The API's documentation doesn't say whether it lists instant tests. A test that is missing "
    "here can still be run again by its ID."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """List what the arguments ask for, and return the exit status."""
    given = _parser().parse_args(arguments)
    try:
        prepare(os.environ)
        return asyncio.run(_answer(given))
    except SettingsError as error:
        return _error(error, _NOT_STARTED)
    except CallFailed as error:
        return _error(error, _FAILED)


async def _answer(given: argparse.Namespace) -> int:
    async with ThousandEyesClient(ThousandEyesSettings()) as client:
        listing: _Listing = await given.answer(client, given)
    if given.json:
        print(json.dumps(listing.rows, indent=2, default=datetime.isoformat))  # noqa: T201
    elif given.ids:
        sys.stdout.writelines(f"{_cells(row)[0]}\n" for row in listing.rows)
    else:
        console = verbatim_console()
        console.print(_table(listing.rows, console.width), crop=False)
        console.print(listing.said)
    if listing.missing:
        print(listing.missing, file=sys.stderr)  # noqa: T201
    return _LISTED


async def _tests(client: ThousandEyesClient, given: argparse.Namespace) -> _Listing:
    tests = await client.tests(given.aid)
    found = matching(tests, name=given.name, kind=given.type, enabled=given.enabled)
    rows: list[_Row] = [
        {
            "test_id": test.test_id,
            "test_name": test.test_name,
            "type": test.type,
            "is_enabled": test.is_enabled,
        }
        for test in found
    ]
    return _Listing(rows, f"{counted(len(rows), 'test')}. {_NOT_LISTED}")


async def _agents(client: ThousandEyesClient, given: argparse.Namespace) -> _Listing:
    agents, fleet = [], Fleet()
    async for page in client.agents(given.aid):
        fleet.take(page, client.server_time() or 0.0)
        agents += [agent for agent in page.agents if is_named(agent.name, given.name)]
    agents.sort(key=lambda agent: (agent.name.casefold(), agent.agent_id))
    rows: list[_Row] = [
        {
            "agent_id": agent.agent_id,
            "agent_name": agent.name,
            "last_seen": agent.last_seen,
            "is_online": agent.agent_id in fleet.online,
        }
        for agent in agents
    ]
    online = [row for row in rows if row["is_online"]]
    said = f"{len(online)} of {len(rows)} agents are online: seen within the last hour."
    return _Listing(online if given.online else rows, said, fleet.shortfall)


async def _account_groups(client: ThousandEyesClient, _: argparse.Namespace) -> _Listing:
    groups = await client.account_groups()
    rows: list[_Row] = [
        {"aid": group.aid, "account_group_name": group.name, "is_current": group.is_current}
        for group in groups
    ]
    return _Listing(rows, "The current account group is the token's own.")


def _table(rows: Sequence[_Row], width: int) -> Table:
    """Return the rows as a table for a terminal of this width.

    An ID that is broken over two lines can't be copied. So each line begins with the whole ID; if
    that leaves too little room for the rest, the terminal wraps the line after it.
    """
    cells = [_cells(row) for row in rows]
    whole = max((len(row[0]) for row in cells), default=0)
    narrowest = whole + _NARROWEST * len(rows[0] if rows else ())
    fixed = narrowest if width < narrowest else None
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), width=fixed)
    for number, key in enumerate(rows[0] if rows else ()):
        is_id = number == 0
        table.add_column(
            _HEADINGS[key], overflow="fold", no_wrap=is_id, min_width=whole if is_id else None
        )
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def _cells(row: _Row) -> list[str]:
    identity, *others = row.values()
    return [shown(str(identity)), *map(_cell, others)]  # a part of an ID is of no use


def _cell(value: _Value) -> str:
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    return cut(value, LONGEST_CELL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m thousandeyes",
        description="List what the ThousandEyes API knows. This changes nothing and runs no test.",
        epilog=(
            "settings: TE_TOKEN and, if needed, TE_AID, TE_BASE_URL and others, from the "
            "environment or .env. exit status: 0 listed; 1 a call failed, or the list could not "
            "be written in full; 2 wrong arguments or settings, nothing was sent."
        ),
    )
    add_version(parser)
    what = parser.add_subparsers(dest="what", required=True)
    tests = what.add_parser("tests", help="endpoint scheduled tests", description=_NOT_LISTED)
    tests.set_defaults(answer=_tests)
    _name_and_aid(tests)
    tests.add_argument("--type", **one("TYPE"), help="for example agent-to-server or http-server")
    switch = tests.add_mutually_exclusive_group()
    switch.add_argument("--enabled", action="store_const", const=True, help="only enabled tests")
    switch.add_argument(
        "--disabled", dest="enabled", action="store_const", const=False, help="only disabled tests"
    )
    agents = what.add_parser("agents", help="endpoint agents and their last contact")
    agents.set_defaults(answer=_agents)
    _name_and_aid(agents)
    agents.add_argument("--online", action="store_true", help="only agents that can answer now")
    groups = what.add_parser("account-groups", help="account groups of the token's user")
    groups.set_defaults(answer=_account_groups)
    for listing in (tests, agents, groups):
        form = listing.add_mutually_exclusive_group()
        use = ", for example for python -m flows.rerun -" if listing is tests else ""
        form.add_argument("--ids", action="store_true", help=f"print only the IDs{use}")
        form.add_argument("--json", action="store_true", help="print a JSON array of objects")
    return parser


def _name_and_aid(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="*", **one("PATTERN"), help="for example 'Payroll*'")
    words = "account group (default: TE_AID, else the token's own)"
    parser.add_argument("--aid", **one("AID", "account group"), help=words)


def _error(error: Exception, status: int) -> int:
    print(f"error: {cut(str(error), LONGEST_SENTENCE)}", file=sys.stderr)  # noqa: T201 - a command's output
    return status


if __name__ == "__main__":
    sys.exit(status_of(main, unwritten=_FAILED))
