"""The simulator of the flows' tests, quick retries for those that wait for none, and an address."""

from collections.abc import Iterator

import pytest
from prefect.settings import PREFECT_UI_URL, temporary_settings

from tasks.rerun import rerun_endpoint_test
from tests.flows.conftest import TOKEN, simulate
from tests.tasks.reports import UI

__all__ = ["TOKEN", "simulate"]


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerun_endpoint_test, "retry_delay_seconds", [0.01])


@pytest.fixture
def prefect_ui() -> Iterator[None]:
    """Make links begin with a known address."""
    with temporary_settings({PREFECT_UI_URL: UI}):
        yield
