"""What the person who starts a creation may choose; the UI's form shows each description."""

from pydantic import BaseModel, ConfigDict, Field

from thousandeyes.outcomes import GOOD, Outcome


class CreateOptions(BaseModel):
    """How a run creates its tests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    create_again: list[str] = Field(
        default=[],
        description=(
            "Names of tests to create although an earlier call may have created them: its "
            "answer was lost, and you have checked that the test doesn't exist."
        ),
    )
    fail_on: list[Outcome] = Field(
        default=[outcome for outcome in Outcome if outcome not in GOOD],
        description="The run fails when a test ends in one of these; with an empty list, never.",
    )
