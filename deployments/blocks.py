"""The blocks that bootstrap looks after: credentials from the environment, groups from the file."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
)
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr, ValidationError

from deployments.groups import FILE as GROUPS
from deployments.steps import Found, Step
from flows.create import create_endpoint_tests
from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tasks.known_tests import keeping_created, noted_in
from tasks.loading import why_unusable
from tasks.under_way import UNDER_WAY
from thousandeyes.errors import SettingsError
from thousandeyes.mistakes import told
from thousandeyes.settings import ENV_FILE, EnvironmentSettings, ThousandEyesSettings

BLOCK: Final = "thousandeyes"
"""The name of the credentials block that is made from the environment."""


class _Given(EnvironmentSettings):
    """The token as it was given, valid or not."""

    token: SecretStr | None = None


async def apply_block_type(client: PrefectClient, kind: type[Block], *, dry_run: bool) -> Step:
    """Register a block type in its present form; without it, forms that offer such blocks break."""
    what = f"block type {kind.get_block_type_slug()}"
    try:
        await client.read_block_schema_by_checksum(kind._calculate_schema_checksum())  # noqa: SLF001
    except ObjectNotFound:
        if not dry_run:
            await kind.register_type_and_schema(client=client)
        return Step(Found.MISSING, what)
    return Step(Found.AS_IT_SHOULD_BE, what)


def credentials_given() -> ThousandEyesCredentials | None:
    """Return the credentials from the environment or `.env`; None if there is no token.

    Raises:
        SettingsError: There is a token, but a variable is wrong: the block would keep an older one.
    """
    try:
        settings = ThousandEyesSettings()
    except SettingsError:
        if _has_token():
            raise
        return None
    return ThousandEyesCredentials(
        token=settings.token, aid=settings.aid, base_url=settings.base_url, app_url=settings.app_url
    )


def _has_token() -> bool:
    if os.environ.get("TE_TOKEN"):
        return True
    file = os.environ.get(ENV_FILE)
    # `make serve` names a file that may be made later.
    return not (file and not Path(file).exists()) and _Given().token is not None


async def apply_credentials(given: ThousandEyesCredentials | None, *, dry_run: bool) -> Step:
    """Save the credentials of the environment on the server, and report how they were found."""
    if not given:
        what = f"block {ThousandEyesCredentials.get_block_type_slug()}/{BLOCK}"
        return Step(Found.NOT_WANTED, what, "TE_TOKEN is not set")
    return await _apply(BLOCK, given, dry_run=dry_run)


async def apply_group(
    client: PrefectClient, name: str, group: EndpointTestGroup, *, dry_run: bool
) -> Step:
    """Save a group on the server, keeping the tests that were created for it there.

    It is left while a run creates tests, or what that run records in it would be lost.
    """
    # Asked before the group is read, to keep everything that a run recorded before it ended.
    creation = await _creation(client)
    leave = creation and (
        f"differs from {GROUPS.name}, but run {creation.name} may be creating tests for it: run "
        "bootstrap again when that run has ended"
    )
    slug = group.get_block_type_slug()
    with suppress(ObjectNotFound):  # it is missing
        document = await client.read_block_document_by_name(name, slug)
        try:
            group = keeping_created(group, noted_in(document.data))
        except ValidationError as error:
            why = f"what was created for it can't be read: {told(error)}; fix it in Prefect's UI"
            return Step(Found.KEPT, f"block {slug}/{name}", why)
    return await _apply(name, group, leave=leave or "", dry_run=dry_run)


async def _creation(client: PrefectClient) -> FlowRun | None:
    """Return a run that is creating tests, if any. It may name its group only by the block's ID."""
    runs = await client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[create_endpoint_tests.name])),
        flow_run_filter=FlowRunFilter(state=UNDER_WAY),
        limit=1,
    )
    return runs[0] if runs else None


async def _apply(name: str, block: Block, *, leave: str = "", dry_run: bool) -> Step:
    """Save a block on the server; an existing one stays if `leave` gives a reason."""
    what = f"block {block.get_block_type_slug()}/{name}"
    why = ""
    try:
        there: Block = await type(block).aload(name)
    except ValueError:
        found = Found.MISSING
    except RuntimeError as error:  # Prefect's UI does not know our rules
        found, why = Found.DIFFERENT, f"could not be used: {why_unusable(error)}"
    else:
        same = all(
            getattr(there, field) == getattr(block, field) for field in type(block).model_fields
        )
        found = Found.AS_IT_SHOULD_BE if same else Found.DIFFERENT
    if leave and found is Found.DIFFERENT:
        return Step(Found.KEPT, what, leave)
    if found is not Found.AS_IT_SHOULD_BE and not dry_run:
        await block.save(name, overwrite=True)
    return Step(found, what, why)
