"""Parts of a reply of which a field counts as missing if it holds something unexpected."""

from typing import Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)

NO_FLAG: Final = BeforeValidator(lambda value: None if isinstance(value, bool) else value)
"""For numbers: Python counts True as 1."""


class Lenient(BaseModel):
    """A part of a reply; a field whose value does not fit its type has its default, if any."""

    model_config = ConfigDict(frozen=True)

    @field_validator("*", mode="wrap")
    @classmethod
    def _odd_is_missing(
        cls, value: object, validate: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Any:  # noqa: ANN401 - any field's
        try:
            return validate(value)
        except ValidationError:
            field = cls.model_fields[info.field_name or ""]
            if field.is_required():
                raise
            return field.get_default()
