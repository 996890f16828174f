"""What a run would do: found out, told and recorded, with nothing sent."""

import asyncio
import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from pydantic import SecretStr

from flows.rerun import RerunOptions, rerun_endpoint_tests
from flows.rerun.command_line import main
from flows.rerun.dry_run import KEY, LONGEST, Known, findings, markdown, read_known
from flows.rerun.plan import documented_plan
from tasks.publication import DRY_RUNS
from tests.flows.rerun.schema import keeps_to_its_schema
from tests.flows.scene import SUMMARY, Simulate, artifacts_of, ids, sent
from tests.thousandeyes.virtual_time import run
from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import SettingsError, TokenRefused
from thousandeyes.fleet import AgentsPage, Fleet
from thousandeyes.gate import QuotaGate
from thousandeyes.models import AccountGroup, Agent, EndpointTest
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.settings import ThousandEyesSettings

pytestmark = pytest.mark.usefixtures("prefect_server")

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
MINE = AccountGroup(aid="7", accountGroupName="Berlin", isCurrentAccountGroup=True)
AWAKE = Agent(id="a", lastSeen=NOW)
RECORDS = [Record("1"), Record("2")]


def fleet(agents: list[Agent], **told: Any) -> Fleet:
    found = Fleet()
    page = {"total": len(agents), "is_last": True} | told
    found.take(AgentsPage(agents, **page), NOW.timestamp())
    return found


def known(
    tests: Mapping[str, EndpointTest] | None = None, agents: list[Agent] | None = None, **told: Any
) -> Known:
    listed = {test_id: EndpointTest(testId=test_id, testName="A", type="x") for test_id in "12"}
    return Known(
        aid=told.get("aid"),
        groups=told.get("groups", [MINE]),
        tests={None: listed if tests is None else tests, **told.get("elsewhere", {})},
        fleet=fleet([AWAKE] if agents is None else agents),
        unread=told.get("unread", ()),
    )


def test_nothing_is_found_where_all_is_well() -> None:
    assert findings(RECORDS, known()) == []
    assert "Nothing that can be seen from here." in markdown(RECORDS, known(), "2 tests")


def test_a_test_that_is_missing_among_listed_ones_may_be_gone() -> None:
    [found] = findings(RECORDS, known({"1": EndpointTest(testId="1")}))
    assert found == "Not listed although others are, and perhaps gone: 2."


def test_when_none_is_listed_that_may_be_so_for_instant_tests() -> None:
    [found] = findings(RECORDS, known({}))
    assert "may not list instant tests at all" in found


def test_disabled_tests_are_told() -> None:
    tests = {test_id: EndpointTest(testId=test_id, isEnabled=False) for test_id in "12"}
    assert findings(RECORDS, known(tests)) == ["Disabled: 1, 2."]


def test_an_account_group_of_others_is_told() -> None:
    records = [Record("1", aid="8")]
    [first, *_] = findings(records, known(aid="9", elsewhere={"8": None}))
    assert first == "The token's user is not in account group 8."
    assert findings(RECORDS, known(aid="9")) == ["The token's user is not in account group 9."]


def test_account_groups_that_can_not_be_read_accuse_nobody() -> None:
    assert findings(RECORDS, known(aid="9", groups=None)) == []


def test_nobody_online_is_told() -> None:
    asleep = Agent(id="a", lastSeen=datetime(2026, 11, 22, tzinfo=UTC))
    assert findings(RECORDS, known(agents=[asleep])) == [
        "No agent is online, so nothing would be measured."
    ]


def test_agents_that_were_not_all_read_are_told_as_such() -> None:
    asleep = Agent(id="a", lastSeen=datetime(2026, 11, 22, tzinfo=UTC))
    part = replace(known(), fleet=fleet([asleep], total=9_000, is_last=False))
    assert findings(RECORDS, part) == ["Only 1 of 9000 agents were read, in at most 60 calls."]


def test_what_could_not_be_read_is_told_and_nothing_concluded_from_it() -> None:
    records = [Record("1", aid="7")]
    unread = known(elsewhere={"7": None}, unread=["the tests of account group 7: 403: Forbidden"])
    assert findings(records, unread) == [
        "Could not read the tests of account group 7: 403: Forbidden."
    ]


def test_what_an_api_that_trickles_does_not_tell_within_minutes_is_not_waited_for() -> None:
    cursors = itertools.count()

    async def trickle(request: httpx.Request) -> httpx.Response:
        agents = request.url.path.endswith("/agents")
        await asyncio.sleep(50 if agents else 0.1)
        next_page = {"next": {"href": f"/?cursor={next(cursors)}"}}
        listed = {"agents": [{"id": "a"}], "_links": next_page} if agents else {"tests": []}
        return httpx.Response(200, json={"accountGroups": [], **listed})

    async def main() -> tuple[Known, float]:
        loop, settings = asyncio.get_running_loop(), ThousandEyesSettings(token=SecretStr("secret"))
        gate, transport = QuotaGate(clock=loop.time), httpx.MockTransport(trickle)
        async with ThousandEyesClient(settings, gate=gate, transport=transport) as client:
            return await read_known(client, RECORDS), loop.time()

    known, took = run(main())
    assert known.unread == ["the agents: no answer in time"]
    assert known.tests == {None: {}}
    assert took <= LONGEST


def test_the_plan_counts_with_the_documented_limit_and_the_reserve() -> None:
    assert (
        documented_plan(96, 0) == "96 tests, 24 a minute: about 3 minutes, at the API's "
        "documented limit"
    )
    assert "about 7 minutes" in documented_plan(96, 0.5)
    assert documented_plan(1, 0).startswith("1 test, ")


async def test_a_dry_run_records_its_plan_and_sends_no_rerun(simulate: Simulate) -> None:
    simulator = simulate(tests=ids(30))
    state = await rerun_endpoint_tests(
        [*ids(30), "404404"], options=RerunOptions(dry_run=True), return_state=True
    )
    assert state.is_completed()
    assert state.message == (
        "Dry run: 31 tests, 24 a minute: about 60 s, at the API's documented limit; "
        "what looks wrong: Not listed although others are, and perhaps gone: 404404. "
        "Nothing was sent."
    )
    outcomes = await state.aresult()
    assert {one.outcome for one in outcomes} == {Outcome.SKIPPED}
    assert sent(simulator) == {}
    assert {call.method for call in simulator.calls} == {"GET"}
    assert state.state_details.flow_run_id
    artifacts = await artifacts_of(state.state_details.flow_run_id)
    plan = str(artifacts[KEY + "local"].data)
    assert "perhaps gone: 404404" in plan
    assert "31 calls of instant tests" in plan
    assert simulator.tests["202701"].name.partition(" (")[0] in plan
    summary = str(artifacts[f"{DRY_RUNS.summary}local"].data)
    assert summary.startswith("Dry run: 31 tests")
    assert f"artifacts/artifact/{artifacts[KEY + 'local'].id})" in summary, "it leads to the plan"
    assert SUMMARY not in artifacts, "the newest report is still that of a run"
    assert not any(key.startswith("endpoint-test-") for key in artifacts)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"compare_with": "yesterday"}, "'yesterday' is neither the ID of a flow run nor a"),
        ({"compare_with": "rerun-endpoint-tests/gone"}, "nor a deployment of this Prefect server"),
        ({"only_failed_of": "yesterday"}, "'yesterday' is neither the ID of a flow run nor a"),
        ({"thresholds": {"max_loss_percent": 1}}, "thresholds: no effect in a run that does not"),
    ],
    ids=str,
)
async def test_a_dry_run_refuses_what_a_run_would_refuse(
    simulate: Simulate, options: dict[str, Any], reason: str
) -> None:
    simulator = simulate(tests=ids(1))
    for dry_run in (True, False):
        with pytest.raises(SettingsError, match=reason):
            await rerun_endpoint_tests(
                ids(1), options=RerunOptions.model_validate(options | {"dry_run": dry_run})
            )
    assert sent(simulator) == {}


async def test_a_refused_token_fails_a_dry_run(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(tests=ids(1))
    monkeypatch.setenv("TE_TOKEN", "expired")
    with pytest.raises(TokenRefused):
        await rerun_endpoint_tests(ids(1), options=RerunOptions(dry_run=True))


def test_the_command_line_prints_the_plan(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator = simulate(tests=ids(2))
    assert main([*ids(2), "--dry-run"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert (
        "Dry run: 2 tests, 24 a minute: about 1 s, at the API's documented limit. "
        "Nothing was sent. Run: http"
    ) in output
    assert sent(simulator) == {}


def test_the_documents_of_a_dry_run_call_it_one_and_fail_for_none_of_its_tests(
    simulate: Simulate, tmp_path: Path
) -> None:
    simulate(tests=ids(2))
    json_file, junit_file = tmp_path / "run.json", tmp_path / "run.xml"
    written = ["--json", str(json_file), "--junit", str(junit_file)]
    assert main([*ids(2), "--dry-run", "--fail-on", "skipped", *written]) == 0
    document = json.loads(json_file.read_text())
    keeps_to_its_schema(document)
    assert (document["dry_run"], document["status"]) == (True, "passed")
    assert document["sentence"].startswith("Dry run: 2 tests, ")
    assert document["counts"] == {"skipped": 2}
    assert not any(test["fails_run"] for test in document["tests"])
    suite = ET.parse(junit_file).getroot()[0]
    assert {kind: suite.get(kind) for kind in ("skipped", "errors", "failures")} == {
        "skipped": "2",
        "errors": "0",
        "failures": "0",
    }
