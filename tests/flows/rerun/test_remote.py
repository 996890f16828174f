"""What a parent is told of a run that came to no end of its own; the rest is tested on a worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    get_current_settings,
    temporary_settings,
)
from prefect.states import Cancelled, Completed, Crashed
from prefect.utilities.collections import visit_collection

from flows.rerun import RerunOptions, remote
from flows.rerun.remote import ON_DEMAND, Outcomes, RerunUnfinished, rerun_by_deployment
from tasks.blocks import EndpointTestGroup
from tasks.server_calls import NoAccess
from tests.chaos.proxy import Proxy
from tests.flows.scene import NO_RUN, Simulate, deploy, ids, runs_for, wait_until, work_off
from thousandeyes.errors import InvalidTestIds
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.mark.parametrize(
    "deployment", ["delete-everything/nightly", NO_RUN, "", "rerun-endpoint-tests/.."]
)
async def test_it_starts_no_deployment_of_another_flow(deployment: str) -> None:
    with pytest.raises(RerunUnfinished, match="is not a deployment of rerun-endpoint-tests"):
        await rerun_by_deployment(["1"], deployment=deployment)


@pytest.fixture(autouse=True)
async def _deployed() -> None:
    await deploy(ON_DEMAND.partition("/")[2])


def started(name: str, **given: Any) -> asyncio.Task[Any]:
    return asyncio.create_task(rerun_by_deployment(groups=[name], poll_interval=0.05, **given))


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    """Stands before the server; tries follow each other soon."""
    monkeypatch.setattr("tasks.server_calls._FIRST_PAUSE", 0.01)
    monkeypatch.setattr(remote, "_TO_READ", 0.1, raising=False)
    async with Proxy(str(get_current_settings().api.url)) as proxy:
        yield proxy


def behind(proxy: Proxy) -> AbstractContextManager[object]:
    return temporary_settings({PREFECT_API_URL: proxy.url, PREFECT_CLIENT_MAX_RETRIES: 0})


async def test_a_dry_run_gives_a_record_of_each_test_and_says_what_it_found(
    simulate: Simulate,
) -> None:
    simulate(tests=ids(2))
    await EndpointTestGroup(test_ids=[*ids(2), "404404"]).save("rehearsed", overwrite=True)
    waits = started("rehearsed", options=RerunOptions(dry_run=True))
    await work_off("rehearsed")
    outcomes = await waits
    skipped = dict.fromkeys([*ids(2), "404404"], Outcome.SKIPPED)
    assert {record.test_id: record.outcome for record in outcomes} == skipped
    assert outcomes.sentence.startswith("Dry run: 3 tests, 24 a minute: about 1 s, ")
    assert "perhaps gone: 404404" in outcomes.sentence


def test_outcomes_whose_records_prefect_replaces_are_outcomes_again() -> None:
    other = Record("2")

    def replaced(one: object) -> object:
        return other if isinstance(one, Record) else one

    again = visit_collection(Outcomes([Record("1")], "It passed."), replaced, return_data=True)
    assert isinstance(again, Outcomes)
    assert again == [other]


async def test_a_run_that_is_deleted_meanwhile_is_told_as_that() -> None:
    waits = started("deleted")
    async with asyncio.timeout(60), get_client() as client:
        while not waits.done():
            for run_id in await runs_for("deleted"):
                await client.delete_flow_run(run_id)
    with pytest.raises(RerunUnfinished, match="was deleted in Prefect while it was waited for"):
        await waits


@pytest.mark.parametrize("mode", ["404", "html", "refuse"])
async def test_a_prefect_server_that_goes_away_meanwhile_is_waited_for(
    proxy: Proxy, mode: str
) -> None:
    with behind(proxy):
        waits = started(mode)
    async with asyncio.timeout(60):
        while not (runs := await runs_for(mode)):
            assert not waits.done()
            await asyncio.sleep(0.05)
    proxy.mode = mode
    await wait_until(lambda: proxy.received >= 2 or waits.done())
    proxy.mode = "pass"
    async with get_client() as client:
        await client.set_flow_run_state(runs[0], Cancelled(message="enough"), force=True)
    with pytest.raises(RerunUnfinished, match="was cancelled: enough"):
        await waits


@pytest.mark.parametrize("mode", ["refuse", "black-hole"])
async def test_a_prefect_server_that_stays_away_is_waited_for_until_the_timeout(
    proxy: Proxy, mode: str
) -> None:
    with behind(proxy):
        waits = started(f"{mode}-for-good", timeout=2)
    async with asyncio.timeout(60):
        while not await runs_for(f"{mode}-for-good"):
            assert not waits.done()
    # Until the caller has the answer too and asks how the run stands. Else it would start it again.
    begun = proxy.passed
    await wait_until(lambda: proxy.passed > begun or waits.done())
    proxy.mode = mode
    async with asyncio.timeout(30):
        said = "has not begun after 2 s: .* its outcomes can't be read now"
        with pytest.raises(RerunUnfinished, match=said) as unfinished:
            await waits
    assert unfinished.value.flow_run


async def test_a_prefect_server_that_is_away_from_the_start_is_waited_for_until_the_timeout(
    proxy: Proxy,
) -> None:
    proxy.mode = "refuse"
    async with asyncio.timeout(30):
        with behind(proxy), pytest.raises(RerunUnfinished, match="was unreachable for all of the"):
            await started("never", timeout=0.1, idempotency_key="never")


async def test_without_time_it_starts_the_run_and_returns_at_once() -> None:
    key = uuid4()
    for again in (False, True):
        with pytest.raises(RerunUnfinished, match="has not begun after 0 s") as unfinished:
            await started("at-once", timeout=0, idempotency_key=key)
        run = unfinished.value.flow_run
        assert run
        assert await runs_for("at-once") == [run.id]
        assert run.state
        assert run.state.name == ("AwaitingRetry" if again else "Scheduled")
        async with get_client() as client:
            await client.set_flow_run_state(run.id, Crashed(), force=True)


async def test_a_key_that_started_a_run_of_other_tests_gives_not_their_outcomes() -> None:
    key = uuid4()
    with pytest.raises(RerunUnfinished, match="has not begun") as first:
        await started("own", timeout=0, idempotency_key=key)
    run = first.value.flow_run
    assert run
    async with get_client() as client:
        await client.set_flow_run_state(run.id, Completed(message="All passed."), force=True)
    with pytest.raises(RerunUnfinished, match=f"with other groups before: .*{run.id}.*Nothing was"):
        await started("others", idempotency_key=key)
    async with get_client() as client:
        await client.set_flow_run_state(run.id, Crashed(), force=True)
        with pytest.raises(RerunUnfinished, match="with other groups before"):
            await started("others", idempotency_key=key)
        state = (await client.read_flow_run(run.id)).state
    assert state
    assert state.is_crashed(), "it isn't started again either"


@pytest.mark.parametrize("key", [None, "let in"], ids=["at once", "waiting"])
async def test_a_prefect_server_that_lets_nobody_in_is_told_as_that(
    proxy: Proxy, key: str | None
) -> None:
    proxy.mode = "401"
    with behind(proxy), pytest.raises(NoAccess):
        await rerun_by_deployment(["1"], idempotency_key=key)


async def test_a_deployment_that_is_deleted_before_the_run_starts_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def start(*_: object, client: PrefectClient, **__: object) -> None:
        await client.read_deployment(UUID(NO_RUN))

    monkeypatch.setattr(remote, "arun_deployment", start)
    with pytest.raises(RerunUnfinished, match=r"^There is no deployment .* Nothing was sent\.$"):
        await rerun_by_deployment(["1"])


async def test_without_a_server_at_its_address_it_ends_at_once(unused_tcp_port: int) -> None:
    nobody = {PREFECT_API_URL: f"http://127.0.0.1:{unused_tcp_port}/api"}
    with temporary_settings(nobody), pytest.raises(httpx.ConnectError):
        await rerun_by_deployment(["1"])


def refuse(
    monkeypatch: pytest.MonkeyPatch, status: int, body: dict[str, Any]
) -> list[dict[str, Any]]:
    """Let a server refuse to start any run; returns what it is asked with."""
    asked = []

    async def start(_deployment: str, **given: Any) -> FlowRun:
        asked.append(given)
        request = httpx.Request("POST", "http://127.0.0.1/api")
        response = httpx.Response(status, request=request, json=body)
        raise PrefectHTTPStatusError("refused", request=request, response=response)

    monkeypatch.setattr(remote, "arun_deployment", start)
    return asked


@pytest.mark.parametrize("options", [None, RerunOptions(wait_for_results=True)])
async def test_a_caller_who_names_no_tests_is_told_so(
    monkeypatch: pytest.MonkeyPatch, options: RerunOptions | None
) -> None:
    asked = refuse(monkeypatch, 409, {"detail": "'test_ids' is a required property"})
    said = r"^no tests given: name test IDs, groups of tests, or both\. Nothing was sent\.$"
    with pytest.raises(InvalidTestIds, match=said):
        await rerun_by_deployment([], groups=[], options=options)
    assert len(asked) == 1, "the deployment could name some itself"


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (409, {"detail": "Error creating flow run: \x1b[31mno\n"}, r"[^:]*: \[31mno"),
        (422, {"exception_message": "Bad", "exception_detail": [{"msg": "Too long."}]}, "Too long"),
        (409, {"detail": "x" * 100_000}, "x{299}…"),
        (409, {"detail": ["odd"]}, "it does not say why"),
    ],
)
async def test_a_refusal_is_told_in_the_servers_words_on_one_line(
    monkeypatch: pytest.MonkeyPatch, status: int, body: dict[str, Any], reason: str
) -> None:
    refuse(monkeypatch, status, body)
    with pytest.raises(RerunUnfinished, match=rf"on-demand': {reason}\. If .* Nothing was sent\.$"):
        await rerun_by_deployment(options=RerunOptions(name_pattern="*"))


async def test_one_test_is_named_by_its_number_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = refuse(monkeypatch, 409, {"detail": "no"})
    with pytest.raises(RerunUnfinished):
        await rerun_by_deployment(578396137)
    assert asked[0]["parameters"] == {"test_ids": ["578396137"]}
