"""The automations: read strictly, off unless configured, and each of them really fired."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import yaml
from apprise.plugins.sendgrid import NotifySendGrid
from apprise.plugins.slack import NotifySlack
from prefect import get_client
from prefect.blocks.notifications import (
    AppriseNotificationBlock,
    CustomWebhookNotificationBlock,
    SendgridEmail,
    SlackWebhook,
)
from prefect.deployments import arun_deployment
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.server.events.schemas.automations import EventTrigger
from prefect.server.events.schemas.events import ReceivedEvent, RelatedResource, Resource
from prefect.server.utilities.user_templates import render_user_template_sync
from pydantic import SecretStr

from deployments.automations import FILE, Entry, apply_automations, read_automations
from deployments.ownership import automation_differences
from deployments.steps import BootstrapError
from tests.deployments.scene import client_of, next_run_of, runs_of, simulated, switched_on, until
from tests.deployments.topology import Topology
from thousandeyes.simulator import Behaviour

TEST_IDS = ["765231567", "202702"]
NEEDS_A_LOOK, HAS_NEWS = (
    "thousandeyes-scheduled-run-needs-a-look",
    "thousandeyes-one-test-has-news",
)
JUDGED_AGAIN = "thousandeyes-scheduled-run-is-judged-again"


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
        ({"trigger": {"type": "event", "expects": ["a"]}}, "Prefect has no expects"),
        ({"actions": [{"type": "send-notification", "block": "a/b"}]}, "body"),
        (
            {"actions": [{"type": "do-nothing", "blok": "a/b"}]},
            "Prefect has no blok in 'do-nothing'",
        ),
    ],
)
def test_what_prefect_would_pass_over_is_refused(
    tmp_path: Path, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(BootstrapError, match=said):
        read_automations(changed(tmp_path, 0, **values))


def test_a_key_that_appears_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "automations.yaml"
    path.write_text(FILE.read_text("utf-8") + "\nautomations: []\n", "utf-8")
    with pytest.raises(BootstrapError, match="a key appears twice, first on line"):
        read_automations(path)


def test_a_name_that_appears_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match=f"defined more than once: {HAS_NEWS}"):
        read_automations(changed(tmp_path, 0, name=HAS_NEWS))


@pytest.fixture
def one_machine(one_machine: Topology) -> Iterator[Topology]:
    with client_of(one_machine):
        yield one_machine


async def applied(
    *entries: Entry, dry_run: bool = False, overwrite: bool = False
) -> list[tuple[str, str]]:
    """Apply automations; returns how each was found, and what was told of it."""
    async with get_client() as client:
        return [
            (str(step.found), step.detail)
            async for step in apply_automations(
                client, entries, [], dry_run=dry_run, overwrite=overwrite
            )
        ]


@pytest.fixture
async def copied(one_machine: Topology) -> AsyncIterator[list[Entry]]:
    """Automations like the file's that watch something else, none of which is on the server."""
    assert one_machine
    entries = [
        entry.model_copy(
            update={
                "name": f"copy-{entry.name}",
                "trigger": entry.trigger | {"match_related": {"copy": "yes"}},
            }
        )
        for entry in read_automations()
    ]
    yield entries
    async with get_client() as client:
        for there in await client.read_automations():
            if there.name.startswith("copy-"):
                await client.delete_automation(there.id)


def saved(there: Automation, **changes: Any) -> AutomationCore:
    """Return what the UI sends when it saves an automation."""
    fields = set(AutomationCore.model_fields) - {"owner_resource"}
    return AutomationCore.model_validate(there.model_dump(include=fields) | changes)


OFF = "switched off"
NO_BLOCK = f"{OFF}, and without a block for its notification"


async def test_they_are_made_switched_off_and_found_as_they_were_made(copied: list[Entry]) -> None:
    told = [NO_BLOCK if "notification" in str(entry.actions) else OFF for entry in copied]
    assert told.count(NO_BLOCK) == 2
    for found, dry_run in (("made", True), ("made", False), ("found", False)):
        assert await applied(*copied, dry_run=dry_run) == [(found, detail) for detail in told]


async def test_what_is_set_in_the_ui_stays_until_the_file_is_to_count(copied: list[Entry]) -> None:
    await CustomWebhookNotificationBlock(name="a-team", url="http://127.0.0.1:9").save(
        "a-team", overwrite=True
    )
    entry = copied[0]
    await applied(entry)
    async with get_client() as client:
        [made] = await client.read_automations_by_name(entry.name)
        block = await client.read_block_document_by_name("a-team", "custom-webhook")
        await client.resume_automation(made.id)
        nowhere = "it sends nothing: choose a block for its notification in the UI"
        by_people = "differs from automations.yaml: {}; --overwrite restores the file's value"
        assert await applied(entry) == [("left", f"{by_people.format('enabled')}; {nowhere}")]

        # As the UI saves the page of an automation.
        action = made.actions[0].model_copy(
            update={"block_document_id": block.id, "subject": "Look!"}
        )
        by_hand = saved(made, enabled=True, name="copy-mine", actions=[action])
        await client.update_automation(made.id, by_hand)
        left = [("left", by_people.format("name, enabled, action 1 subject"))]
        assert await applied(entry) == left
        assert await applied(entry, dry_run=True) == left
        there = await client.read_automation(made.id)
        assert there
        assert automation_differences(there, by_hand) == []

        changed = [("changed", "name, switched off, action 1 subject")]
        assert await applied(entry, dry_run=True, overwrite=True) == changed
        assert await applied(entry, overwrite=True) == changed
        # The block that the file names isn't there, so the one that was chosen stays.
        assert await applied(entry) == [("found", OFF)]
        [there] = await client.read_automations_by_name(entry.name)
        assert there.id == made.id


async def test_one_that_runs_something_else_is_mended_and_stays_switched_on(
    copied: list[Entry],
) -> None:
    [entry] = [entry for entry in copied if entry.name.endswith("crashed-run-goes-on")]
    await applied(entry)
    async with get_client() as client:
        [made] = await client.read_automations_by_name(entry.name)
        # The UI leaves this out of all that it saves.
        action = made.actions[0].model_copy(update={"schedule_after": timedelta(0)})
        await client.update_automation(made.id, saved(made, enabled=True, actions=[action]))
    left = ("left", "differs from automations.yaml: enabled; --overwrite restores the file's value")
    assert await applied(entry) == [("changed", "action 1 schedule_after"), left]
    assert await applied(entry) == [left]


async def test_one_that_names_what_is_not_there_says_so(copied: list[Entry]) -> None:
    switched_on = copied[0].model_copy(update={"enabled": True})
    with pytest.raises(BootstrapError, match="no block 'slack-webhook/network-team'"):
        await applied(switched_on)
    await applied(copied[0])
    with pytest.raises(BootstrapError, match="no block 'slack-webhook/network-team'"):
        await applied(switched_on, overwrite=True)
    for name in ("no/such", "no-name-of-a-deployment"):
        actions = [copied[1].actions[0] | {"deployment": name}]
        with pytest.raises(BootstrapError, match=f"no deployment '{name}'"):
            await applied(copied[1].model_copy(update={"actions": actions}))


@contextmanager
def mailbox() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Receive what a webhook sends."""
    received: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

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


AS_MEANT = str.maketrans("\u2039\u203a\u2217\u02cd\u223c\u02cb", "<>*_~`", "\u2060")
HOSTILE = (
    "<img src=//evil.invalid/a> ![x](//evil.invalid/b) [x][y] [y]: //evil.invalid/c <!channel> "
    "http://evil.invalid www.evil.invalid <http://evil.invalid|here> @everyone"
)


@pytest.mark.parametrize("place", ["subject", "body"])
@pytest.mark.parametrize("name", [NEEDS_A_LOOK, HAS_NEWS])
@pytest.mark.parametrize("text", [HOSTILE, "Berlin & *Oslo* ``x`` 50 % > 7", HOSTILE * 1_000])
def test_a_notification_holds_no_tag_no_link_no_picture_and_no_mention(
    text: str, name: str, place: str
) -> None:
    [entry] = [one for one in read_automations() if one.name == name]
    payload = {"description": text, "data": json.dumps([{"detail": text}])}
    context = {
        "flow_run": SimpleNamespace(state=SimpleNamespace(name="Failed", message=text)),
        "event": SimpleNamespace(payload=payload),
    }
    template = str(entry.actions[0][place]).replace("{{ flow_run|ui_url }}", "")
    told = render_user_template_sync(template, context)
    assert len(told) < 10_100
    for harm in ("<", ">", "*", "`", "//", "www.", "](", "][", "]:", "@e"):
        assert harm not in told
    if "flow_run.state.message" in template and len(text) < 3_000:
        assert told.strip().translate(AS_MEANT) == text


@pytest.mark.parametrize("message", [None, ""])
def test_a_notification_about_a_run_that_gives_no_reason_says_so(message: str | None) -> None:
    [entry] = [one for one in read_automations() if one.name == NEEDS_A_LOOK]
    body = entry.actions[0]["body"].replace("{{ flow_run|ui_url }}", "https://prefect.example/runs")
    state = SimpleNamespace(name="Cancelled", message=message)
    told = render_user_template_sync(body, {"flow_run": SimpleNamespace(state=state)})
    assert told == "Prefect gives no reason.\nhttps://prefect.example/runs"


NAME = "*Pay*_roll_ `x` ~y~ :fire: !channel> @here <b>Vienna</b> https://evil.invalid|here>"


@pytest.mark.parametrize("form", ["slack", "mail"])
async def test_a_name_neither_formats_nor_mentions_anybody_in_what_slack_and_mail_receive(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [entry] = [one for one in read_automations() if one.name == NEEDS_A_LOOK]
    state = SimpleNamespace(name="Failed", message=f"1 of 3 tests failed: {NAME} (not found).")
    body = entry.actions[0]["body"].replace("{{ flow_run|ui_url }}", "https://prefect.example/runs")
    text = render_user_template_sync(body, {"flow_run": SimpleNamespace(state=state)})
    with mailbox() as (url, received):
        block: AppriseNotificationBlock | SendgridEmail
        if form == "slack":
            monkeypatch.setattr(NotifySlack, "webhook_url", url.rstrip("/"))
            address = f"https://hooks.slack.com/services/T12345678/B12345678/{'x' * 24}"
            block = SlackWebhook(url=SecretStr(address))
        else:
            monkeypatch.setattr(NotifySendGrid, "notify_url", url)
            block = SendgridEmail(
                api_key=SecretStr("x" * 20),
                sender_email="prefect@example.com",
                to_emails=["team@example.com"],
            )
        with block.raise_on_failure():
            await block.anotify(text, "Endpoint tests: the scheduled run Failed")
    [sent] = received
    told = str(sent)
    assert "1 of 3 tests failed:" in told
    assert "(not found)" in told
    assert told.count("https://prefect.example/runs") == 1
    # What Slack and browsers would obey; a message holds them in no other place.
    for harm in ("<", "&lt;", ">", "*", "`", "~", "_roll_", ":fire:", "@here", "https://evil"):
        assert harm not in told


@pytest.mark.parametrize(
    ("ending", "sentence", "judged"),
    [
        ("Completed", "2 of 2 tests passed.", True),
        ("Failed", "1 of 2 tests failed: Payroll; 1 passed.", True),
        ("Completed", "Dry run: 2 tests. Nothing was sent.", False),
        ("Crashed", "", False),
    ],
)
def test_what_ended_with_verdicts_is_judged_again_and_a_dry_run_has_none(
    ending: str, sentence: str, *, judged: bool
) -> None:
    [entry] = [one for one in read_automations() if one.name == JUDGED_AGAIN]
    # What the file leaves out is Prefect's own choice.
    trigger = EventTrigger.model_validate({"posture": "Reactive"} | entry.trigger)
    run = {"prefect.resource.id": "prefect.flow-run.1", "prefect.state-message": sentence}
    related = [
        {
            "prefect.resource.id": f"prefect.{role}.1",
            "prefect.resource.role": role,
            "prefect.resource.name": name,
        }
        for role, name in (("flow", "rerun-endpoint-tests"), ("deployment", "scheduled"))
    ]
    event = ReceivedEvent(
        event=f"prefect.flow-run.{ending}",
        occurred=datetime.now(UTC),
        resource=Resource(run),
        related=[RelatedResource(one) for one in related],
        id=uuid4(),
    )
    assert trigger.covers(event) is judged


FAILED = "Endpoint tests: the scheduled run Failed"
ACCEPTED = (
    "Payroll over VPN (Turin): accepted. Successfully reran the instant scheduled test with "
    f"testId={TEST_IDS[0]}"
)


async def test_a_failed_scheduled_run_is_told_of_with_the_test_that_matters_and_judged_again(
    one_machine: Topology,
) -> None:
    async def both() -> bool:
        return {FAILED, ACCEPTED} <= set(told())

    def told() -> dict[str, str]:
        return {one["subject"].translate(AS_MEANT): one["body"] for one in received}

    late = {"*": [Behaviour(agents=[0], answers="never")]}
    quick = {"agents": 9, "healthy": True, "results_after_seconds": 0.1, "agents_of": late}
    with mailbox() as (url, received), simulated(tests=TEST_IDS, **quick) as (simulator, env):
        block = CustomWebhookNotificationBlock(
            name="network-team",
            url=url,
            json_data={"subject": "{{subject}}", "body": "{{body}}"},
        )
        await block.save("network-team", overwrite=True)
        configured = {"block": "custom-webhook/network-team"}
        known = await runs_of("judge-run-again/judge-again")
        async with (
            switched_on(NEEDS_A_LOOK, **configured),
            switched_on(HAS_NEWS, **configured),
            switched_on(JUDGED_AGAIN, schedule_after=0),
        ):
            with one_machine.worker("watched", **env):
                options = {"wait_for_results": True, "results_deadline_minutes": 0.05}
                tests = {"test_ids": [*TEST_IDS, "100200300"], "groups": []}
                run = await arun_deployment(
                    "rerun-endpoint-tests/scheduled",
                    parameters=tests | {"options": options},
                    poll_interval=0.5,
                )
                again = await next_run_of("judge-run-again/judge-again", known)
                await until(both)

    sentence = "1 of 3 tests failed: 100200300 (not found); 2 passed; 2 verdicts are provisional."
    assert sentence in told()[FAILED].translate(AS_MEANT)
    for subject in (FAILED, ACCEPTED):
        assert f"{one_machine.url}/runs/flow-run/{run.id}" in told()[subject]
    assert not any("Intranet" in subject for subject in told()), "nobody asked for its news"

    assert again.parameters == {"run": str(run.id)}
    assert again.state
    # It comes at once here, and so too early.
    assert str(again.state.message).startswith("0 of 2 provisional verdicts are final now")
    assert [simulator.runs(test_id) for test_id in TEST_IDS] == [1, 1]
