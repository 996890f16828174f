"""The environment of the processes of `make serve`."""

import os
from pathlib import Path
from typing import Final

from dotenv import dotenv_values  # which comes with pydantic-settings

from deployments.home import ROOT
from thousandeyes.errors import SettingsError
from thousandeyes.settings import ENV_FILE

_PASSED_ON: Final = (
    "PREFECT_SERVER_API_AUTH_STRING",
    "PREFECT_SERVER_CORS_ALLOWED_ORIGINS",
    "PREFECT_SERVER_CSRF_PROTECTION_ENABLED",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD",
)
"""Prefect variables that are passed on to the server; all others are for the user's own Prefect."""

OF_THE_SERVER: Final = {
    # Keeps a run's place under a concurrency limit when the server is restarted or unreachable.
    # Prefect's default is the server's memory, and a run that loses its lease ends as crashed.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "deployments.leases",
    "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
}
"""Settings of the server that differ from Prefect's defaults."""


def of_all(url: str, home: Path) -> dict[str, str]:
    """Return the environment of all processes: nothing of the user's Prefect, no token."""
    not_kept = ("PREFECT_", "TE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(not_kept)}
    return kept | {
        "PREFECT_HOME": str(home.resolve()),
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_SERVER_UI_API_URL": f"{url}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def env_file() -> Path:
    """Return the file with variables that are not in the environment: the one named, or `.env`."""
    named = os.environ.get(ENV_FILE)
    return Path(named).resolve() if named else ROOT / ".env"


def of_the_server(file: Path) -> dict[str, str]:
    """Return the settings that users may choose for the server, and its clients' password.

    Raises:
        SettingsError: The file can't be read.
    """
    try:
        written = dotenv_values(file, encoding="utf-8-sig") if file.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", "it must be a text file in UTF-8")
        raise SettingsError(f"{file} can't be read: {why}") from None
    given = written | os.environ
    chosen = {name: value for name in _PASSED_ON if (value := given.get(name))}
    if password := chosen.get("PREFECT_SERVER_API_AUTH_STRING"):
        chosen["PREFECT_API_AUTH_STRING"] = password
    return chosen


def of_the_runs(file: Path) -> dict[str, str]:
    """Return what runs on the worker need: variables, and the name of the file with the others.

    Each run is executed in a directory of its own, which does not have the project's `.env`.
    """
    variables = {name: value for name, value in os.environ.items() if name.startswith("TE_")}
    if "TE_TOKEN" in variables and not variables.get(ENV_FILE) and not file.is_file():
        return variables
    return variables | {ENV_FILE: str(file)}  # it may be made later, for runs after that
