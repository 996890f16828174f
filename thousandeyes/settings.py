"""Settings from the environment or `.env`. The name of every variable begins with `TE_`."""

import os
import re
import stat
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from thousandeyes.errors import SettingsError
from thousandeyes.lists import as_text
from thousandeyes.mistakes import mistakes
from thousandeyes.ports import is_port

API_URL = "https://api.thousandeyes.com/v7"
APP_URL: Final = "https://app.thousandeyes.com"
"""Where people see what the API reports."""
ENV_FILE: Final = "TE_ENV_FILE"
"""The variable that names another file than `.env` in the working directory.

Prefect's workers execute each run in a directory of its own, which has no `.env`.
"""

_VERSION: Final = re.compile(r"/v7\Z", re.IGNORECASE)
APP_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")
"""What the app's address looks like: it holds nothing that ends a link in Markdown."""
_WHERE = (
    f"put it into the environment, into .env, or into the file that {ENV_FILE} names; a worker "
    "that `make serve` did not start reads no .env"
)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address never leaves this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _clean_token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value().strip()
    if not text:
        raise ValueError("is empty")
    # Other characters are not allowed in a header, and the HTTP library's error would quote them.
    if not all("!" <= character <= "~" for character in text):
        raise ValueError("contains a space or another character that no token can contain")
    return SecretStr(text)


def _clean_base_url(url: str) -> str:
    # The vendor's command line takes the address without /v7, its Terraform provider with /v7.
    parts = _address(_VERSION.sub("", url.strip().rstrip("/")), API_URL)
    if parts.scheme == "http" and not is_loopback(parts.host):
        raise ValueError("must be https: with http the token would be sent in the clear")
    return f"{parts}".rstrip("/") + "/v7"


def _clean_app_url(url: str | None) -> str | None:
    if not (url or "").strip():
        return None
    parts = _address((url or "").strip().rstrip("/"), APP_URL)
    cleaned = f"{parts}".rstrip("/")
    # It becomes part of a link in Markdown. No host name holds a character that would end the link.
    if not APP_ADDRESS.fullmatch(cleaned):
        raise ValueError(f"must be an address without a path, like {APP_URL}")
    if parts.scheme == "http" and not is_loopback(parts.host):
        raise ValueError("must be https")
    return cleaned


def _address(url: str, example: str) -> httpx.URL:
    try:
        # Parsed by the library that sends to it: two parsers may disagree about the host.
        parts = httpx.URL(url)
    except httpx.InvalidURL:  # the message quotes the URL
        parts = httpx.URL()
    # httpx would take a space as part of the host name.
    if (
        " " in url
        or not parts.host
        or parts.scheme not in ("http", "https")
        or not is_port(parts.port)
    ):
        raise ValueError(f"must be an address like {example}")
    if "@" in url or "?" in url or "#" in url:
        raise ValueError("must hold neither credentials nor a query")
    return parts


def _clean_aid(aid: str | None) -> str | None:
    return (aid or "").strip() or None


def _clean_files_dir(folder: Path | None) -> Path | None:
    if folder is None or folder.is_absolute():
        return folder
    raise ValueError(
        "must be an absolute path, such as /srv/lists: each run has its own working directory"
    )


# These four have the same descriptions and rules here and in Prefect's blocks.
Token = Annotated[
    SecretStr,
    AfterValidator(_clean_token),
    Field(description="A user's API token: Account Settings > Users and Roles > Profile."),
]
AccountGroupId = Annotated[
    str | None,
    BeforeValidator(lambda aid: None if aid is None else as_text(aid)),
    AfterValidator(_clean_aid),
    Field(description="Account group; by default the user's login account group."),
]
BaseUrl = Annotated[
    str,
    AfterValidator(_clean_base_url),
    Field(description="The API's address, with or without /v7; http only for loopback."),
]
AppUrl = Annotated[
    str | None,
    AfterValidator(_clean_app_url),
    Field(description="The app that result links lead to; by default that of the API's region."),
]

# By the API's host. For the government region only the app's host is documented; the API's is
# inferred from it. For Europe no host is known, nor whether there is a separate one.
_APP_OF_REGION: Final = {
    "api.thousandeyes.com": APP_URL,
    "api.thousandeyes.us": "https://app.thousandeyes.us",
}


class EnvironmentSettings(BaseSettings):
    """What the environment or `.env` says.

    Raises:
        SettingsError: A variable is missing or wrong. The message names it, but never its value.
    """

    model_config = SettingsConfigDict(
        env_prefix="TE_",
        env_file_encoding="utf-8-sig",  # editors on Windows write a byte order mark
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - any field, by name
        file = _env_file()
        try:
            super().__init__(_env_file=file, **values)
        except ValidationError as error:
            # Only the places and reasons: pydantic's own text is for developers.
            raise SettingsError(_explain(error)) from None
        except OSError as error:
            raise SettingsError(f"{file} can't be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{file} can't be read: it must be a text file in UTF-8") from None


class ThousandEyesSettings(EnvironmentSettings):
    """What a run needs to know about the API and this organization's limits."""

    token: Token
    aid: AccountGroupId = None
    base_url: BaseUrl = API_URL
    app_url: AppUrl = None
    max_quota_wait: float = Field(
        default=600,
        gt=0,
        description="Seconds that a test may wait for quota while no call of its run gets through.",
    )
    quota_reserve: float = Field(
        default=0, ge=0, lt=1, description="The fraction of each quota that is left to other users."
    )
    password_block_prefix: str = Field(
        default="thousandeyes-",
        min_length=1,
        description="The prefix of the names of blocks that hold passwords of tests.",
    )
    connect_timeout: float = Field(default=5, gt=0, description="Seconds to connect, with TLS.")
    read_timeout: float = Field(default=30, gt=0, description="Seconds without a byte of a reply.")
    write_timeout: float = Field(default=10, gt=0, description="Seconds without a byte sent.")
    pool_timeout: float = Field(default=30, gt=0, description="Seconds for a free connection.")

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - any field, by name
        super().__init__(**values)  # declared again: pydantic's mypy plugin makes another signature

    @property
    def app(self) -> str:
        """The app's address: as set, or that of the API's region if known, or the usual one.

        It ends with the host and port.
        """
        host = httpx.URL(self.base_url).host
        return self.app_url or _APP_OF_REGION.get(host, APP_URL)


class FilesSettings(EnvironmentSettings):
    """Which files of a worker's machine may be named by whoever starts its runs."""

    files_dir: Annotated[Path | None, AfterValidator(_clean_files_dir)] = Field(
        default=None, description="The folder of these files, as an absolute path. None: no files."
    )


def _env_file() -> Path:
    """Return the file that may hold settings.

    Raises:
        SettingsError: TE_ENV_FILE names a file that can't be read.
    """
    named = os.environ.get(ENV_FILE)
    if not named:
        return Path(".env")
    try:
        if not stat.S_ISREG(os.stat(named).st_mode):  # noqa: PTH116 - its error says why
            raise OSError(None, "it is not a regular file")  # noqa: TRY301 - handled below
        Path(named).open("rb").close()
    except OSError as error:
        raise SettingsError(
            f"{ENV_FILE} names {named}, which can't be read: {error.strerror}. Put TE_TOKEN into "
            "it, or name another file by its absolute path"
        ) from None
    return Path(named)


def _explain(error: ValidationError) -> str:
    lines = []
    for place, reason, missing in mistakes(error):
        variable = "TE_" + "_".join(map(str, place)).upper()
        lines.append(f"{variable} is not set: {_WHERE}" if missing else f"{variable}: {reason}")
    return "; ".join(lines)
