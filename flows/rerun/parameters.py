"""What a run is asked for: the flow's parameters as one value."""

import json
from typing import Any, Final, Self

from prefect.client.schemas.objects import FlowRun
from pydantic import BaseModel, ConfigDict, ValidationError

from flows.rerun.options import RerunOptions
from tasks.blocks import CredentialsName, read_names
from thousandeyes.errors import InvalidTestIds, SettingsError
from thousandeyes.lists import read_test_ids

FLOW: Final = "rerun-endpoint-tests"


class Parameters(BaseModel):
    """The parameters of `rerun_endpoint_tests`, which explains each."""

    model_config = ConfigDict(frozen=True)

    test_ids: list[str] = []
    groups: list[str] = []
    credentials: CredentialsName = None
    options: RerunOptions = RerunOptions()

    @property
    def name_tests(self) -> bool:
        """Whether they name any tests themselves, in any way."""
        chosen = self.options.name_pattern or self.options.test_ids_file
        return bool(chosen or self.test_ids or self.groups)

    def check_size(self, limit: int) -> None:
        """Make sure that Prefect takes them.

        Args:
            limit: How many bytes of parameters it takes; 0: any number.

        Raises:
            InvalidTestIds: They are larger.
        """
        values: dict[str, Any] = self.model_dump(mode="json")
        size = len(json.dumps(values, separators=(",", ":")).encode())
        if size > limit > 0:
            raise InvalidTestIds(
                f"{len(self.test_ids):,} test IDs are {size:,} bytes, and Prefect takes {limit:,} "
                "bytes of parameters per run. Put them into a file and name it with "
                "--test-ids-file, or raise PREFECT_SERVER_API_MAX_PARAMETER_SIZE here and on the "
                "server. Nothing was sent."
            )

    @classmethod
    def read(cls, **given: Any) -> Self:  # noqa: ANN401 - the flow's parameters
        """Return what the flow was given, its lists taken apart.

        Raises:
            InvalidTestIds: The test IDs are not a list of IDs.
            SettingsError: The groups are not a list of names.
            ValidationError: Another parameter is wrong.
        """
        lists = {
            "test_ids": read_test_ids(given.get("test_ids", [])),
            "groups": read_names(given.get("groups") or [], "groups"),
        }
        return cls.model_validate(given | lists)

    @classmethod
    def of(cls, flow_run: FlowRun, flow: str, option: str = "only_failed_of") -> Self:
        """Return the parameters that a flow run was given.

        Args:
            flow_run: The run.
            flow: The name of its flow.
            option: The option that names the run, for error messages.

        Raises:
            SettingsError: They are not this flow's.
        """
        if flow != FLOW:
            raise SettingsError(
                f"{option}: {flow_run.name!r} is a run of {flow}, and not of {FLOW}. "
                "Nothing was sent."
            )
        try:
            return cls.read(**flow_run.parameters)
        except (InvalidTestIds, SettingsError, ValidationError):
            raise SettingsError(
                f"{option}: the parameters of {flow_run.name!r} can't be read: they are wrong, or "
                "come from an unknown version. Nothing was sent."
            ) from None
