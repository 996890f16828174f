"""The simulator of the flows' tests, and quick retries for those that wait for none."""

import pytest

from tasks.rerun import rerun_endpoint_test
from tests.flows.conftest import TOKEN, simulate

__all__ = ["TOKEN", "simulate"]


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerun_endpoint_test, "retry_delay_seconds", [0.01])
