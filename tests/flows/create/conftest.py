"""The groups that a test saves are gone after it: other tests look at what a server has."""

from collections.abc import AsyncIterator

import pytest
from prefect import get_client

from tasks.blocks import EndpointTestGroup


@pytest.fixture(autouse=True)
async def _leave_no_group(
    prefect_server: None,  # noqa: ARG001 - what it is asked of
) -> AsyncIterator[None]:
    await EndpointTestGroup.aregister_type_and_schema()
    slug = EndpointTestGroup.get_block_type_slug()
    async with get_client() as client:
        before = {group.id for group in await client.read_block_documents_by_type(slug)}
        yield
        for group in await client.read_block_documents_by_type(slug):
            if group.id not in before:
                await client.delete_block_document(group.id)
