"""What a Prefect server keeps for the flows: an organization's credentials, and groups of tests.

Prefect finds them by the project's entry point `prefect.collections`: a server that has the project
installed offers them in its UI, any other does once one was saved.
"""

import re
from collections.abc import Mapping
from itertools import chain
from numbers import Real
from typing import Annotated, Any, ClassVar, Final

from prefect.blocks.abstract import CredentialsBlock
from prefect.blocks.core import Block
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    HttpUrl,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import CoreSchema, core_schema

from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import SettingsError
from thousandeyes.lists import entries, gathered, ids_in, one_test_id
from thousandeyes.settings import (
    API_URL,
    AccountGroupId,
    AppUrl,
    BaseUrl,
    ThousandEyesSettings,
    Token,
)
from thousandeyes.text import listed
from thousandeyes.thresholds import Thresholds

_STRICT: Final = ConfigDict(extra="forbid", hide_input_in_errors=True)
_BLOCK_NAME: Final = re.compile(r"[a-z0-9-]{1,255}")


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
    app_url: AppUrl = None

    def settings(self) -> ThousandEyesSettings:
        """Return the settings of a run with these credentials.

        Limits and timeouts come from the environment; token, account group and addresses only
        from here, so that a worker's own never mix with another organization's.

        Raises:
            SettingsError: A limit or a timeout in the environment is wrong.
        """
        return ThousandEyesSettings(
            token=self.token, aid=self.aid, base_url=self.base_url, app_url=self.app_url
        )

    def get_client(self) -> ThousandEyesClient:
        """Return a client of this organization, to be used as an async context manager.

        Raises:
            SettingsError: A limit, a timeout or a proxy variable in the environment is wrong.
        """
        return ThousandEyesClient(self.settings())


def _read_by_item(_source: object, _handler: object) -> CoreSchema:
    # Item by item, so that a mistake is reported with the place of its item.
    items = core_schema.list_schema(core_schema.no_info_plain_validator_function(ids_in))
    read = core_schema.no_info_after_validator_function(
        lambda found: list(dict.fromkeys(chain.from_iterable(found))), items
    )
    return core_schema.no_info_before_validator_function(
        lambda written: [written] if isinstance(written, str | Real) else written, read
    )


TestId = Annotated[str, BeforeValidator(one_test_id)]
TestIds = Annotated[
    list[str],
    GetPydanticSchema(_read_by_item),
    WithJsonSchema(
        {
            "anyOf": [
                {"title": "Text", "type": "string"},
                {"title": "List", "type": "array", "items": {"type": "string"}},
            ]
        }
    ),
]


def _begin_with_text(shown: dict[str, Any]) -> None:
    del shown["default"]  # a form finds the tab by its type


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
        description="IDs of endpoint instant tests, such as 765231567: a pasted text or a list.",
        json_schema_extra=_begin_with_text,
    )
    names: dict[TestId, str] = Field(
        default={},
        description='Names for tables and summaries, by test ID: {"765231567": "Berlin VPN"}.',
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
    created: list[TestId] = Field(
        default=[],
        title="Kept by create-endpoint-tests: created",
        description="IDs of tests that were created for it. Not for you to fill in.",
    )
    creating: dict[str, str] = Field(
        default={},
        title="Kept by create-endpoint-tests: creating",
        description=(
            "Names of tests that may exist, since an answer was lost, each with its flow run. Not "
            "for you to fill in."
        ),
    )

    @field_validator("names")
    @classmethod
    def _are_of_its_tests(cls, names: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        test_ids = frozenset(info.data.get("test_ids", names))
        if strangers := [name for name in names if name not in test_ids]:
            raise ValueError(f"test_ids does not hold {listed(strangers)}")
        return names


def by_organization(groups: Mapping[str, EndpointTestGroup]) -> dict[str | None, list[str]]:
    """Return the groups' names by the credentials that they name; None: the environment."""
    found: dict[str | None, list[str]] = {}
    for name, group in groups.items():
        found.setdefault(group.credentials, []).append(name)
    return found


def is_block_name(text: str) -> bool:
    """Tell whether Prefect allows this name for a block, and can ask its server for it.

    It puts the name into the address as it is.
    """
    return bool(_BLOCK_NAME.fullmatch(text))


def read_names(written: object, where: str) -> list[str]:
    """Return the names of blocks in a text or a list, each item of which may hold several.

    Args:
        written: The text, or the list.
        where: What to call it in messages.

    Raises:
        SettingsError: It is neither a text nor a list of texts and whole numbers.
    """
    try:
        return gathered(written, where, lambda item: [name.text for name in entries(item)])
    except ValueError as error:
        raise SettingsError(f"{error}. Nothing was sent.") from None
