"""What a Prefect server keeps for the flows: an organization's credentials, and groups of tests.

Prefect finds them by the project's entry point `prefect.collections`: a server that has the project
installed offers them in its UI, any other does once one was saved.
"""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated, ClassVar, Final, TypeVar

from prefect import get_client
from prefect.blocks.abstract import CredentialsBlock
from prefect.blocks.core import Block
from prefect.exceptions import PrefectHTTPStatusError
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import SettingsError
from thousandeyes.rerun import is_test_id, listed
from thousandeyes.settings import API_URL, AccountGroupId, BaseUrl, ThousandEyesSettings, Token
from thousandeyes.thresholds import Thresholds

_STRICT: Final = ConfigDict(extra="forbid", hide_input_in_errors=True)
_BLOCK_NAME: Final = re.compile(r"[a-z0-9-]+")
_SHOWN: Final = 20


class ThousandEyesCredentials(CredentialsBlock):
    """Token, account group and address of one ThousandEyes organization.

    Example:
        ```python
        from tasks.blocks import ThousandEyesCredentials

        credentials = ThousandEyesCredentials.load("BLOCK_NAME")
        ```
    """

    model_config: ClassVar[ConfigDict] = _STRICT
    _block_type_name = "ThousandEyes Credentials"
    _documentation_url = HttpUrl("https://developer.cisco.com/docs/thousandeyes/authentication")

    token: Token
    aid: AccountGroupId = None
    base_url: BaseUrl = API_URL

    def settings(self) -> ThousandEyesSettings:
        """Return the settings of a run with these credentials.

        Limits and timeouts come from the environment; token, account group and address from here
        alone, so that a worker's own never mix with another organization's.

        Raises:
            SettingsError: A limit or a timeout in the environment is wrong.
        """
        return ThousandEyesSettings(token=self.token, aid=self.aid, base_url=self.base_url)

    def get_client(self) -> ThousandEyesClient:
        """Return a client of this organization, to be used as an async context manager.

        Raises:
            SettingsError: A limit, a timeout or a proxy variable in the environment is wrong.
        """
        return ThousandEyesClient(self.settings())


def _as_typed(items: object) -> object:
    # Prefect's first UI has an editor for JSON in this place, and an ID looks like a number.
    if isinstance(items, list) and all(type(item) in (str, int) for item in items):
        return listed(map(str, items))
    return items


def _clean_test_id(test_id: str) -> str:
    if not is_test_id(test_id := test_id.strip()):
        raise ValueError(f"not a test ID: {test_id[:40]!r}, it is letters, digits, '-' and '_'")
    return test_id


TestId = Annotated[str, AfterValidator(_clean_test_id)]
TestIds = Annotated[
    list[TestId],
    BeforeValidator(_as_typed),
    AfterValidator(lambda test_ids: list(dict.fromkeys(test_ids))),
]

CredentialsName = Annotated[str | None, AfterValidator(lambda name: (name or "").strip() or None)]
"""The name of a ThousandEyesCredentials block; a form's empty field is none."""


class EndpointTestGroup(Block):
    """Endpoint instant tests that are run together, and what a run should know of them.

    Example:
        ```python
        from tasks.blocks import EndpointTestGroup

        group = EndpointTestGroup.load("BLOCK_NAME")
        group.test_ids.append("765231567")
        group.save("BLOCK_NAME", overwrite=True)
        ```
    """

    model_config: ClassVar[ConfigDict] = _STRICT
    _block_type_name = "Endpoint Test Group"
    _documentation_url = HttpUrl(
        "https://docs.thousandeyes.com/product-documentation/getting-started/"
        "getting-started-with-the-thousandeyes-api"
    )

    test_ids: TestIds = Field(
        default=[],
        description='IDs of endpoint instant tests, as a list: ["765231567", "765231568"].',
    )
    names: dict[TestId, str] = Field(
        default={},
        description='Names for tables and summaries, by test ID: {"765231567": "Berlin VPN"}.',
    )
    created: list[TestId] = Field(default=[], description="IDs of tests that were created for it.")
    creating: dict[str, str] = Field(
        default={},
        description="Names of tests that may exist, since an answer was lost; with its flow run.",
    )
    thresholds: Thresholds | None = Field(
        default=None, description="What the tests' measurements must keep to."
    )
    aid: AccountGroupId = Field(
        default=None, description="Account group of these tests; the credentials' when left out."
    )
    credentials: CredentialsName = Field(
        default=None,
        description="Name of a ThousandEyes Credentials block; the worker's environment if empty.",
    )

    @field_validator("names")
    @classmethod
    def _are_of_its_tests(cls, names: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        test_ids = frozenset(info.data.get("test_ids", names))
        if strangers := ", ".join(name for name in names if name not in test_ids):
            raise ValueError(f"test_ids does not hold {strangers}")
        return names


def is_block_name(text: str) -> bool:
    """Tell whether Prefect lets a block be named so."""
    return bool(_BLOCK_NAME.fullmatch(text))


AnyBlock = TypeVar("AnyBlock", bound=Block)


async def load_groups(
    names: Iterable[str], credentials: str | None = None
) -> dict[str, EndpointTestGroup]:
    """Load groups of tests by name.

    Args:
        names: The names of the blocks.
        credentials: The credentials block that the same run will need, so that one error tells of
            it too when a group is missing.

    Raises:
        SettingsError: Names every block that is missing or wrong, and what there is instead.
    """
    groups, problems = await _load(EndpointTestGroup, names)
    if problems and credentials:
        problems += (await _load(ThousandEyesCredentials, [credentials]))[1]
    if problems:
        raise SettingsError("; ".join(problems) + _ADVICE)
    return groups


async def load_settings(credentials: str | None) -> ThousandEyesSettings:
    """Return the settings that a credentials block makes, or without one the environment.

    Raises:
        SettingsError: The block is missing or wrong, or a variable is; tells no value.
    """
    if credentials is None:
        return ThousandEyesSettings()
    found, problems = await _load(ThousandEyesCredentials, [credentials])
    if problems:
        raise SettingsError("; ".join(problems) + _ADVICE)
    return found[credentials].settings()


_ADVICE: Final = (
    ". Blocks are made and mended in Prefect's UI; PREFECT_API_URL says which server is asked. "
    "Nothing was sent."
)


async def _load(
    kind: type[AnyBlock], names: Iterable[str]
) -> tuple[dict[str, AnyBlock], list[str]]:
    """Return the blocks found, and what is wrong with the others."""
    title = kind.get_block_type_name()
    found: dict[str, AnyBlock] = {}
    problems, missing = [], []
    for name in dict.fromkeys(names):
        try:
            if not is_block_name(name):  # it becomes part of an address
                raise ValueError  # noqa: TRY301 - what Prefect raises too
            found[name] = await kind.aload(name)
        except ValueError:
            missing.append(repr(name))
        except RuntimeError as error:
            problems.append(f"{title} {name!r} can't be used: {_explain(error)}")
    if missing:
        problems.append(f"no {title} block named {', '.join(missing)} ({await _existing(kind)})")
    return found, problems


async def block_names(kind: type[Block]) -> list[str]:
    """Return the names of all blocks of this kind, in alphabetical order."""
    async with get_client() as client:
        try:
            documents = await client.read_block_documents_by_type(
                kind.get_block_type_slug(), include_secrets=False
            )
        except PrefectHTTPStatusError as error:
            if error.response.status_code != HTTPStatus.NOT_FOUND:
                raise
            return []  # not one was ever saved
    return sorted(document.name for document in documents if document.name)


async def _existing(kind: type[Block]) -> str:
    """Tell which blocks of this kind there are."""
    names = await block_names(kind)
    if not names:
        return "this Prefect server has none"
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"this Prefect server has {', '.join(names[:_SHOWN])}{rest}"


def _explain(error: RuntimeError) -> str:
    """Return where and why a block can't be read, without a value: one may be a token."""
    if not isinstance(cause := error.__cause__, ValidationError):
        return type(cause).__name__
    problems = cause.errors(include_url=False, include_context=False, include_input=False)
    return ", ".join(
        f"{'.'.join(map(str, problem['loc']))}: {problem['msg'].removeprefix('Value error, ')}"
        for problem in problems
    )
