"""The calls that this project makes. All decisions are made elsewhere."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from thousandeyes.caller import READING, Caller
from thousandeyes.calls import BeforeSending, Call
from thousandeyes.definitions import InstantTest
from thousandeyes.errors import CallFailed, ReplyLost
from thousandeyes.families import Family
from thousandeyes.fleet import AGENTS_PER_PAGE, IDS_PER_CALL, MOST_PAGES, AgentsPage
from thousandeyes.lists import clean_test_id
from thousandeyes.models import AccountGroup, Agent, EndpointTest, Listed
from thousandeyes.paging import next_cursor, pages, total_of
from thousandeyes.record import Record
from thousandeyes.redaction import Redactor
from thousandeyes.replies import confirmation, created_test_id, read
from thousandeyes.results import RESULTS

TESTS: Final = "/endpoint/tests/scheduled-tests"
AGENTS: Final = "/endpoint/agents"

_INSTANT: Final = (Family.ORGANIZATION, Family.INSTANT)

Item = TypeVar("Item", bound=Listed)


class ThousandEyesClient(Caller):
    """The calls that this project makes to one organization's API; `Caller` does the sending.

    Use it as an async context manager.
    """

    async def rerun(
        self,
        record: Record,
        *,
        before_sending: BeforeSending | None = None,
        on_quota_refusal: Callable[[CallFailed], Awaitable[None]] | None = None,
    ) -> str:
        """Run an endpoint instant scheduled test again, and return the message of the API's answer.

        After a 429 it waits and sends the call again; otherwise it sends the call once.

        Args:
            record: The test. It is kept up to date with all that is learned, even when this call is
                cut short. Its account group is used, or the settings' if it has none.
            before_sending: Awaited right before the call goes out.
            on_quota_refusal: Awaited with each 429.

        Raises:
            CallFailed: One of its subclasses.
            InvalidTestIds: The record's ID can't be a test ID; nothing was sent.
        """
        # The ID becomes part of the URL: with an empty one, or one with a slash, that would change.
        test_id = clean_test_id(record.test_id)
        call = Call("POST", f"{TESTS}/{test_id}/run", _INSTANT, record.aid)
        try:
            reply = await self.call(call, record, before_sending, on_quota_refusal)
            message = confirmation(read(reply))
        except CallFailed as error:
            record.failed(error)
            raise
        record.accepted(reply.status, message)
        return message

    async def create(
        self,
        definition: InstantTest,
        record: Record,
        *,
        before_sending: BeforeSending | None = None,
        on_quota_refusal: Callable[[CallFailed], Awaitable[None]] | None = None,
    ) -> str:
        """Create an endpoint instant test, which also runs it once, and return its ID.

        After a 429 it waits and sends the call again; otherwise it sends the call once. The other
        arguments are those of `rerun`; the ID is also noted in the record.

        Raises:
            CallFailed: One of its subclasses; also `ReplyLost` if the answer names no ID.
        """
        path = f"{TESTS}/{definition.type}/instant"
        redact = Redactor(*definition.secrets())
        call = Call("POST", path, _INSTANT, record.aid, body=definition.body(), redact=redact)
        try:
            with redact.guarding_http_logs():
                reply = await self.call(call, record, before_sending, on_quota_refusal)
            test_id = created_test_id(reply)
        except CallFailed as error:
            record.failed(error)
            raise
        record.created(test_id, reply.status)
        return test_id

    async def tests(self, aid: str | None = None) -> list[EndpointTest]:
        """List the endpoint scheduled tests. The API doesn't page this list.

        Raises:
            CallFailed: One of its subclasses.
        """
        return await self._list(TESTS, "tests", EndpointTest, aid)

    async def agents(
        self,
        aid: str | None = None,
        *,
        chosen: Collection[str] | None = None,
        calls: Iterable[object] = range(MOST_PAGES),
    ) -> AsyncIterator[AgentsPage]:
        """Read the endpoint agents page by page, in a limited number of calls.

        If these don't suffice for all agents, no page says that it is the last.

        Args:
            aid: Account group; by default that of the settings.
            chosen: The IDs of the agents that matter; by default all agents.
            calls: An item for each call that may be made. Several readers may share one iterator.

        Raises:
            CallFailed: One of its subclasses.
        """
        if chosen is None:
            async for page in self._agent_pages("GET", AGENTS, None, aid, calls):
                yield page
            return
        ids, total, calls = sorted(chosen), 0, iter(calls)
        for start in range(0, len(ids), IDS_PER_CALL):
            body = {"searchFilters": {"id": ids[start : start + IDS_PER_CALL]}}
            ended, here = False, 0
            path = f"{AGENTS}/filter"
            async for page in self._agent_pages("POST", path, body, aid, calls):
                ended, here = page.is_last, page.total or 0
                is_last = ended and start + IDS_PER_CALL >= len(ids)
                yield AgentsPage(page.agents, total + here, is_last)
            if not ended:
                return
            total += here

    async def _agent_pages(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        aid: str | None,
        calls: Iterable[object],
    ) -> AsyncIterator[AgentsPage]:
        async def ask(params: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
            return await self.read(method, path, params=params, body=body, aid=aid)

        async for told, goes_on in pages(ask, {}, AGENTS_PER_PAGE, calls):
            agents = _items(told, f"{method} {path}", "agents", Agent)
            total = total_of(told, "totalAgents")
            # A page that links to one that was read is the last, if a total shows what is missing.
            is_last = not goes_on and (total is not None or next_cursor(told) is None)
            yield AgentsPage(agents, total, is_last)

    async def path(self, test_id: str, agent_id: str, round_id: int, aid: str | None = None) -> Any:  # noqa: ANN401 - JSON
        """Read the path of an agent's round, as JSON. A 429 is raised at once.

        Args:
            test_id: The test.
            agent_id: The agent, an ID of letters, digits and hyphens.
            round_id: The round, in epoch seconds.
            aid: Account group; by default that of the settings.

        Raises:
            CallFailed: One of its subclasses.
        """
        path = f"{RESULTS}/{test_id}/path-vis/agent/{agent_id}/round/{round_id}"
        call = Call("GET", path, READING, aid, only_reads=True)
        return read(await self.call(call, Record(""), on_quota_refusal=_raise))

    async def account_groups(self) -> list[AccountGroup]:
        """List the account groups of the token's user. This is also the cheapest check of a token.

        Raises:
            CallFailed: One of its subclasses.
        """
        return await self._list("/account-groups", "accountGroups", AccountGroup, None)

    async def _list(self, path: str, name: str, model: type[Item], aid: str | None) -> list[Item]:
        body = await self.read("GET", path, aid=aid, only=model.members() | {name})
        return _items(body, f"GET {path}", name, model)


async def _raise(error: CallFailed) -> None:
    raise error


def _items(body: object, call: str, name: str, model: type[Item]) -> list[Item]:
    """Return the readable items; a list without a single one counts as a lost reply."""
    items = body.get(name) if isinstance(body, dict) else None
    if not isinstance(items, list):
        raise ReplyLost(f"{call} answered without a readable list of {name}")
    found: list[Item] = []
    for item in items:
        with suppress(ValidationError):
            found.append(model.model_validate(item))
    if items and not found:
        raise ReplyLost(f"{call} answered with {len(items)} {name}, none of them readable")
    return found
