from collections.abc import Callable
from functools import partial

import httpx
import pytest
from starlette.applications import Starlette

from thousandeyes.simulator import create_app


@pytest.fixture
def now() -> list[float]:
    """The time of the applications that `make` makes, in epoch seconds, to be set by the test."""
    return [1_800_000_000.0]


@pytest.fixture
def make(now: list[float]) -> Callable[..., Starlette]:
    return partial(create_app, clock=lambda: now[0])


@pytest.fixture
def connect() -> Callable[[Starlette], httpx.AsyncClient]:
    def to(app: Starlette) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://simulator/v7",
            headers={"Authorization": f"Bearer {app.state.simulator.token}"},
        )

    return to
