"""What this project reads of the API's listings; all but the IDs may be missing or null.

Other fields are left out: an account with 10,000 tests has megabytes of them.

Source: the vendor's OpenAPI description 7.0.85.
"""

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator


class _Listed(BaseModel):
    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_missing(cls, item: object) -> Any:  # noqa: ANN401 - JSON
        if isinstance(item, dict):
            return {name: value for name, value in item.items() if value is not None}
        return item


class EndpointTest(_Listed):
    """One endpoint scheduled test. Whether instant tests are listed too is not documented."""

    test_id: str = Field(validation_alias="testId")
    test_name: str = Field(default="", validation_alias="testName")
    type: str = ""
    aid: str | None = None
    is_enabled: bool | None = Field(default=None, validation_alias="isEnabled")


class AccountGroup(_Listed):
    """One account group that the token's user belongs to."""

    aid: str
    name: str = Field(
        default="", validation_alias=AliasChoices("accountGroupName", "account_group_name")
    )
    is_current: bool = Field(default=False, validation_alias="isCurrentAccountGroup")
