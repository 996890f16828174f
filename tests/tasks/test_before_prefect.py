"""What Prefect says when it is imported, and a command in its place."""

import logging
from collections.abc import Iterator

import pytest

from tasks.before_prefect import leave_variables_to_the_command

PLUGINS = logging.getLogger("prefect.plugins")


@pytest.fixture
def said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[pytest.LogCaptureFixture]:
    monkeypatch.setattr(PLUGINS, "filters", [])
    PLUGINS.addHandler(caplog.handler)
    yield caplog
    PLUGINS.removeHandler(caplog.handler)


def test_a_wrong_certificate_variable_is_left_to_the_command(
    said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_variables_to_the_command()
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    PLUGINS.error("Failed to initialize plugins")
    assert not said.records


def test_any_other_trouble_is_said(said: pytest.LogCaptureFixture) -> None:
    leave_variables_to_the_command()
    PLUGINS.error("Failed to initialize plugins")
    assert {record.getMessage() for record in said.records} == {"Failed to initialize plugins"}
