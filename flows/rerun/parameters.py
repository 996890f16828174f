"""What a run is asked for: the flow's parameters as one value."""

from typing import Self

from prefect.client.schemas.objects import FlowRun
from pydantic import BaseModel, ConfigDict, ValidationError

from flows.rerun.options import RerunOptions
from thousandeyes.errors import SettingsError
from thousandeyes.rerun import listed


class Parameters(BaseModel):
    """The parameters of `rerun_endpoint_tests`, which tells what each means."""

    model_config = ConfigDict(frozen=True)

    test_ids: list[str] = []
    groups: list[str] = []
    credentials: str | None = None
    options: RerunOptions = RerunOptions()

    @property
    def name_tests(self) -> bool:
        """Whether they name any tests themselves, in whatever way."""
        chosen = self.options.name_pattern or self.options.test_ids_file
        return bool(chosen or listed(self.test_ids) or listed(self.groups))

    @classmethod
    def of(cls, flow_run: FlowRun) -> Self:
        """Return the parameters that a flow run was given.

        Raises:
            SettingsError: They are not this flow's.
        """
        try:
            return cls.model_validate(flow_run.parameters)
        except ValidationError:
            raise SettingsError(
                f"only_failed_of: {flow_run.name!r} is no run of rerun-endpoint-tests, or one of "
                "a version whose parameters are not known here. Nothing was sent."
            ) from None
