"""Which deployment a run belongs to, and that nobody is asked where that is known."""

from uuid import uuid4

import pytest
from prefect import flow, get_client
from prefect.flow_engine import run_flow_async

from tasks.deployment import (
    as_slug,
    deployment_id,
    deployment_slug,
    is_deployment_name,
    slug_of,
)


@pytest.mark.parametrize(
    ("name", "slug"),
    [("nightly", "nightly"), ("Nightly: München!", "nightly-m-nchen"), ("***", "local")],
)
def test_a_deployments_name_becomes_part_of_a_key(name: str, slug: str) -> None:
    assert as_slug(name) == slug


@pytest.mark.parametrize(
    ("text", "can_be"),
    [
        ("rerun-endpoint-tests/Nightly: München!", True),
        ("a/..b", True),
        ("nightly", False),
        ("a/b/c", False),
        ("a/", False),
        ("a/..", False),
        ("./b", False),
        ("../b", False),
        ("a/b?c", False),
        ("a/b#c", False),
        ("a/b%2f", False),
        ("a/b\0", False),
        ("a/b\n", False),
        ("a/" + "b" * 300, False),
    ],
    ids=ascii,
)
def test_a_name_that_would_lead_elsewhere_in_an_address_is_no_deployments(
    text: str, *, can_be: bool
) -> None:
    assert is_deployment_name(text) is can_be


@flow
async def inner() -> str:
    return await deployment_slug()


@flow
async def outer() -> list[str]:
    return [await deployment_slug(), await inner()]


@pytest.mark.usefixtures("prefect_server")
async def test_a_run_of_a_deployment_and_all_that_it_calls_are_of_that_deployment() -> None:
    async with get_client() as client:
        deployment = await client.create_deployment(await client.create_flow(outer), "Nightly: 1")
        flow_run = await client.create_flow_run_from_deployment(deployment)
    assert await run_flow_async(outer, flow_run=flow_run) == ["nightly-1", "nightly-1"]


@pytest.mark.usefixtures("prefect_server")
async def test_a_run_that_nobody_called_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefect.runtime.deployment._get_flow_run", None)

    @flow
    async def alone() -> str:
        assert deployment_id() is None
        return await deployment_slug()

    assert await alone() == "local"


@pytest.mark.usefixtures("prefect_server")
async def test_a_flow_that_another_one_called_is_of_no_deployment_either() -> None:
    assert await outer() == ["local", "local"]


@pytest.mark.usefixtures("prefect_server")
async def test_a_deployment_that_is_gone_meanwhile_keeps_no_run_from_its_end() -> None:
    assert await slug_of(uuid4()) == "local"
