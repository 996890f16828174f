"""The groups that tests save are gone after their file: others look at what a server has."""

from collections.abc import Iterator

import pytest
from prefect import get_client

from tasks.blocks import EndpointTestGroup


@pytest.fixture(autouse=True, scope="module")
def _leave_no_group(
    prefect_server: None,  # noqa: ARG001 - what it is asked of
) -> Iterator[None]:
    EndpointTestGroup.register_type_and_schema(_sync=True)  # type: ignore[call-arg]
    slug = EndpointTestGroup.get_block_type_slug()
    with get_client(sync_client=True) as client:
        before = {group.id for group in client.read_block_documents_by_type(slug)}
        yield
        for group in client.read_block_documents_by_type(slug):
            if group.id not in before:
                client.delete_block_document(group.id)
