"""What of a user's environment and `.env` reaches the processes of `make serve`."""

from pathlib import Path

import pytest

from deployments.environments import of_the_server
from thousandeyes.errors import SettingsError

NOBODY = "http://127.0.0.1:9"
PASSWORD = "on-call:s3cret"


def test_what_the_environment_has_for_the_server_overrules_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, name = tmp_path / ".env", "PREFECT_SERVER_API_AUTH_STRING"
    assert of_the_server(file) == {}
    file.write_text(f"{name}=of:file\nPREFECT_API_URL={NOBODY}\n")
    assert of_the_server(file) == {name: "of:file", "PREFECT_API_AUTH_STRING": "of:file"}
    monkeypatch.setenv(name, PASSWORD)
    assert of_the_server(file)[name] == PASSWORD
    file.write_bytes(b"TE_TOKEN=\xff")
    with pytest.raises(SettingsError, match="must be a text file in UTF-8"):
        of_the_server(file)
