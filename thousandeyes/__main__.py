"""`python -m thousandeyes`: what the API lists, for whoever looks for an ID. Sends no rerun."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import CallFailed, SettingsError
from thousandeyes.finding import matching
from thousandeyes.models import AccountGroup, EndpointTest
from thousandeyes.replies import cut
from thousandeyes.settings import ThousandEyesSettings

_LISTED, _FAILED, _NOT_STARTED = 0, 1, 2
_LONGEST_CELL: Final = 60
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
    console = Console()
    async with ThousandEyesClient(ThousandEyesSettings()) as client:
        if given.what == "account-groups":
            console.print(_account_groups(await client.account_groups()))
            return _LISTED
        found = matching(
            await client.tests(given.aid), name=given.name, kind=given.type, enabled=given.enabled
        )
    if given.ids:
        sys.stdout.writelines(f"{test.test_id}\n" for test in found)
        return _LISTED
    console.print(_tests(found))
    console.print(f"{len(found)} tests. {_NOT_LISTED}")
    return _LISTED


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
    table.add_row(*(escape(cut(cell, _LONGEST_CELL)) for cell in cells))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m thousandeyes",
        description="List what the ThousandEyes API knows. Nothing is changed, no test is run.",
        epilog=(
            "settings: TE_TOKEN, and as needed TE_AID, TE_BASE_URL and others, from the "
            "environment or .env. exit status: 0 listed; 1 the API did not answer; 2 wrong "
            "arguments or settings, nothing was sent."
        ),
    )
    what = parser.add_subparsers(dest="what", required=True)
    tests = what.add_parser("tests", help="endpoint scheduled tests", description=_NOT_LISTED)
    tests.add_argument("--name", default="*", metavar="PATTERN", help="such as 'Payroll*'")
    tests.add_argument("--type", help="such as agent-to-server or http-server")
    switch = tests.add_mutually_exclusive_group()
    switch.add_argument("--enabled", action="store_const", const=True, help="only those enabled")
    switch.add_argument(
        "--disabled", dest="enabled", action="store_const", const=False, help="only those not"
    )
    tests.add_argument("--aid", help="account group; TE_AID, else the token's own, when left out")
    tests.add_argument(
        "--ids", action="store_true", help="print IDs alone, to be read by flows.rerun -"
    )
    what.add_parser("account-groups", help="account groups of the token's user")
    return parser


def _error(error: Exception, status: int) -> int:
    print(f"error: {error}", file=sys.stderr)  # noqa: T201 - a command's output
    return status


if __name__ == "__main__":
    sys.exit(main())
