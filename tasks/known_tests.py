"""What a group knows of its tests by name: which exist, and which may because an answer was lost.

Names are compared as they are shown, and kept as they were written.

Each step of a creation is recorded in the group's block before the next one begins, so that no
run creates a test twice, wherever an earlier one ended. One run at a time may change a group.
"""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.actions import BlockDocumentUpdate

from tasks.blocks import EndpointTestGroup
from tasks.server_calls import Confirm, checking_changes, until_taken
from thousandeyes.text import shown


def known_id(group: EndpointTestGroup, test_name: str) -> str | None:
    """Return the ID of the group's test of this name; of several, the first."""
    return next((i for i, name in group.names.items() if shown(name) == shown(test_name)), None)


def creating_run(group: EndpointTestGroup, test_name: str) -> str | None:
    """Return the flow run whose creation of the test of this name is in doubt, if any."""
    runs = (run for name, run in group.creating.items() if shown(name) == shown(test_name))
    return next(runs, None)


def keeping_created(group: EndpointTestGroup, there: EndpointTestGroup) -> EndpointTestGroup:
    """Return a group to be saved, with what creations have noted in the saved one.

    Without that the next run would create all of the tests again.
    """
    brought_in = [test_id for test_id in there.created if test_id in there.names]
    return group.model_copy(
        update={
            "test_ids": list(dict.fromkeys([*group.test_ids, *brought_in])),
            "names": group.names | {test_id: there.names[test_id] for test_id in brought_in},
            "created": there.created,
            "creating": there.creating,
        }
    )


def noted_in(data: Mapping[str, Any]) -> EndpointTestGroup:
    """Return what creations have noted in a group's document, even if the rest is not a group.

    Raises:
        ValidationError: These notes can't be read.
    """
    noted = {field: data[field] for field in ("created", "creating") if field in data}
    there = EndpointTestGroup.model_validate(noted)
    names = data.get("names")
    known = names.items() if isinstance(names, Mapping) else ()
    named = {test_id: name for test_id, name in known if test_id in there.created}
    return EndpointTestGroup.model_validate({"test_ids": [*named], "names": named} | noted)


class KnownTests:
    """A group's tests on the Prefect server: read and changed as they are at that moment.

    All methods wait as long as the server is unreachable.

    Args:
        group: The name of the EndpointTestGroup block.
        flow_run_id: The flow run that changes it.

    Raises:
        ObjectNotFound: The block is gone.
        PrefectHTTPStatusError: The server refuses the change.
    """

    def __init__(self, group: str, flow_run_id: UUID) -> None:
        self._name = group
        self._flow_run_id = str(flow_run_id)
        self._created: dict[str, str] = {}
        self._creating: dict[str, str] = {}

    async def read(self) -> EndpointTestGroup:
        """Return the group as it is now."""
        return (await until_taken(self._load))[1]

    async def creating(self, test_name: str, confirm: Confirm | None = None) -> None:
        """Note that a creation of this test goes out next; `confirm` is called before each try."""

        def change(group: EndpointTestGroup) -> None:
            _settle(group, test_name)
            group.creating[test_name] = self._flow_run_id

        await self._change(change, confirm)
        self._creating[test_name] = self._flow_run_id

    async def created(self, test_name: str, test_id: str) -> None:
        """Note that the test exists."""

        def change(group: EndpointTestGroup) -> None:
            _add(group, test_id, test_name)
            _settle(group, test_name)

        await self._change(change)
        self._created[test_id] = test_name
        self._creating.pop(test_name, None)

    async def not_created(self, test_name: str, before: str | None) -> None:
        """Note that the latest creation did not take place.

        Args:
            test_name: The test's name.
            before: The flow run whose creation of it was in doubt before, if any.
        """

        def change(group: EndpointTestGroup) -> None:
            _settle(group, test_name)
            if before:
                group.creating[test_name] = before

        await self._change(change)
        self._creating.pop(test_name, None)
        if before:
            self._creating[test_name] = before

    async def _change(
        self, change: Callable[[EndpointTestGroup], None], confirm: Confirm | None = None
    ) -> None:
        async def load_and_save() -> None:
            document_id, group = await self._load()
            self._bring_back(group)
            change(group)
            # Not by the block's own `save`: that overwrites what somebody else has changed in other
            # fields meanwhile, and takes a quarter of a second to register the block's type again.
            changed = group.model_dump(include={"test_ids", "names", "created", "creating"})
            async with get_client() as client:
                await checking_changes(client).update_block_document(
                    document_id, BlockDocumentUpdate(data=changed)
                )

        await until_taken(load_and_save, confirm=confirm)

    def _bring_back(self, group: EndpointTestGroup) -> None:
        """Note again what a person removed who saved the group as it was when it was opened."""
        for test_id, test_name in self._created.items():
            if test_id not in group.created:
                _add(group, test_id, test_name)
        for test_name, run in self._creating.items():
            if not (known_id(group, test_name) or creating_run(group, test_name)):
                group.creating[test_name] = run

    async def _load(self) -> tuple[UUID, EndpointTestGroup]:
        async with get_client() as client:
            document = await client.read_block_document_by_name(
                self._name, EndpointTestGroup.get_block_type_slug()
            )
        return document.id, EndpointTestGroup.model_validate(document.data)


def _add(group: EndpointTestGroup, test_id: str, test_name: str) -> None:
    for test_ids in (group.test_ids, group.created):
        if test_id not in test_ids:
            test_ids.append(test_id)
    group.names[test_id] = test_name


def _settle(group: EndpointTestGroup, test_name: str) -> None:
    for name in [name for name in group.creating if shown(name) == shown(test_name)]:
        del group.creating[name]
