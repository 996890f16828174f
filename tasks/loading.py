"""Loads blocks by name from the Prefect server, and reports all missing or wrong ones at once.

It waits while the server is unreachable.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

from prefect import get_client
from prefect.blocks.core import Block
from prefect.client.schemas.objects import BlockDocument
from prefect.exceptions import PrefectHTTPStatusError
from pydantic import ValidationError

from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials, is_block_name
from tasks.server_calls import until_answered, until_taken
from thousandeyes.errors import SettingsError
from thousandeyes.lists import tokens_among
from thousandeyes.mistakes import told
from thousandeyes.redaction import Redactor, known_tokens, redactor_of_token
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.text import listed, quoted

AnyBlock = TypeVar("AnyBlock", bound=Block)


async def load_groups(
    names: Iterable[str], credentials: str | None = None
) -> dict[str, EndpointTestGroup]:
    """Load groups of tests by name.

    Args:
        names: The names of the blocks.
        credentials: The credentials block that the same run will need, so that one error reports
            it too if a group is missing.

    Raises:
        SettingsError: Blocks are missing or wrong; names each, and those that exist.
    """
    groups, problems = await _load(EndpointTestGroup, names)
    if problems and credentials:
        problems += (await _load(ThousandEyesCredentials, [credentials]))[1]
    if problems:
        raise SettingsError(listed(problems, separator="; ") + _ADVICE)
    return groups


async def load_settings(credentials: str | None) -> ThousandEyesSettings:
    """Return the settings from a credentials block, or without one from the environment.

    From then on their token is known, and nothing repeats it.

    Raises:
        SettingsError: The block or a variable is missing or wrong; repeats no value.
    """
    if credentials is None:
        return ThousandEyesSettings()
    found, problems = await _load(ThousandEyesCredentials, [credentials])
    if problems:
        raise SettingsError(listed(problems, separator="; ") + _ADVICE)
    settings = found[credentials].settings()
    redactor_of_token(settings.token.get_secret_value())
    return settings


_FEW: Final = 100
_ADVICE: Final = (
    ". Create or fix blocks in Prefect's UI. PREFECT_API_URL names the server that was asked. "
    "Nothing was sent."
)


async def _load(
    kind: type[AnyBlock], names: Iterable[str]
) -> tuple[dict[str, AnyBlock], list[str]]:
    """Return the blocks found, and what is wrong with the others."""
    title = kind.get_block_type_name()
    names = list(dict.fromkeys(names))
    refuse_known_tokens(names, f"names of {title} blocks")
    # Only those that exist are asked for, because many IDs may have been pasted here.
    there = names if len(names) <= _FEW else await block_names(kind)
    asked_for = {name for name in there if is_block_name(name)}  # it becomes part of an address
    found: dict[str, AnyBlock] = {}
    problems, missing = [], []
    for name in names:
        try:
            if name not in asked_for:
                raise ValueError  # noqa: TRY301 - what Prefect raises too
            found[name] = await until_taken(partial(kind.aload, name))
        except ValueError:
            missing.append(name)
        except RuntimeError as error:
            problems.append(f"{title} {name!r} can't be used: {why_unusable(error)}")
    if missing:
        what_is_there = await _existing(kind)
        problems.append(f"no {title} block named {quoted(missing)} ({what_is_there})")
    if kind is EndpointTestGroup and any(name.isdecimal() for name in missing):
        problems.append("a number looks like a test ID: put it into test_ids")
    return found, problems


def refuse_known_tokens(names: Iterable[str], what: str) -> None:
    """Make sure that no name contains a token, pasted by mistake: messages repeat names.

    Args:
        names: What somebody named.
        what: What they are called.

    Raises:
        SettingsError: One contains the environment's token, or one that this process has used; says
            how many, but not which.
    """
    if problem := tokens_among(names, _tokens(), what):
        raise SettingsError(f"{problem}. Nothing was sent.")


def without_known_tokens(text: str) -> str:
    """Return a text without the environment's token, and those that this process has used."""
    return Redactor(*_tokens()).data(text)


def _tokens() -> list[str]:
    tokens = known_tokens()
    with suppress(SettingsError):  # reported where it is needed
        tokens.append(ThousandEyesSettings().token.get_secret_value())
    return tokens


def why_unusable(error: RuntimeError) -> str:
    """Return what is wrong with a block that Prefect could not load: forms let people save such.

    Args:
        error: What `aload` raised.
    """
    cause = error.__cause__
    return told(cause) if isinstance(cause, ValidationError) else type(cause).__name__


async def groups_naming(credentials: Collection[str]) -> list[str]:
    """Return the names of the groups that name one of these credentials, in alphabetical order.

    They are not loaded: a group of another organization may be unusable.
    """
    documents = await _documents(EndpointTestGroup)
    return sorted(
        document.name
        for document in documents
        if document.name and str(document.data.get("credentials")).strip() in credentials
    )


async def block_names(kind: type[Block]) -> list[str]:
    """Return the names of all blocks of this kind, in alphabetical order."""
    return sorted(document.name for document in await _documents(kind) if document.name)


async def _documents(kind: type[Block]) -> list[BlockDocument]:
    try:
        return await _read_documents(kind)
    except PrefectHTTPStatusError as error:
        if error.response.status_code != HTTPStatus.NOT_FOUND:
            raise
        return []  # none was ever saved


@until_answered
async def _read_documents(kind: type[Block]) -> list[BlockDocument]:
    async with get_client() as client:
        return await client.read_block_documents_by_type(
            kind.get_block_type_slug(), include_secrets=False
        )


async def _existing(kind: type[Block]) -> str:
    """Tell which blocks of this kind there are."""
    names = await block_names(kind)
    if not names:
        return "this Prefect server has none"
    return f"this Prefect server has {listed(names)}"
