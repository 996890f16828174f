"""The options of a run around a change: those of both halves."""

from typing import Any, Final, Self

from pydantic import ConfigDict, Field, model_validator

from flows.rerun.options import USUAL, Choice, RerunOptions
from thousandeyes.outcomes import Outcome
from thousandeyes.standing import Change

UNFIT: Final = (
    "wait_for_results",  # both halves always do
    "only_failed_of",
    "compare_with",
    "skip_if_run_within_minutes",
    "dry_run",
)
"""Options of a rerun with which two halves could not be compared."""


def _leave_out_what_is_unfit(schema: dict[str, Any]) -> None:
    for name in UNFIT:
        del schema["properties"][name]
    schema["usual"] = [name for name in USUAL if name not in UNFIT]


class AroundChangeOptions(RerunOptions):
    """How both halves run: the options of a rerun that keep them comparable."""

    model_config = ConfigDict(json_schema_extra=_leave_out_what_is_unfit)

    fail_on: list[Choice] = Field(
        default=[Change.NEW_FAILURE, Outcome.NOT_ATTEMPTED],
        description=(
            "The run fails when a test ends in one of these after the change; with an empty list, "
            "never. new_failure: the test fails and is not known to have failed before the "
            "change, or it could not be measured after the change."
        ),
    )

    @model_validator(mode="after")
    def _leaves_the_halves_comparable(self) -> Self:
        if given := [name for name in UNFIT if name in self.model_fields_set]:
            raise ValueError(f"a run around a change does not take {', '.join(given)}")
        return self

    def of_half(self, **own: object) -> RerunOptions:
        """Return the options of one half.

        Args:
            own: The options in which this half differs from the other.
        """
        shared = self.model_dump(exclude=set(UNFIT))
        return RerunOptions.model_validate(shared | {"wait_for_results": True} | own)
