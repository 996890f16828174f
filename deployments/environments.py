"""What the processes of `make serve` have in their environment.

Source of what guards the server: https://docs.prefect.io/v3/advanced/security-settings. Without it
a page of any site can read its API.
"""

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
"""Variables of Prefect that reach the server; all others are the user's own Prefect's."""

_LEASES: Final = "prefect.server.concurrency.lease_storage.filesystem"
"""Where a run's place under a concurrency limit survives a restart of the server; Prefect's own
default is the server's memory, and a run whose lease is gone ends as crashed."""


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


def guarded(port: int) -> dict[str, str]:
    """Return the settings of a server that answers only its own pages on this machine."""
    own = (f"http://{host}:{port}" for host in ("127.0.0.1", "localhost"))
    return {
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": _LEASES,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(own),
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
    }


def env_file() -> Path:
    """Return the file that holds what is not in the environment: one that is named, or `.env`."""
    named = os.environ.get(ENV_FILE)
    return Path(named).resolve() if named else ROOT / ".env"


def of_the_server(file: Path) -> dict[str, str]:
    """Return what a user may choose for the server, and the password that its clients then need.

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
    """Return what runs on the worker need: variables, and the file that has the others.

    Runs are executed in directories of their own, where the project's `.env` does not lie.
    """
    variables = {name: value for name, value in os.environ.items() if name.startswith("TE_")}
    if "TE_TOKEN" in variables and not variables.get(ENV_FILE) and not file.is_file():
        return variables
    return variables | {ENV_FILE: str(file)}  # one that is made later counts for the runs then
