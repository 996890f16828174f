import asyncio
import os
import pickle
import subprocess
import sys
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import anyio
import httpx
import pytest
from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Abort, TerminationSignal
from prefect.states import Running, Suspended

from flows.create import CreationFailed
from flows.rerun import RerunFailed
from flows.runs.concurrency import all_or_first_error
from flows.runs.ending import RunFailed, reporting_mistakes, telling_mistakes, to_its_end
from flows.runs.ownership import OwnRun
from tasks.deployment import deployment_slug
from tasks.publication import Place
from tasks.report import RunReport
from tasks.server_calls import NoAccess
from tests.flows.scene import PROJECT, artifacts_of
from thousandeyes.errors import SettingsError
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record


@pytest.mark.parametrize("failure", [RerunFailed, CreationFailed])
def test_the_error_keeps_its_outcomes_when_it_travels(failure: type[RunFailed]) -> None:
    failed = failure("why.", [Record("1", outcome=Outcome.UNKNOWN)])
    copy = pickle.loads(pickle.dumps(failed))
    assert (type(copy), str(copy), copy.outcomes) == (failure, "why.", failed.outcomes)


def test_a_failed_creation_is_no_failed_rerun() -> None:
    assert not issubclass(CreationFailed, RerunFailed)
    assert not issubclass(RerunFailed, CreationFailed)


async def mistaken() -> list[Record]:
    raise SettingsError("no group named 'x'. Nothing was sent.")


@pytest.mark.usefixtures("prefect_server")
async def test_a_mistake_ends_a_run_with_its_sentence_and_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = await telling_mistakes(flow(mistaken))(return_state=True)
    assert state.is_failed()
    assert state.message == "no group named 'x'. Nothing was sent."
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.usefixtures("prefect_server")
async def test_a_run_that_prefect_ends_was_not_cancelled_by_anybody() -> None:
    told: list[str] = []

    def report() -> RunReport:
        return RunReport([], passed=False, sentence=f"stopped early: {told}.", took="1 s")

    @flow
    async def ended() -> UUID:
        own_run = await OwnRun.of_this_process()
        with anyio.CancelScope() as scope:  # by one, Prefect ends a run whose lease is gone

            async def work() -> None:
                scope.cancel()
                await asyncio.sleep(60)

            await to_its_end(
                all_or_first_error([work()]),
                own_run=own_run,
                cut_short=told.append,
                report=report,
                failure=RerunFailed,
                place=Place("ended-", "ended-outcomes-"),
            )
        return own_run.flow_run.id

    summary = (await artifacts_of(await ended()))["ended-local"]
    assert told == ["Prefect ended the run's process, as its log says; a retry goes on from here"]
    assert str(summary.data).startswith("**Failed.** stopped early")


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("retries", [0, 1])
async def test_a_mistake_that_repeats_a_token_is_told_and_raised_without_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, retries: int
) -> None:
    token = "99887766-5544-3322-1100-aabbccddeeff"
    monkeypatch.setenv("TE_TOKEN", token)
    written: list[str] = []

    async def write(*texts: str) -> None:
        written.extend(texts)

    monkeypatch.setattr("flows.runs.ending.write_markdown", write)

    async def mistaken() -> list[Record]:
        async with reporting_mistakes("endpoint-reruns-"):
            raise SettingsError(f"no list 'Bearer {token}'. Nothing was sent.")

    run: Any = telling_mistakes(flow(retries=retries)(mistaken))
    state = await run(return_state=True)
    assert "no list 'Bearer ***'. Nothing was sent." in str(state.message)
    with pytest.raises(SettingsError, match=r"^no list 'Bearer \*\*\*'\. Nothing was sent\.$"):
        await state.result()
    assert "Failed: no list 'Bearer ***'. Nothing was sent." in written
    assert token not in f"{written} {caplog.text}"


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("retries", [0, 1])
async def test_it_is_raised_in_the_caller_of_the_flow(retries: int) -> None:
    with pytest.raises(SettingsError, match="no group named"):
        await telling_mistakes(flow(retries=retries)(mistaken))()


OUR_RETRIES = """
from prefect import Flow
from flows import cancelled, create, organizations, rerun, restart
from flows.around_change import flow, halves
ours = [
    create.create_endpoint_tests, organizations.rerun_organizations, rerun.judge_run_again,
    rerun.rerun_endpoint_tests, cancelled.explain_cancelled_run, restart.restart_crashed_run,
    flow.rerun_around_change, halves._BEFORE, halves._AFTER,
]
print(Flow(lambda: None, name="theirs").retries, {one.retries for one in ours})
print(rerun.rerun_endpoint_tests.with_options(retries=2).retries)
"""


def test_a_workers_default_of_retries_takes_no_flow_of_ours_its_sentence() -> None:
    """A flow with retries can't return a state, whose message the sentence is."""
    default = {"PREFECT_FLOWS_DEFAULT_RETRIES": "1"}
    said = subprocess.check_output(
        [sys.executable, "-c", OUR_RETRIES], cwd=PROJECT, env=os.environ | default, text=True
    )
    assert said.splitlines() == ["1 {0}", "2"]


def test_its_version_is_that_of_its_own_module() -> None:
    assert telling_mistakes(flow(mistaken)).version == flow(mistaken).version


async def test_so_it_is_in_the_caller_of_its_function() -> None:
    with pytest.raises(SettingsError, match="no group named"):
        await telling_mistakes(flow(mistaken)).fn()


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SettingsError("no group named 'x'."), ["**Failed:** no group named 'x'.\n"]),
        (NoAccess("not let in (401)"), ["**Failed:** not let in (401)\n"]),
        (ValueError("a secret"), ["**Failed:** unexpected ValueError, see the log\n"]),
        (asyncio.CancelledError(), ["**Cancelled.**\n"]),
        (Abort("it is another process's by now"), []),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_whatever_ends_a_run_before_it_begins_is_its_report_and_what_takes_it_away_is_not(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, told: list[str]
) -> None:
    written: list[str] = []

    async def write(_: str, __: str, text: str, ___: str) -> None:
        written.append(text)

    @flow
    async def ends() -> None:
        async with reporting_mistakes("endpoint-reruns-"):
            raise error

    monkeypatch.setattr("flows.runs.ending.write_markdown", write)
    with pytest.raises(type(error)):
        await ends()
    assert written == told


@pytest.mark.usefixtures("prefect_server")
async def test_who_cancels_a_run_before_it_begins_waits_for_no_server_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[str] = []

    async def write(*words: str) -> None:
        await asyncio.sleep(1)  # such as for a server that is away
        written.extend(words)

    @flow
    async def ends() -> None:
        async with reporting_mistakes("endpoint-reruns-"):
            raise asyncio.CancelledError

    monkeypatch.setattr("flows.runs.ending._LONGEST_WORD", 0.01)
    monkeypatch.setattr("flows.runs.ending.write_markdown", write)
    with pytest.raises(asyncio.CancelledError):
        await ends()
    assert not written


async def test_a_run_that_goes_on_elsewhere_is_that_process_s_to_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def read(_: UUID) -> FlowRun:
        return FlowRun(flow_id=uuid4(), state=Running(), run_count=2)

    async def work() -> None:
        raise asyncio.CancelledError  # as a process is that was cut off, and is told to end

    monkeypatch.setattr("flows.runs.ending.publish", None)
    own_run = OwnRun(FlowRun(flow_id=uuid4(), run_count=1), read=read)
    with pytest.raises(asyncio.CancelledError):
        await to_its_end(
            work(),
            own_run=own_run,
            cut_short=pytest.fail,
            report=lambda: pytest.fail("reported"),
            failure=RerunFailed,
        )


@pytest.mark.parametrize("writing", ["table", "markdown"])
async def test_a_run_that_continues_elsewhere_while_its_report_is_written_is_left_to_that_process(
    monkeypatch: pytest.MonkeyPatch, writing: str
) -> None:
    now = FlowRun(flow_id=uuid4(), state=Running(), run_count=1)
    written: list[str] = []

    async def read(_: UUID) -> FlowRun:
        return now

    async def write(kind: str, *_: object) -> UUID:
        if kind == writing and now.run_count == 1:
            now.run_count = 2
            if kind == "table":
                raise httpx.ConnectError("cut off, and back when the other process has begun")
        written.append(kind)
        return uuid4()

    async def work() -> None: ...

    for kind in ("table", "markdown"):
        monkeypatch.setattr(f"tasks.publication.create_{kind}", partial(write, kind))
    monkeypatch.setattr("tasks.server_calls._FIRST_PAUSE", 0)
    with pytest.raises(Abort, match="may continue elsewhere"):
        await to_its_end(
            work(),
            own_run=OwnRun(FlowRun(flow_id=uuid4(), run_count=1), read=read),
            cut_short=pytest.fail,
            report=lambda: RunReport([], passed=False, sentence="It was stopped.", took=""),
            failure=RerunFailed,
            place=Place("endpoint-reruns-", "endpoint-rerun-outcomes-", deployment="local"),
        )
    assert written == ([] if writing == "table" else ["table", "markdown"])


async def test_what_breaks_in_a_process_that_lost_its_run_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def read(_: UUID) -> FlowRun:
        return FlowRun(flow_id=uuid4(), state=Running(), run_count=2)

    async def work() -> None:
        raise NoAccess("not let in (401)")

    monkeypatch.setattr("flows.runs.ending.publish", None)
    with pytest.raises(Abort):
        await to_its_end(
            work(),
            own_run=OwnRun(FlowRun(flow_id=uuid4(), run_count=1), read=read),
            cut_short=pytest.fail,
            report=lambda: pytest.fail("reported"),
            failure=RerunFailed,
        )


async def test_a_run_that_is_suspended_reports_how_it_stands_and_stays_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = []

    async def read(_: UUID) -> FlowRun:
        return FlowRun(flow_id=uuid4(), state=Suspended(), run_count=1)

    async def work() -> None: ...

    async def publish(report: RunReport, *_: object) -> None:
        told.append(f"{report.ended} {report.message}")

    monkeypatch.setattr("flows.runs.ending.publish", publish)
    with pytest.raises(Abort, match="when the run is resumed"):
        await to_its_end(
            work(),
            own_run=OwnRun(FlowRun(flow_id=uuid4(), run_count=1), read=read),
            cut_short=pytest.fail,
            report=lambda: RunReport([], passed=False, sentence="2 of 4 tests left.", took=""),
            failure=RerunFailed,
        )
    assert told == ["Suspended. 2 of 4 tests left."]


async def test_what_ended_a_run_is_raised_whatever_goes_wrong_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = []

    async def read(_: UUID) -> FlowRun:
        raise ValueError("a proxy's page, taken for a run")

    async def work() -> None:
        raise TerminationSignal(15)

    async def publish(report: RunReport, *_: object) -> None:
        done.append(report.message)

    async def close() -> None:
        done.append("closed")

    monkeypatch.setattr("flows.runs.ending.publish", publish)
    with pytest.raises(TerminationSignal):
        await to_its_end(
            work(),
            own_run=OwnRun(FlowRun(flow_id=uuid4(), run_count=1), read=read),
            cut_short=lambda _: None,
            report=lambda: RunReport([], passed=False, sentence="It was cut short.", took=""),
            failure=RerunFailed,
            close=close,
        )
    assert done == ["It was cut short.", "closed"]


async def test_a_deployment_that_can_not_be_asked_for_costs_no_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuses(_: object) -> str:
        raise NoAccess("no entry (401)")

    monkeypatch.setattr("tasks.deployment.slug_of", refuses)
    assert await deployment_slug() == "local"
