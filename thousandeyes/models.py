"""What this project reads of the API's listings. All fields but the IDs may be missing or null.

A field that holds something unexpected counts as missing, and a text is cut after 1,000 characters.
Other fields are left out: an account with 10,000 tests has megabytes of them.

Source: the vendor's OpenAPI description 7.0.110, as its client 6.0.0 has it.
"""

from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    AwareDatetime,
    ConfigDict,
    Field,
    model_validator,
)

from thousandeyes.lists import clean_test_id
from thousandeyes.missing import NO_FLAG, Lenient

_OFFLINE_AFTER: Final = 3600.0
_LONGEST_INTERVAL: Final = 86_400
_LONGEST_ID: Final = 100
_LONGEST_TEXT: Final = 1000

Id = Annotated[str, Field(max_length=_LONGEST_ID)]
Text = Annotated[str, AfterValidator(lambda text: text[:_LONGEST_TEXT])]


class Listed(Lenient):
    """An item of one of the API's lists."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    @classmethod
    def members(cls) -> frozenset[str]:
        """Return the names of all members of the API's JSON that fields are read from."""
        aliases = (field.validation_alias or name for name, field in cls.model_fields.items())
        return frozenset().union(*map(_names, aliases))

    @model_validator(mode="before")
    @classmethod
    def _null_is_missing(cls, item: object) -> Any:  # noqa: ANN401 - JSON
        if isinstance(item, dict):
            return {name: value for name, value in item.items() if value is not None}
        return item


def _names(alias: str | AliasPath | AliasChoices) -> set[str]:
    if isinstance(alias, AliasChoices):
        return set().union(*map(_names, alias.choices))
    return {alias} if isinstance(alias, str) else set(map(str, alias.path))


class EndpointTest(Listed):
    """One endpoint scheduled test. Whether instant tests are listed too is not documented."""

    test_id: Annotated[str, AfterValidator(clean_test_id)] = Field(validation_alias="testId")
    test_name: Text = Field(default="", validation_alias="testName")
    type: Text = ""
    aid: Id | None = None
    is_enabled: bool | None = Field(default=None, validation_alias="isEnabled")
    interval: Annotated[int | None, Field(gt=0, le=_LONGEST_INTERVAL), NO_FLAG] = None
    """Seconds between its rounds; the rounds' IDs are multiples of it."""
    max_machines: Annotated[int | None, NO_FLAG] = Field(
        default=None, gt=0, validation_alias=AliasPath("agentSelectorConfig", "maxMachines")
    )
    """The most agents that run it."""
    agents: tuple[Id, ...] | None = Field(
        default=None, validation_alias=AliasPath("agentSelectorConfig", "agents")
    )
    """The IDs of the agents that may run it, if they are listed one by one."""


class Agent(Listed):
    """One endpoint agent, usually a laptop."""

    agent_id: Id = Field(validation_alias="id")
    name: Text = Field(default="", validation_alias=AliasChoices("name", "computerName"))
    status: Text = ""
    deleted: bool = False
    last_seen: AwareDatetime | None = Field(default=None, validation_alias="lastSeen")
    """When it last checked in, by the server's clock."""

    def is_online(self, now: float) -> bool:
        """Tell whether it can answer at `now`, in epoch seconds of the server's clock.

        Source: the vendor's documents. Agents check in every 10 minutes, and an agent that was not
        seen for an hour is offline. An agent without a last contact counts as online.
        """
        if self.status == "disabled" or self.deleted:
            return False
        return self.last_seen is None or now - self.last_seen.timestamp() < _OFFLINE_AFTER


class AccountGroup(Listed):
    """One account group that the token's user belongs to."""

    aid: Id
    name: Text = Field(
        default="", validation_alias=AliasChoices("accountGroupName", "account_group_name")
    )
    is_current: bool = Field(default=False, validation_alias="isCurrentAccountGroup")
