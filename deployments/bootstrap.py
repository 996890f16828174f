"""`python -m deployments.bootstrap`: make or update what the files describe on a Prefect server.

What is there and as it should be stays untouched, so it can be run as often as one likes.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Self

from tasks.before_prefect import leave_variables_to_the_command

if __name__ == "__main__":
    leave_variables_to_the_command()

import httpx
from prefect import get_client
from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import (
    PREFECT_CLIENT_MAX_RETRIES,
    get_current_settings,
    temporary_settings,
)
from pydantic import ValidationError

from deployments.automations import Entry, apply_automations, read_automations
from deployments.busy_server import waited_for
from deployments.dead_runs import crash_dead_runs
from deployments.deploy import apply_deployments
from deployments.groups import GroupsError, read_groups
from deployments.project import Deployment, read_deployments
from deployments.server_settings import weak_settings
from deployments.steps import BootstrapError, Found, Step
from deployments.work_pools import apply_work_pool, apply_work_queue
from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tasks.known_tests import keeping_created, noted_in
from tasks.loading import why_unusable
from thousandeyes.errors import SettingsError
from thousandeyes.mistakes import told
from thousandeyes.proxies import prepare
from thousandeyes.release import add_version
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.terminal import status_of, verbatim_console

BLOCK: Final = "thousandeyes"
"""The name of the credentials block that is made of the environment."""


@dataclass(frozen=True)
class Files:
    """What the project's files ask for."""

    groups: Mapping[str, EndpointTestGroup]
    deployments: Sequence[Deployment]
    automations: Sequence[Entry]

    @classmethod
    def read(cls) -> Self:
        """Read them all, before anything is changed.

        Raises:
            BootstrapError: One holds a mistake.
        """
        try:
            return cls(read_groups(), read_deployments(), read_automations())
        except GroupsError as error:
            raise BootstrapError(str(error)) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0 when all is as it should be, 1 when it can't be brought so.

    2 when a variable is wrong, and nothing was asked.
    """
    parser = argparse.ArgumentParser(
        prog="python -m deployments.bootstrap",
        description=(
            "Makes or updates what this project needs on the Prefect server at PREFECT_API_URL, "
            "and lists what it did: the work pool and its queue, a credentials block "
            "(from TE_TOKEN, if it is set), the groups of deployments/groups.yaml, the "
            "deployments of prefect.yaml, the automations of deployments/automations.yaml. "
            "What already matches is left alone, and so is what people set in the UI, except in "
            "these groups and in the block thousandeyes, which are replaced each time: a group "
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
        "each run that has no process here, and so free its place under a concurrency limit",
    )
    given = parser.parse_args(arguments)
    try:
        prepare(os.environ)
        asyncio.run(_bootstrap(given))
    except SettingsError as error:
        verbatim_console(stderr=True, soft_wrap=True).print(f"error: {error}")
        return 2
    except BootstrapError as error:
        verbatim_console(stderr=True, soft_wrap=True).print(f"error: {error}")
        return 1
    return 0


async def _bootstrap(given: argparse.Namespace) -> None:
    api = get_current_settings().api
    if not api.url:
        raise BootstrapError(
            "PREFECT_API_URL is not set: say which Prefect server is meant, such as "
            "http://127.0.0.1:4200/api"
        )
    files = Files.read()
    console = verbatim_console(soft_wrap=True)
    words = ", which stays as it is: a dry run" if given.dry_run else ""
    console.print(f"Prefect server at {api.url}{words}")
    try:
        # The wait is ours to tell.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}):
            async with get_client() as client:
                async for step in waited_for(lambda: _steps(client, files, given), console.print):
                    console.print(step.told(dry_run=given.dry_run))
    except httpx.TransportError as error:
        raise BootstrapError(
            f"no Prefect server answers at {api.url} ({error}): is it up, and is PREFECT_API_URL "
            "right?"
        ) from None
    except PrefectHTTPStatusError as error:
        if error.response.status_code == HTTPStatus.UNAUTHORIZED:
            raise BootstrapError(
                f"the Prefect server at {api.url} asks for a password: set "
                "PREFECT_API_AUTH_STRING to user:password"
            ) from None
        raise BootstrapError(f"the Prefect server does not take this: {error}") from error


async def _steps(
    client: PrefectClient, files: Files, given: argparse.Namespace
) -> AsyncIterator[Step]:
    dry_run, overwrite = given.dry_run, given.overwrite
    pools = list(dict.fromkeys(one.work_pool.name for one in files.deployments))
    for pool in pools:
        yield await apply_work_pool(client, pool, dry_run=dry_run, overwrite=overwrite)
        yield await apply_work_queue(client, pool, dry_run=dry_run, overwrite=overwrite)
    for kind in (ThousandEyesCredentials, EndpointTestGroup):
        yield await _block_type(client, kind, dry_run=dry_run)
    yield await _credentials(dry_run=dry_run)
    for name, group in files.groups.items():
        yield await _group(client, name, group, dry_run=dry_run)
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
    if given.on_this_machine:
        async for step in crash_dead_runs(client, pools, dry_run=dry_run):
            yield step


async def _block_type(client: PrefectClient, kind: type[Block], *, dry_run: bool) -> Step:
    """Make a type of blocks known as it is now: forms that offer such blocks break without."""
    what = f"block type {kind.get_block_type_slug()}"
    try:
        await client.read_block_schema_by_checksum(kind._calculate_schema_checksum())  # noqa: SLF001
    except ObjectNotFound:
        if not dry_run:
            await kind.register_type_and_schema(client=client)
        return Step(Found.MISSING, what)
    return Step(Found.AS_IT_SHOULD_BE, what)


async def _credentials(*, dry_run: bool) -> Step:
    try:
        settings = ThousandEyesSettings()
    except SettingsError as error:
        what = f"block {ThousandEyesCredentials.get_block_type_slug()}/{BLOCK}"
        return Step(Found.NOT_WANTED, what, str(error))
    block = ThousandEyesCredentials(
        token=settings.token, aid=settings.aid, base_url=settings.base_url, app_url=settings.app_url
    )
    return await _block(BLOCK, block, dry_run=dry_run)


async def _group(
    client: PrefectClient, name: str, group: EndpointTestGroup, *, dry_run: bool
) -> Step:
    slug = group.get_block_type_slug()
    with suppress(ObjectNotFound):  # it is missing
        document = await client.read_block_document_by_name(name, slug)
        try:
            group = keeping_created(group, noted_in(document.data))
        except ValidationError as error:
            why = f"what was created for it can't be read: {told(error)}; mend it in Prefect's UI"
            return Step(Found.KEPT, f"block {slug}/{name}", why)
    return await _block(name, group, dry_run=dry_run)


async def _block(name: str, block: Block, *, dry_run: bool) -> Step:
    what = f"block {block.get_block_type_slug()}/{name}"
    why = ""
    try:
        there: Block = await type(block).aload(name)
    except ValueError:
        found = Found.MISSING
    except RuntimeError as error:  # Prefect's UI knows none of our rules
        found, why = Found.DIFFERENT, f"could not be used: {why_unusable(error)}"
    else:
        same = all(
            getattr(there, field) == getattr(block, field) for field in type(block).model_fields
        )
        found = Found.AS_IT_SHOULD_BE if same else Found.DIFFERENT
    if found is not Found.AS_IT_SHOULD_BE and not dry_run:
        await block.save(name, overwrite=True)
    return Step(found, what, why)


if __name__ == "__main__":
    sys.exit(status_of(main))
