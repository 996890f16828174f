"""What a run would do, found out only by reading: nothing is run, and little quota is spent."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from prefect import get_run_logger

from flows.rerun.looking_up import NO_ANSWER
from flows.rerun.plan import documented_plan
from tasks.deployment import deployment_slug
from tasks.markdown import plain
from tasks.publication import write_markdown
from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import CallFailed, TokenRefused, Unreachable
from thousandeyes.fleet import Fleet
from thousandeyes.models import AccountGroup, EndpointTest
from thousandeyes.record import Record
from thousandeyes.text import counted, isolated, listed

KEY: Final = "endpoint-rerun-plan-"
LONGEST: Final = 180.0
"""Seconds in which all must be read."""
_SHOWN: Final = 20

Item = TypeVar("Item")


@dataclass(frozen=True)
class Known:
    """What the API reports of a run's surroundings; None for what could not be read.

    `tests` holds what it lists by account group and ID, `fleet` the agents, and `unread` what could
    not be read and why.
    """

    aid: str | None
    groups: Sequence[AccountGroup] | None
    tests: Mapping[str | None, Mapping[str, EndpointTest] | None]
    fleet: Fleet | None
    unread: Sequence[str]


async def read_known(client: ThousandEyesClient, records: Sequence[Record]) -> Known:
    """Read what can be read before a run, within `LONGEST`: account groups, tests and agents.

    Raises:
        CallFailed: The token is refused, or there is no connection.
    """
    unread: list[str] = []
    ends_at = asyncio.get_running_loop().time() + LONGEST

    async def read(what: str, reading: Awaitable[Item]) -> Item | None:
        try:
            async with asyncio.timeout_at(ends_at):
                return await reading
        except (TokenRefused, Unreachable):
            raise
        except (CallFailed, TimeoutError) as error:
            unread.append(f"{what}: {str(error) or NO_ANSWER}")
            return None

    groups = await read("the account groups", client.account_groups())
    tests: dict[str | None, dict[str, EndpointTest] | None] = {}
    for aid in dict.fromkeys(record.aid for record in records):
        found = await read(f"the tests of {_of(aid or client.settings.aid)}", client.tests(aid))
        tests[aid] = None if found is None else {test.test_id: test for test in found}
    fleet = await read("the agents", _fleet(client))
    return Known(client.settings.aid, groups, tests, fleet, unread)


async def _fleet(client: ThousandEyesClient) -> Fleet:
    fleet = Fleet()
    async for page in client.agents():
        fleet.take(page, client.server_time() or 0.0)
    return fleet


def findings(records: Sequence[Record], known: Known) -> list[str]:
    """Return what would keep the run from working, one sentence per problem. Pure."""
    found = [f"Could not read {what}." for what in known.unread]
    wanted = {record.aid or known.aid for record in records} - {None}
    mine = wanted if known.groups is None else {group.aid for group in known.groups}
    if strangers := sorted(str(aid) for aid in wanted - mine):
        found.append(f"The token's user is not in account group {', '.join(strangers)}.")
    tests = {record.test_id: _listed(record, known) for record in records}
    read = [record for record in records if known.tests.get(record.aid) is not None]
    missing = [record.test_id for record in read if tests[record.test_id] is None]
    if len(missing) == len(read) and read:
        found.append(
            "The API lists none of these tests. It may not list instant tests at all, so "
            "whether they exist shows only when they are run."
        )
    elif missing:
        found.append(f"Not listed although others are, and perhaps gone: {listed(missing)}.")
    disabled = [i for i, test in tests.items() if test and test.is_enabled is False]
    if disabled:
        found.append(f"Disabled: {listed(disabled)}.")
    if known.fleet and not known.fleet.complete:
        found.append(known.fleet.shortfall)
    elif known.fleet and not known.fleet.online:
        found.append("No agent is online, so nothing would be measured.")
    return found


def markdown(records: Sequence[Record], known: Known, plan: str) -> str:
    """Return the plan for people. Pure."""
    fleet = known.fleet
    online = f"{len(fleet.online)} of {len(fleet.names)}" if fleet else "not known"
    calls = counted(len(records), "call")
    lines = [
        f"**Dry run.** {plain(plan)}. Nothing was sent.",
        "",
        "| | |",
        "| --- | --- |",
        f"| quota used | {calls} of instant tests, {len(records) + 1} of the organization |",
        f"| agents online | {online} |",
        f"| account group | {_account_group(known)} |",
        "",
        "## What is wrong",
        "",
    ]
    wrong = findings(records, known)
    lines += [f"- {plain(one)}" for one in wrong] or ["Nothing that can be seen from here."]
    lines += ["", "## What would run", "", "| test | name | type |", "| --- | --- | --- |"]
    for record in records[:_SHOWN]:
        test = _listed(record, known)
        name = record.test_name or (test.test_name if test else "")
        lines.append(f"| {record.test_id} | {plain(name)} | {plain(test.type) if test else ''} |")
    if len(records) > _SHOWN:
        lines += ["", f"and {len(records) - _SHOWN} more."]
    return "\n".join(lines) + "\n"


async def dry_run(client: ThousandEyesClient, records: Sequence[Record]) -> tuple[str, str]:
    """Find out and record what a run would do; return a sentence on it, and the plan's address.

    The records end as `skipped`.

    Raises:
        CallFailed: The token is refused, or there is no connection.
    """
    known = await read_known(client, records)
    plan = documented_plan(len(records), client.settings.quota_reserve)
    wrong = findings(records, known)
    logger = get_run_logger()
    for one in wrong:
        logger.warning(one)
    for record in records:
        record.skipped("dry run")
        if test := _listed(record, known):
            record.named(record.test_name or test.test_name)
    key = KEY + await deployment_slug()
    link = await write_markdown("the plan", key, markdown(records, known, plan), plan)
    problems = f"; what looks wrong: {' '.join(wrong)}" if wrong else "."
    return f"Dry run: {plan}{problems} Nothing was sent.", link


def _listed(record: Record, known: Known) -> EndpointTest | None:
    return (known.tests.get(record.aid) or {}).get(record.test_id)


def _account_group(known: Known) -> str:
    for group in known.groups or ():
        if group.aid == known.aid or (known.aid is None and group.is_current):
            return plain(f"{isolated(group.name)} ({group.aid})")
    return plain(known.aid or "the token's own")


def _of(aid: str | None) -> str:
    return f"account group {aid}" if aid else "the token's own account group"
