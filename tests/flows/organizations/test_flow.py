"""Several organizations: who is run, and how the runs come together."""

import asyncio
from collections import defaultdict
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect import flow, get_client
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Cancelled, Cancelling, Completed, Failed, Running

from flows.organizations import rerun_organizations
from flows.organizations.earlier import options_of_each
from flows.organizations.flow import pause_between_looks
from flows.rerun import RerunFailed, RerunOptions, rerun_endpoint_tests
from flows.rerun.dry_run import KEY
from flows.rerun.remote import Outcomes
from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tasks.publication import DRY_RUNS
from tasks.server_calls import NoAccess
from tests.flows.organizations.test_side_by_side import BAD, EAST, GOOD
from tests.flows.scene import (
    NO_RUN,
    SUMMARY,
    Simulate,
    artifacts_of,
    deploy,
    id_of,
    ids,
    sent,
    wait_until,
    work_off,
)
from thousandeyes.errors import SettingsError
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record

pytestmark = pytest.mark.usefixtures("prefect_server")

NAME_AN_EARLIER_RUN = ".* sent nothing for org-east: name an earlier run"


async def test_a_dry_run_says_what_it_found_and_leaves_the_last_report_of_reruns(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.organizations.flow._PAUSE", 0.3)
    simulator = simulate(tests=ids(2))
    group = "rehearsed-there"
    await EndpointTestGroup(test_ids=[*ids(2), "404404"]).save(group, overwrite=True)
    there = f"rerun-endpoint-tests/{group}"
    await deploy(group, options={"dry_run": True, "fail_on": ["skipped"]})
    called: State[list[Record]]
    called, child = await asyncio.gather(
        rerun_organizations([group], deployment=there, return_state=True),
        work_off(group),
    )
    assert {one.outcome for one in await called.aresult()} == {Outcome.SKIPPED}
    assert called.message
    told = "Dry run of 1 organization; the worker's environment: "
    assert called.message.startswith(f"{told}3 tests, ")
    assert called.message.endswith("perhaps gone: 404404. Nothing was sent.")
    artifacts = await artifacts_of(id_of(called))
    assert set(artifacts) == {f"{key}local" for key in (DRY_RUNS.summary, DRY_RUNS.table)}
    summary = str(artifacts[f"{DRY_RUNS.summary}local"].data)
    assert summary.startswith(told)
    assert f"| the worker's environment | {group} | 3 | Dry run: 3 tests, " in summary
    assert {call.method for call in simulator.calls} == {"GET"}
    assert f"{KEY}{group}" in await artifacts_of(child)


async def test_only_failed_of_one_of_its_runs_sends_what_did_not_end_well_there(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.organizations.flow._PAUSE", 0.3)
    simulator = simulate(tests=ids(1))
    await deploy("narrowed")
    told, parent = [], None
    for group in ("all-of-them", "the-same-again"):
        await EndpointTestGroup(test_ids=["404404", *ids(1)]).save(group, overwrite=True)
        called: State[list[Record]]
        called, _ = await asyncio.gather(
            rerun_organizations(
                [group],
                options=RerunOptions(only_failed_of=parent),
                deployment="rerun-endpoint-tests/narrowed",
                return_state=True,
            ),
            work_off(group),
        )
        told.append(str(called.message))
        parent = str(id_of(called))
    assert "1 of 2 tests failed: 404404 (not found); 1 accepted." in told[0]
    assert "1 of 1 tests failed, as before: 404404 (not found)." in told[1]
    assert sent(simulator) == {"202701": 1, "404404": 2}


class TestChoice:
    @pytest.fixture(autouse=True)
    def _instead(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def run(
            *, groups: list[str], options: RerunOptions, idempotency_key: str, **_: object
        ) -> Outcomes:
            name = idempotency_key.partition(" ")[2]
            self.options[name] = options
            self.refers_to[name] = (options.only_failed_of, options.compare_with)
            self.started[name] = groups
            self.keys[name].append(idempotency_key)
            if error := self.trouble.get(name):
                raise error
            if name == self.endless:
                await asyncio.Event().wait()
            return Outcomes([GOOD], EAST.sentence)

        self.started: dict[str, list[str]] = {}
        self.options: dict[str, RerunOptions] = {}
        self.refers_to: dict[str, tuple[str | None, str | None]] = {}
        self.keys: defaultdict[str, list[str]] = defaultdict(list)
        self.trouble: dict[str, Exception] = {
            "org-west": RerunFailed("0 of 1 tests accepted.", [BAD])
        }
        self.endless: str | None = None
        monkeypatch.setattr("flows.organizations.flow.rerun_by_deployment", run)

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _blocks(cls) -> None:
        ThousandEyesCredentials(token="x").save("org-east", overwrite=True)
        for name, credentials in (("org-a", "org-east"), ("org-b", "org-east"), ("org-c", None)):
            group = EndpointTestGroup(test_ids=["1"], credentials=credentials)
            group.save(name, overwrite=True)
        EndpointTestGroup(test_ids=["2"], credentials="org-west").save("org-d", overwrite=True)

    async def test_each_organization_is_run_once_with_all_its_groups(self) -> None:
        groups = ["org-c", "org-a", "org-b"]
        state: State[list[Record]] = await rerun_organizations(groups, return_state=True)
        assert self.started == {"environment": ["org-c"], "org-east": ["org-a", "org-b"]}
        # By this key, too, a run is found that began before an update.
        assert self.keys["environment"] == [f"{id_of(state)} environment"]

    async def test_credentials_called_environment_are_not_taken_for_the_workers_own(self) -> None:
        named = EndpointTestGroup(test_ids=["3"], credentials="environment")
        await named.save("org-f", overwrite=True)
        self.trouble = dict.fromkeys(
            ("environment", "block environment"), RerunFailed("It failed.", [BAD])
        )
        groups = ["org-c", "org-f"]
        state: State[list[Record]] = await rerun_organizations(groups, return_state=True)
        assert self.started == {"environment": ["org-c"], "block environment": ["org-f"]}
        assert state.message == (
            "0 of 2 organizations passed; the worker's environment: It failed. "
            "environment: It failed."
        )

    @pytest.mark.usefixtures("read_twice")
    async def test_credentials_stand_for_all_groups_that_name_them(self) -> None:
        await rerun_organizations(["org-c"], ["org-east"])
        assert self.started == {"environment": ["org-c"], "org-east": ["org-a", "org-b"]}

    async def test_a_dry_run_that_the_options_ask_for_leaves_the_last_report_of_reruns_too(
        self,
    ) -> None:
        dry_run = RerunOptions(dry_run=True)
        state: State[list[Record]] = await rerun_organizations(
            ["org-a"], options=dry_run, return_state=True
        )
        assert self.options == {"org-east": dry_run}
        assert str(state.message).startswith("Dry run of 1 organization; org-east: ")
        artifacts = await artifacts_of(id_of(state))
        assert set(artifacts) == {f"{key}local" for key in (DRY_RUNS.summary, DRY_RUNS.table)}

    async def test_one_that_fails_or_has_trouble_of_any_kind_does_not_stop_the_others(self) -> None:
        self.trouble["environment"] = httpx.ReadError("the server went away")
        state: State[list[Record]] = await rerun_organizations(
            ["org-d", "org-c", "org-a"], options=RerunOptions(max_in_flight=2), return_state=True
        )
        assert set(self.started) == {"org-west", "environment", "org-east"}
        assert state.message == (
            "1 of 3 organizations passed; org-west: 0 of 1 tests accepted. the worker's "
            "environment: its run may still be going, but is no longer being watched: unexpected "
            "ReadError, see the log."
        )
        with pytest.raises(RerunFailed) as failed:
            await state.aresult()
        assert failed.value.outcomes == [BAD, GOOD]

    async def test_called_by_a_flow_that_is_retried_it_goes_on_with_the_runs_that_it_started(
        self,
    ) -> None:
        @flow(retries=1)
        async def calls() -> None:
            await rerun_organizations(["org-d", "org-a"])

        with pytest.raises(RerunFailed):
            await calls()
        assert [len(keys) for keys in self.keys.values()] == [2, 2]
        assert [len(set(keys)) for keys in self.keys.values()] == [1, 1]

    async def test_after_a_cancelled_attempt_only_runs_that_completed_are_gone_on_with(
        self,
    ) -> None:
        @flow(retries=1)
        async def calls() -> None:
            called: State[list[Record]] = await rerun_organizations(
                ["org-d", "org-a"], return_state=True
            )
            if len(self.keys["org-east"]) == 1:
                async with get_client() as client:
                    await client.set_flow_run_state(id_of(called), Cancelled(), force=True)
                    deployed = await client.create_deployment(await client.create_flow(calls), "x")
                    ends: dict[str, State[Any]] = {"org-east": Completed(), "org-west": Cancelled()}
                    for name, state in ends.items():
                        await client.create_flow_run_from_deployment(
                            deployed,
                            idempotency_key=self.keys[name][0],
                            parameters={"groups": self.started[name]},
                            state=state,
                        )
            await called.aresult()

        with pytest.raises(RerunFailed):
            await calls()
        assert [len(set(self.keys[name])) for name in ("org-east", "org-west")] == [1, 2]

    async def test_retried_after_its_groups_changed_an_organization_fails_and_says_so(
        self,
    ) -> None:
        states: list[State[Any]] = []

        @flow(retries=1)
        async def calls() -> None:
            states.append(await rerun_organizations(["org-a", "org-b"], return_state=True))
            if len(states) == 1:
                async with get_client() as client:
                    deployed = await client.create_deployment(await client.create_flow(calls), "y")
                    await client.create_flow_run_from_deployment(
                        deployed,
                        idempotency_key=self.keys["org-east"][0],
                        parameters={"groups": ["org-a"]},
                    )
            await states[-1].aresult()
            assert len(states) > 1

        with pytest.raises(RerunFailed):
            await calls()
        assert len(self.keys["org-east"]) == 1
        assert states[1].message == (
            "0 of 1 organizations passed; org-east: it was started with the groups org-a, and now "
            "has org-a, org-b: start a new run for these. Nothing more was sent."
        )

    async def _ended(self, name: str, state: State[Any], **options: str) -> str:
        """Make the run that was last started for an organization, as it ended; returns its ID."""
        async with get_client() as client:
            flow_id = await client.create_flow(rerun_endpoint_tests)
            run = await client.create_flow_run_from_deployment(
                await client.create_deployment(flow_id, "of-organizations"),
                idempotency_key=self.keys[name][-1],
                parameters={"options": options},
                state=state,
            )
        return str(run.id)

    async def test_an_earlier_run_means_to_each_organization_its_own_run_there(self) -> None:
        groups = ["org-c", "org-d", "org-a"]
        before: State[list[Record]] = await rerun_organizations(groups[1:], return_state=True)
        await self._ended("org-west", Failed())
        east = await self._ended("org-east", Completed())
        reference = str(id_of(before))
        options = RerunOptions(only_failed_of=reference, compare_with=reference)
        await rerun_organizations(groups, options=options, return_state=True)
        nothing_sent = (None, "nothing")
        assert self.refers_to == {
            "environment": nothing_sent,
            "org-west": nothing_sent,
            "org-east": (east, east),
        }
        one_of_them = RerunOptions(only_failed_of=east)
        with pytest.raises(SettingsError, match="not the ID of a run of rerun-organizations"):
            await options_of_each(one_of_them, ["org-east"])

    async def test_if_it_sent_nothing_there_the_run_that_it_narrowed_down_counts(self) -> None:
        groups = ["org-c", "org-a"]
        first: State[list[Record]] = await rerun_organizations(groups, return_state=True)
        of_first = {one: await self._ended(one, Completed()) for one in [*self.started]}
        options = RerunOptions(only_failed_of=str(id_of(first)))
        second: State[list[Record]] = await rerun_organizations(
            groups[1:], options=options, return_state=True
        )
        await self._ended("org-east", Failed(), only_failed_of=of_first["org-east"])
        await rerun_organizations(groups, options=RerunOptions(only_failed_of=str(id_of(second))))
        assert self.refers_to == {one: (run, None) for one, run in of_first.items()}

    async def test_if_the_latest_of_its_own_runs_there_sent_nothing_the_one_before_counts(
        self,
    ) -> None:
        attempts: list[UUID] = []
        own: list[str] = []

        @flow(retries=1)
        async def calls() -> None:
            attempts.append(id_of(await rerun_organizations(["org-a"], return_state=True)))
            if len(attempts) == 1:
                async with get_client() as client:
                    await client.set_flow_run_state(attempts[0], Cancelled(), force=True)
                own.append(await self._ended("org-east", Cancelled()))
                raise ConnectionError
            own.append(await self._ended("org-east", Failed()))

        await calls()
        options = RerunOptions(only_failed_of=str(attempts[1]))
        await rerun_organizations(["org-a"], options=options)
        assert self.refers_to == {"org-east": (own[0], None)}

    async def test_nothing_is_started_if_it_sent_nothing_for_any_of_them(self) -> None:
        refused: State[list[Record]] = await rerun_organizations(["org-gone"], return_state=True)
        options = RerunOptions(compare_with=str(id_of(refused)))
        with pytest.raises(SettingsError, match=f"^compare_with: {NAME_AN_EARLIER_RUN}"):
            await rerun_organizations(["org-a"], options=options)
        assert self.started == {}
        options = RerunOptions(only_failed_of=str(id_of(refused)))
        with pytest.raises(SettingsError, match=f"^only_failed_of: {NAME_AN_EARLIER_RUN}"):
            await options_of_each(options, ["org-east"])

    async def test_it_is_refused_if_what_it_narrowed_down_can_not_be_used(self) -> None:
        options = RerunOptions(only_failed_of=NO_RUN)
        refused: State[list[Record]] = await rerun_organizations(
            ["org-a"], options=options, return_state=True
        )
        options = RerunOptions(only_failed_of=str(id_of(refused)))
        with pytest.raises(
            SettingsError, match=f"started no run for org-east, and .*only_failed_of: '{NO_RUN}'"
        ):
            await options_of_each(options, ["org-east"])

    async def test_nothing_is_started_if_any_other_run_is_named(self) -> None:
        options = RerunOptions(only_failed_of=NO_RUN)
        with pytest.raises(SettingsError, match=f"^only_failed_of: '{NO_RUN}' is not the ID of"):
            await rerun_organizations(["org-a"], options=options)
        assert self.started == {}

    async def test_one_that_may_still_start_runs_is_refused(self) -> None:
        async with get_client() as client:
            under_way = await client.create_flow_run(rerun_organizations, state=Running())
        options = RerunOptions(only_failed_of=str(under_way.id))
        with pytest.raises(SettingsError, match="has not ended, and may still start runs: wait"):
            await options_of_each(options, ["org-east"])

    @pytest.mark.parametrize(
        ("option", "reference", "said"),
        [
            ("only_failed_of", "rerun-endpoint-tests/on-demand", "is not the ID of a run"),
            ("compare_with", NO_RUN, "is not the ID of a run"),
            ("compare_with", "rerun-endpoint-tests/nowhere", "is neither the ID of a flow run nor"),
        ],
    )
    async def test_any_other_run_is_refused_as_either_option_says(
        self, option: str, reference: str, said: str
    ) -> None:
        options = RerunOptions.model_validate({option: reference})
        with pytest.raises(SettingsError, match=f"^{option}: '{reference}' {said}"):
            await options_of_each(options, ["org-east"])

    @pytest.mark.parametrize("reference", ["rerun-endpoint-tests/of-organizations", "nothing"])
    async def test_compared_with_a_deployment_or_nothing_each_of_them_is(
        self, reference: str
    ) -> None:
        await deploy("of-organizations")
        compared = RerunOptions(compare_with=reference)
        assert await options_of_each(compared, ["org-east"]) == {"org-east": compared}

    async def test_a_group_that_can_not_be_used_is_the_trouble_of_its_own_organization(
        self,
    ) -> None:
        broken = EndpointTestGroup(test_ids=["1"], credentials="org-broken")
        broken_id = await broken.save("org-e", overwrite=True)
        async with get_client() as client:
            update = BlockDocumentUpdate(data={"names": {"999": "Nobody"}})
            await client.update_block_document(broken_id, update)
        await rerun_organizations(credentials=["org-east"])
        assert self.started == {"org-east": ["org-a", "org-b"]}
        with pytest.raises(SettingsError, match="'org-e' can't be used: names: "):
            await rerun_organizations(credentials=["org-broken"])

    async def test_one_that_can_not_read_its_own_runs_says_so_in_its_summary(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def refused(_: FlowRun) -> list[UUID]:
            raise NoAccess("not let in")

        monkeypatch.setattr("flows.organizations.flow.runs_of", refused)
        state: State[list[Record]] = await rerun_organizations(["org-a"], return_state=True)
        assert "**Failed:** not let in" in str((await artifacts_of(id_of(state)))[SUMMARY].data)

    async def test_called_twice_it_runs_each_organization_twice(self) -> None:
        @flow
        async def calls() -> None:
            await rerun_organizations(["org-a"])
            await rerun_organizations(["org-a"])

        await calls()
        assert len(set(self.keys["org-east"])) == 2

    @pytest.mark.parametrize("deleted", [False, True])
    async def test_a_run_that_no_worker_cancels_sees_it_and_ends_cancelled(
        self, monkeypatch: pytest.MonkeyPatch, *, deleted: bool
    ) -> None:
        if deleted:  # by somebody, one of the runs that wait, before it could be cancelled

            async def cancel_waiting(_: list[UUID]) -> None:
                async with get_client() as client:
                    await client.set_flow_run_state(uuid4(), Cancelled())

            monkeypatch.setattr("flows.organizations.flow.cancel_waiting", cancel_waiting)
        self.endless = "org-west"
        run_ids: list[UUID] = []
        noting = rerun_organizations.with_options(
            on_running=[lambda _flow, flow_run, _state: run_ids.append(flow_run.id)]
        )
        running = asyncio.ensure_future(
            noting(credentials=["org-east", "org-west"], return_state=True)
        )
        await wait_until(lambda: len(self.started) == 2)
        async with get_client() as client:
            await client.set_flow_run_state(run_ids[0], Cancelling(), force=True)
        state = await running
        assert state.is_cancelled()
        assert str(state.message).startswith("1 of 2 organizations passed; org-west: ")

    async def test_cancelled_it_reports_those_that_ended_and_those_that_did_not(self) -> None:
        self.trouble, self.endless = {}, "org-west"
        run_ids: list[UUID] = []
        running = asyncio.ensure_future(
            rerun_organizations.with_options(
                on_running=[lambda _flow, flow_run, _state: run_ids.append(flow_run.id)]
            )(["org-d", "org-a"])
        )
        await wait_until(lambda: len(self.started) == 2)
        running.cancel()
        await asyncio.wait([running])
        text = str((await artifacts_of(run_ids[0]))[SUMMARY].data)
        assert "| org-east | org-a | 1 | 1 of 1 tests accepted. |" in text
        assert "its run may still be going, but is no longer being watched: cancelled." in text

    @pytest.mark.parametrize(
        ("groups", "credentials", "reason"),
        [
            ([], [], "no groups given"),
            ([], ["org-nobody"], "no group names the credentials 'org-nobody'"),
            (["org-missing"], [], "no Endpoint Test Group block named 'org-missing'"),
        ],
    )
    async def test_nothing_is_started_where_the_choice_is_wrong(
        self, groups: list[str], credentials: list[str], reason: str
    ) -> None:
        with pytest.raises(SettingsError, match=reason):
            await rerun_organizations(groups, credentials)
        assert self.started == {}


@given(st.integers(min_value=1, max_value=100_000))
def test_however_many_run_the_server_is_asked_four_times_a_second_at_most(number: int) -> None:
    pause = pause_between_looks(number)
    assert number / pause <= 4
    assert pause == 5 or number > 20
