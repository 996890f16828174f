"""The automations: read strictly, off unless configured, and each of them really fired."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import get_client
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.deployments import arun_deployment

from deployments.automations import FILE, apply_automations, read_automations
from deployments.steps import BootstrapError, Found, Step
from tests.deployments.scene import client_of, simulated, switched_on, until
from tests.deployments.topology import Topology

TEST_IDS = ["765231567", "202702"]
NEEDS_A_LOOK, HAS_NEWS = (
    "thousandeyes-scheduled-run-needs-a-look",
    "thousandeyes-one-test-has-news",
)


def changed(tmp_path: Path, place: int, **values: Any) -> Path:
    content = yaml.safe_load(FILE.read_text("utf-8"))
    content["automations"][place] |= values
    path = tmp_path / "automations.yaml"
    path.write_text(yaml.safe_dump(content), "utf-8")
    return path


def test_all_are_off_until_somebody_switches_them_on() -> None:
    assert not any(entry.enabled for entry in read_automations())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"enable": True}, "enable: Extra inputs"),
        ({"enabled": "perhaps"}, "enabled"),
        ({"trigger": {"type": "event", "expects": ["a"]}}, "Prefect knows no expects"),
        ({"actions": [{"type": "send-notification", "block": "a/b"}]}, "body"),
        (
            {"actions": [{"type": "do-nothing", "blok": "a/b"}]},
            "Prefect knows no blok in 'do-nothing'",
        ),
    ],
)
def test_what_prefect_would_pass_over_is_refused(
    tmp_path: Path, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(BootstrapError, match=said):
        read_automations(changed(tmp_path, 0, **values))


@pytest.fixture
def one_machine(one_machine: Topology) -> Iterator[Topology]:
    with client_of(one_machine):
        yield one_machine


async def applied(enabled: bool, *, dry_run: bool = False) -> Step:  # noqa: FBT001
    [entry] = [one for one in read_automations() if one.name == "thousandeyes-rerun-after-change"]
    entry = entry.model_copy(update={"enabled": enabled})
    async with get_client() as client:
        [step] = [one async for one in apply_automations(client, [entry], [], dry_run=dry_run)]
    return step


@pytest.mark.usefixtures("one_machine")
async def test_one_is_made_once_switched_off_and_on_again_and_else_left_alone() -> None:
    assert (await applied(enabled=True, dry_run=True)).found is Found.MISSING
    found = [(await applied(enabled)).found for enabled in (True, True, False, False, True)]
    assert found[1:] == [
        Found.AS_IT_SHOULD_BE,
        Found.DIFFERENT,
        Found.NOT_WANTED,
        Found.DIFFERENT,
    ]
    await applied(enabled=False)


@pytest.mark.usefixtures("one_machine")
async def test_each_of_them_is_found_as_it_was_made() -> None:
    await CustomWebhookNotificationBlock(name="a-team", url="http://127.0.0.1:9").save(
        "a-team", overwrite=True
    )
    block = {"block": "custom-webhook/a-team"}
    entries = [
        entry.model_copy(
            update={
                "name": f"{entry.name}-copy",
                "enabled": True,
                "actions": [one | (block if "block" in one else {}) for one in entry.actions],
            }
        )
        for entry in read_automations()
    ]
    async with get_client() as client:
        for found in (Found.MISSING, Found.AS_IT_SHOULD_BE):
            steps = [one async for one in apply_automations(client, entries, [], dry_run=False)]
            assert [step.found for step in steps] == [found] * 5, steps
        for entry in entries:
            for there in await client.read_automations_by_name(entry.name):
                await client.delete_automation(there.id)


@pytest.mark.usefixtures("one_machine")
async def test_one_that_names_a_block_that_is_not_there_says_so() -> None:
    with pytest.raises(BootstrapError, match="no block 'slack-webhook/network-team'"):
        async with switched_on(NEEDS_A_LOOK):
            pass


@contextmanager
def mailbox() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Receive what a webhook sends."""
    received: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_the_team_is_told_of_a_failed_scheduled_run_and_of_the_test_that_matters(
    one_machine: Topology,
) -> None:
    async def two() -> bool:
        return len(received) >= 2

    with mailbox() as (url, received), simulated(tests=TEST_IDS) as (_, env):
        block = CustomWebhookNotificationBlock(
            name="network-team",
            url=url,
            json_data={"subject": "{{subject}}", "body": "{{body}}"},
        )
        await block.save("network-team", overwrite=True)
        configured = {"block": "custom-webhook/network-team"}
        async with switched_on(NEEDS_A_LOOK, **configured), switched_on(HAS_NEWS, **configured):
            with one_machine.worker("tells", **env):
                run = await arun_deployment(
                    "rerun-endpoint-tests/scheduled",
                    parameters={"test_ids": [*TEST_IDS, "100200300"], "groups": []},
                    poll_interval=0.5,
                )
                await until(two)
    told = {one["subject"]: one["body"] for one in received}
    sentence = "2 of 3 tests accepted; failed for 1 not_found."
    body = told.pop("Endpoint tests: the scheduled run Failed")
    assert sentence in body
    assert f"{one_machine.url}/runs/flow-run/{run.id}" in body
    [(subject, row)] = told.items()
    assert subject.endswith(": accepted")
    assert '"765231567"' in row
