"""A Prefect server that is busy is waited for, and no step is told twice."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial

import httpx
import pytest
from prefect import get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from deployments.busy_server import PATIENCE, ServerBusy, waited_for, why_gave_up
from deployments.deploy import apply_deployments
from deployments.project import read_deployments
from deployments.steps import BootstrapError, Found, Step, left
from tests.chaos.proxy import Proxy
from tests.deployments.scene import client_of
from tests.deployments.topology import Topology

POOL, BLOCK = Step(Found.MISSING, "work pool"), Step(Found.MISSING, "block")


def answer(status: int) -> PrefectHTTPStatusError:
    request = httpx.Request("POST", "http://127.0.0.1/api")
    response = httpx.Response(status, request=request)
    return PrefectHTTPStatusError("", request=request, response=response)


def steps(*tries: list[Step | Exception]) -> Callable[[], AsyncIterator[Step]]:
    left = list(tries)

    async def take() -> AsyncIterator[Step]:
        for step in left.pop(0):
            if isinstance(step, Exception):
                raise step
            yield step

    return take


async def no_time(_: float) -> None: ...


async def told(take: Callable[[], AsyncIterator[Step]], said: list[str]) -> list[Step]:
    return [step async for step in waited_for(take, said.append, sleep=no_time)]


@pytest.mark.parametrize(
    ("busy", "why"),
    [
        (answer(503), "status 503"),
        (answer(429), "status 429"),
        (httpx.ReadTimeout(""), "no answer"),
        (ServerBusy("status 502"), "status 502"),
    ],
)
async def test_a_busy_server_is_waited_for_and_each_step_told_once(
    busy: Exception, why: str
) -> None:
    said: list[str] = []
    found = Step(Found.AS_IT_SHOULD_BE, "work pool")
    assert await told(steps([POOL, busy], [busy], [found, BLOCK]), said) == [POOL, BLOCK]
    assert len(said) == 2
    assert all(why in words for words in said)
    assert said[0].endswith("next try in 2 s")
    assert said[1].endswith("next try in 4 s")


async def test_what_is_left_of_a_thing_that_was_changed_is_told_too_and_once() -> None:
    changed, kept = (
        Step(Found.DIFFERENT, "deployment", "form"),
        left("deployment", "file", ["tags"]),
    )
    found = Step(Found.AS_IT_SHOULD_BE, "deployment")
    tries = steps([changed, kept, answer(503)], [kept, answer(503)], [found, kept, BLOCK])
    assert await told(tries, []) == [changed, kept, BLOCK]


async def test_the_waits_grow_to_a_cap_and_begin_anew_after_each_step() -> None:
    said: list[str] = []
    busy = answer(503)
    tries: list[list[Step | Exception]] = [[busy]] * 6
    await told(steps(*tries, [POOL, busy], [BLOCK]), said)
    waits = [words.rpartition("next try in ")[2] for words in said]
    assert waits == ["2 s", "4 s", "8 s", "16 s", "30 s", "30 s", "2 s"]


async def test_what_it_refuses_is_an_error_at_once() -> None:
    said: list[str] = []
    with pytest.raises(PrefectHTTPStatusError):
        await told(steps([POOL, answer(422)]), said)
    assert said == []


async def test_one_that_stays_busy_is_given_up_with_what_to_do() -> None:
    times = iter([0.0, PATIENCE + 1])
    busy = waited_for(
        steps([answer(503)]), lambda _: None, sleep=no_time, clock=lambda: next(times)
    )
    with pytest.raises(BootstrapError, match=r"too busy for 10 minutes \(status 503\): docs/"):
        [step async for step in busy]


async def test_bootstrap_says_that_it_waits_and_goes_on(one_machine: Topology) -> None:
    async with Proxy(f"{one_machine.url}/api") as proxy:
        proxy.mode = "503"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deployments.bootstrap"),
            cwd=one_machine.directory,
            env=one_machine.environment(PREFECT_API_URL=proxy.url),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout
        before = await process.stdout.readuntil(b"is busy (status 503); next try in")
        proxy.mode = "pass"
        after, _ = await process.communicate()
    assert process.returncode == 0, (before + after).decode()
    assert after.count(b"work pool thousandeyes") == 1
    assert b"automation" in after


_REFUSED = "prefect.exceptions.PrefectHTTPStatusError: {} for url 'http://127.0.0.1:4200/api'"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (_REFUSED.format("Server error '503 Service Unavailable'"), "status 503"),
        (_REFUSED.format("Client error '429 Too Many Requests'"), "status 429"),
        ("httpx.ReadTimeout\n\nAn exception occurred.", "no answer in time"),
        (_REFUSED.format("Client error '409 Conflict'"), ""),
        ("ValueError: waited for 503 s", ""),
    ],
)
def test_what_a_command_said_of_a_busy_server_is_known(said: str, why: str) -> None:
    assert why_gave_up(f"Traceback (most recent call last):\n{said}\n") == why


async def test_a_server_that_turns_busy_while_prefect_deploys_is_waited_for_too(
    one_machine: Topology,
) -> None:
    said: list[str] = []
    async with Proxy(f"{one_machine.url}/api") as proxy:

        async def sleep(_: float) -> None:
            proxy.mode = "pass"

        with client_of(one_machine):
            # Only the command's own calls pass through the proxy.
            async with get_client() as client:
                there = await client.read_deployment_by_name("create-endpoint-tests/create")
                await client.delete_deployment(there.id)
                proxy.mode = "503"
                asked = {"dry_run": False, "overwrite": False}
                take = partial(apply_deployments, client, read_deployments(), **asked)
                with temporary_settings(
                    {PREFECT_API_URL: proxy.url, PREFECT_CLIENT_MAX_RETRIES: 1}
                ):
                    steps = [step async for step in waited_for(take, said.append, sleep=sleep)]
        assert proxy.received <= 2, "it was tried for long without a word"
    assert said == ["The Prefect server is busy (status 503); next try in 2 s"]
    assert Step(Found.MISSING, "deployment create-endpoint-tests/create") in steps
