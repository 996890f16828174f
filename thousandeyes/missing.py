"""Fields of a reply that count as missing if they hold something unexpected."""

from typing import Any, Final

from pydantic import (
    BeforeValidator,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)


def _or_none(value: object, validate: ValidatorFunctionWrapHandler) -> Any:  # noqa: ANN401
    try:
        return validate(value)
    except ValidationError:
        return None


OR_NONE: Final = WrapValidator(_or_none)
"""None if the value does not fit the type."""
NO_FLAG: Final = BeforeValidator(lambda value: None if isinstance(value, bool) else value)
"""For numbers: Python counts True as 1."""
