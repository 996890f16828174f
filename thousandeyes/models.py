"""What the API's listings hold; unknown fields are kept, and all but the IDs may be missing.

Source: the vendor's OpenAPI description 7.0.85.
"""

from pydantic import AliasChoices, BaseModel, ConfigDict, Field


class EndpointTest(BaseModel):
    """One endpoint scheduled test. Whether instant tests are listed too is not documented."""

    model_config = ConfigDict(extra="allow", frozen=True)

    test_id: str = Field(validation_alias="testId")
    test_name: str = Field(default="", validation_alias="testName")
    type: str = ""
    aid: str | None = None
    is_enabled: bool | None = Field(default=None, validation_alias="isEnabled")


class AccountGroup(BaseModel):
    """One account group that the token's user belongs to."""

    model_config = ConfigDict(extra="allow", frozen=True)

    aid: str
    name: str = Field(
        default="", validation_alias=AliasChoices("accountGroupName", "account_group_name")
    )
    is_current: bool = Field(default=False, validation_alias="isCurrentAccountGroup")
