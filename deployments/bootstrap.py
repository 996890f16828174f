"""`python -m deployments.bootstrap`: make or update what the files describe on a Prefect server.

What is already as it should be stays untouched, so you can run it as often as you like.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

from tasks.before_prefect import leave_variables_to_the_command

if __name__ == "__main__":
    leave_variables_to_the_command()

from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import (
    PREFECT_CLIENT_MAX_RETRIES,
    get_current_settings,
    temporary_settings,
)

from deployments.automations import Entry, apply_automations, read_automations
from deployments.blocks import (
    apply_block_type,
    apply_credentials,
    apply_group,
    credentials_given,
)
from deployments.busy_server import waited_for
from deployments.dead_runs import crash_dead_runs
from deployments.deploy import apply_deployments
from deployments.groups import GroupsError, read_groups
from deployments.project import Deployment, read_deployments
from deployments.server_settings import weak_settings
from deployments.steps import BootstrapError, Step
from deployments.work_pools import apply_work_pool, apply_work_queue
from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tasks.unreachable import why_unreachable
from thousandeyes.errors import SettingsError
from thousandeyes.proxies import prepare
from thousandeyes.release import add_version
from thousandeyes.terminal import status_of, verbatim_console
from thousandeyes.text import without_userinfo


@dataclass(frozen=True)
class Files:
    """What the project's files ask for."""

    groups: Mapping[str, EndpointTestGroup]
    deployments: Sequence[Deployment]
    automations: Sequence[Entry]

    @classmethod
    def read(cls) -> Self:
        """Read all files, before anything is changed.

        Raises:
            BootstrapError: A file has a mistake.
        """
        try:
            return cls(read_groups(), read_deployments(), read_automations())
        except GroupsError as error:
            raise BootstrapError(str(error)) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 when the server is as it should be, 1 when that failed.

    2 when a variable is wrong, before the server was asked anything.
    """
    parser = argparse.ArgumentParser(
        prog="python -m deployments.bootstrap",
        description=(
            "Makes or updates what this project needs on the Prefect server at PREFECT_API_URL, "
            "and lists what it did: the work pool and its queue, a credentials block "
            "(from TE_TOKEN, if it is set), the groups of deployments/groups.yaml, the "
            "deployments of prefect.yaml, the automations of deployments/automations.yaml. "
            "What already matches stays as it is, and so does what people set in the UI, except "
            "in these groups and in the block thousandeyes, which are replaced each time; a group "
            "keeps the tests that were created for it."
        ),
    )
    add_version(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what would be made or changed"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="also reset what people set in the UI to what the files say, such as whether a "
        "schedule is on",
    )
    parser.add_argument(
        "--on-this-machine",
        action="store_true",
        help="all workers of the server are on this machine and run as your user: mark as crashed "
        "each run that has no process here, to free its place under a concurrency limit",
    )
    given = parser.parse_args(arguments)
    try:
        prepare(os.environ, get_current_settings().api.url)
        asyncio.run(_bootstrap(given))
    except (SettingsError, BootstrapError) as error:
        verbatim_console(stderr=True, soft_wrap=True).print(without_userinfo(f"error: {error}"))
        return 2 if isinstance(error, SettingsError) else 1
    return 0


async def _bootstrap(given: argparse.Namespace) -> None:
    api = get_current_settings().api
    if not api.url:
        raise BootstrapError(
            "PREFECT_API_URL is not set: set it to the address of your Prefect server, such as "
            "http://127.0.0.1:4200/api"
        )
    files, credentials = Files.read(), credentials_given()
    console = verbatim_console(soft_wrap=True)
    words = ", which is not changed: a dry run" if given.dry_run else ""
    console.print(without_userinfo(f"Prefect server at {api.url}{words}"))
    try:
        # We report the wait ourselves.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}):
            async with get_client() as client:
                steps = partial(_steps, client, files, credentials, given)
                async for step in waited_for(steps, console.print):
                    console.print(step.told(dry_run=given.dry_run))
    except Exception as error:
        if why := why_unreachable(error):
            raise BootstrapError(why) from None
        if isinstance(error, PrefectHTTPStatusError):
            raise BootstrapError(f"the Prefect server refuses this: {error}") from error
        raise


async def _steps(
    client: PrefectClient,
    files: Files,
    credentials: ThousandEyesCredentials | None,
    given: argparse.Namespace,
) -> AsyncIterator[Step]:
    dry_run, overwrite = given.dry_run, given.overwrite
    pools = list(dict.fromkeys(one.work_pool.name for one in files.deployments))
    for pool in pools:
        yield await apply_work_pool(client, pool, dry_run=dry_run, overwrite=overwrite)
        yield await apply_work_queue(client, pool, dry_run=dry_run, overwrite=overwrite)
    if given.on_this_machine:
        # First: a group is left as it is while a run may be creating its tests.
        async for step in crash_dead_runs(client, pools, dry_run=dry_run):
            yield step
    for kind in (ThousandEyesCredentials, EndpointTestGroup):
        yield await apply_block_type(client, kind, dry_run=dry_run)
    yield await apply_credentials(credentials, dry_run=dry_run)
    for name, group in files.groups.items():
        yield await apply_group(client, name, group, dry_run=dry_run)
    async for step in apply_deployments(
        client, files.deployments, dry_run=dry_run, overwrite=overwrite
    ):
        yield step
    planned = [one.full_name for one in files.deployments] if dry_run else []
    async for step in apply_automations(
        client, files.automations, planned, dry_run=dry_run, overwrite=overwrite
    ):
        yield step
    for step in await weak_settings(client):
        yield step


if __name__ == "__main__":
    sys.exit(status_of(main))
