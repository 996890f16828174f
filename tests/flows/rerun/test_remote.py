"""What a parent is told of a run that came to no end of its own; the rest is tested on a worker."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Cancelled, Cancelling, Crashed, Pending, Running, Scheduled

from flows.rerun import RerunOptions, remote
from flows.rerun.remote import RerunUnfinished, _unfinished, rerun_by_deployment
from tests.flows.scene import NO_RUN
from thousandeyes.errors import InvalidTestIds


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (Crashed(message="Exit code -9"), "crashed: Exit code -9. Retry it in Prefect"),
        (Crashed(), "crashed: no reason is known. Retry it in Prefect"),
        (Cancelled(message="Wrong list"), "was cancelled: Wrong list. Retry it in Prefect"),
        (Running(), "is not over after 60 s, and goes on: wait longer, or cancel it"),
        (Cancelling(), "is not over after 60 s"),
        (Scheduled(), "has not begun after 60 s: is a worker up"),
        (Pending(), "has not begun after 60 s: is a worker up"),
    ],
    ids=lambda value: value.name if isinstance(value, State) else "",
)
def test_each_says_what_happened_and_what_to_do(state: State, said: str) -> None:
    run = FlowRun(id=uuid4(), flow_id=uuid4(), name="blue-fox", state=state)
    words = _unfinished(run, 60, 3)
    assert words.startswith(f"The run 'blue-fox' ({run.id}) {said}")
    assert words.endswith("It has recorded 3 outcomes so far.")


@pytest.mark.parametrize("deployment", ["delete-everything/nightly", NO_RUN, ""])
async def test_it_starts_no_deployment_of_another_flow(deployment: str) -> None:
    with pytest.raises(RerunUnfinished, match="is no deployment of rerun-endpoint-tests"):
        await rerun_by_deployment(["1"], deployment=deployment)


def refuse(monkeypatch: pytest.MonkeyPatch, status: int, **body: Any) -> list[dict[str, Any]]:
    """Let a server refuse to start any run; returns what it is asked with."""
    asked = []

    async def start(_deployment: str, **given: Any) -> FlowRun:
        asked.append(given)
        request = httpx.Request("POST", "http://127.0.0.1/api")
        response = httpx.Response(status, request=request, **body)
        raise PrefectHTTPStatusError("refused", request=request, response=response)

    monkeypatch.setattr(remote, "arun_deployment", start)
    return asked


@pytest.mark.parametrize("options", [None, RerunOptions(wait_for_results=True)])
async def test_a_caller_who_names_no_tests_is_told_so(
    monkeypatch: pytest.MonkeyPatch, options: RerunOptions | None
) -> None:
    asked = refuse(monkeypatch, 409, json={"detail": "'test_ids' is a required property"})
    said = r"^no tests given: name test IDs, groups of tests, or both\. Nothing was sent\.$"
    with pytest.raises(InvalidTestIds, match=said):
        await rerun_by_deployment([], groups=[], options=options)
    assert len(asked) == 1, "the deployment could name some itself"


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (409, {"json": {"detail": "Error creating flow run: \x1b[31mno\n"}}, r"[^:]*: \[31mno"),
        (422, {"json": {"exception_detail": [{"msg": "Too long."}], "request": 1}}, "Too long"),
        (409, {"json": {"detail": "x" * 100_000}}, "x{299}…"),
        (409, {"json": ["odd"]}, "it does not say why"),
        (422, {"text": "<html>"}, "it does not say why"),
    ],
)
async def test_a_refusal_is_told_in_the_servers_words_on_one_line(
    monkeypatch: pytest.MonkeyPatch, status: int, body: dict[str, Any], reason: str
) -> None:
    refuse(monkeypatch, status, **body)
    with pytest.raises(RerunUnfinished, match=rf"on-demand': {reason}\. If .* Nothing was sent\.$"):
        await rerun_by_deployment(options=RerunOptions(name_pattern="*"))


async def test_one_test_is_named_by_its_number_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = refuse(monkeypatch, 409)
    with pytest.raises(RerunUnfinished):
        await rerun_by_deployment(578396137)
    assert asked[0]["parameters"] == {"test_ids": ["578396137"]}
