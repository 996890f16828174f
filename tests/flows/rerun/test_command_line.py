"""The same job from the command line: arguments in, a table and an exit status out."""

import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import State
from prefect.client.schemas.sorting import ArtifactSort
from prefect.exceptions import TerminationSignal
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_SERVER_API_MAX_PARAMETER_SIZE,
    get_current_settings,
    temporary_settings,
)
from prefect.states import Completed
from pydantic import SecretStr

import flows.rerun.attempt
import flows.rerun.command_line
from flows.rerun import RerunFailed, RerunOptions, rerun_endpoint_tests
from flows.rerun.command_line import ExitStatus, main
from tasks.blocks import EndpointTestGroup, ThousandEyesCredentials
from tests.flows.conftest import TOKEN
from tests.flows.scene import PROJECT, SUMMARY, Simulate, ids, process, sent, wait_until
from tests.thousandeyes.test_terminal import standard_streams
from thousandeyes.delivery import Delivery
from thousandeyes.errors import SettingsError
from thousandeyes.outcomes import Outcome, VerdictName
from thousandeyes.record import Record
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.simulator import Fault
from thousandeyes.terminal import status_of
from thousandeyes.thresholds import Thresholds

pytestmark = pytest.mark.usefixtures("prefect_server")

REPORT = r"{}\nRun: http://127\.0\.0\.1:\d+/runs/flow-run/[-0-9a-f]{{36}}\n$"

CHOICES_IN_WORDS = ", ".join([*Outcome, *VerdictName, "new_failure"])

Flow = Callable[[Callable[..., Any]], list[dict[str, Any]]]


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch) -> Flow:
    """Put something else in the flow's place; the calls it gets are noted."""
    monkeypatch.setenv("TE_TOKEN", TOKEN)

    def put(behave: Callable[..., Any]) -> list[dict[str, Any]]:
        calls = []

        async def instead(*, return_state: bool, **parameters: Any) -> State[list[Record]]:
            assert return_state
            calls.append(parameters)
            return Completed(message="All well.", data=list(behave(parameters["test_ids"])))

        monkeypatch.setattr(flows.rerun.command_line, "rerun_endpoint_tests", instead)
        return calls

    return put


def stdin(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content), encoding="ascii")


def accepted(test_ids: list[str]) -> list[Record]:
    return [Record(test_id, outcome=Outcome.ACCEPTED, attempts=1) for test_id in test_ids]


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(_: list[str]) -> None:
        raise error

    return fail


def test_a_run_that_passes_exits_with_0(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator = simulate(tests=ids(2))
    assert main(ids(2)) == 0
    assert sent(simulator) == dict.fromkeys(ids(2), 1)
    output = capsys.readouterr().out
    assert re.search(r"accepted +202701", output)
    assert re.search(REPORT.format("Passed. 2 of 2 tests accepted."), output)


def test_a_run_that_fails_exits_with_1(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(tests=ids(1))
    assert main([*ids(1), "999"]) == 1
    output = capsys.readouterr().out
    assert output.index("202701") < output.index("not_found"), "what needs a look comes last"
    end = r"Failed. 1 of 2 tests failed: 999 \(not found\); 1 accepted."
    assert re.search(REPORT.format(end), output)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["1", "--delivery", "twice"], "--delivery: invalid choice: 'twice'"),
        (["1", "--retries", "3"], "unrecognized arguments"),
        (["--group", "g", "--only-failed-of", ""], "--only-failed-of: names no run: its value is"),
        (["1", "--judge-again", " "], "--judge-again: names no run: its value is empty"),
        (["1", "--compare-with", ""], "--compare-with: names no run"),
        (["--group", ""], "--group: names no group"),
        (["--only-failed-of", "x", "--name-pattern", ""], "--name-pattern: names no pattern"),
        (["--only-failed-of", "x", "--test-ids-file", ""], "--test-ids-file: names no file"),
        (["1", "--credentials", ""], "--credentials: names no block"),
        (["1", "--fail-on", ""], "--fail-on: names no ending, nor the word nothing: its value is"),
        (["1", "--fail-on", " , "], "--fail-on: names no ending"),
        (["1", "--fail-on", "failed", "--fail-on="], "--fail-on: names no ending"),
        (["1", "--thresholds="], "--thresholds: names no threshold: its value is empty"),
        (["--name-pattern", "A*", "--name-pattern", "B*"], "--name-pattern: is given twice"),
        (["--only-failed-of", "x", "--only-failed-of", "y"], "--only-failed-of: is given twice"),
        (["--judge-again", "x", "--judge-again", "y"], "--judge-again: is given twice"),
        (["1", "--max-in-flight", "5", "--max-in-flight", "7"], "--max-in-flight: is given twice"),
        (
            ["1", "--delivery", "at_most_once", "--delivery", "at_least_once"],
            "--delivery: is given twice",
        ),
        (
            ["1", "--thresholds", "min_agents=5", "--thresholds", "min_agents=6"],
            "--thresholds: min_agents is given twice",
        ),
        (["1", "--thresholds", "min_agents=5,min_agents=5"], "min_agents is given twice"),
    ],
)
def test_wrong_usage_exits_with_2(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    assert exited.value.code == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "error: no tests given: name test IDs, groups of tests, or both"),
        (
            ["202701;", "20:2701"],
            "error: argument 2: not a test ID: an ID is up to 64 letters",
        ),
        (
            ["1", "9 ../x"],
            "error: argument 2: line 1, column 3 is not a test ID: an ID",
        ),
        (["-"], "error: no tests given"),
        (["--only-failed-of", "x", "-"], "error: no tests given"),
        (["--only-failed-of", "x", ""], "error: no tests given"),
        (["1", "--max-in-flight", "0"], "error: --max-in-flight: Input should be greater"),
        (["1", "--max-in-flight", "many"], "error: --max-in-flight: Input should be a valid int"),
        (["1", "--deadline-minutes", "inf"], "error: --deadline-minutes: Input should be a finite"),
        (
            ["1", "--skip-if-run-within-minutes", "1e11"],
            "error: --skip-if-run-within-minutes: Input should be less than or equal to 525600",
        ),
        (["1", "--expected-agents", "0"], "error: --expected-agents: Input should be greater"),
        (["1", "--thresholds", "max_loss_percent=x"], "error: --thresholds max_loss_percent: "),
        (
            ["1", "--thresholds", "max_lost=5"],
            f"error: --thresholds max_lost: unknown, takes {', '.join(Thresholds.model_fields)}\n",
        ),
        (
            ["1", "--thresholds", "max_loss_percent=1", "--fail-on", "failed", "--dry-run"],
            "error: --thresholds, --fail-on: no effect in a run that does not wait for results. ",
        ),
        (
            ["1", "--fail-on", "unknown,bad,worse"],
            f"error: --fail-on: takes {CHOICES_IN_WORDS}, or the word nothing\n",
        ),
    ],
)
def test_wrong_arguments_exit_with_2_before_prefect_is_asked(
    flow: Flow, arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = flow(accepted)
    assert main(arguments, stdin(b" \n")) == 2
    assert capsys.readouterr().err.startswith(reason)
    assert calls == []


@pytest.mark.parametrize("content", [b"\x7fELF\x02\x01", b"\xff\xff", b"TE_TOKEN=5ecret"])
def test_standard_input_that_is_no_list_of_ids_exits_with_2_and_is_not_repeated(
    flow: Flow, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = flow(accepted)
    assert main(["-"], stdin(b"202701\n" + content)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: standard input: line 2, column 1 is not a test ID: an ID is ")
    assert "5ecret" not in error
    assert calls == []


def test_a_missing_token_exits_with_2_and_says_which_variable(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = flow(accepted)
    monkeypatch.delenv("TE_TOKEN")
    assert main(["1"]) == 2
    assert "TE_TOKEN is not set" in capsys.readouterr().err
    assert calls == []


def test_a_wrong_setting_that_only_the_run_finds_exits_with_2_too(
    flow: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    flow(failing(SettingsError("SSL_CERT_FILE: no such file")))
    assert main(["1"]) == 2
    assert capsys.readouterr().err == "error: SSL_CERT_FILE: no such file\n"


def test_a_token_that_can_not_be_one_is_not_repeated(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = flow(accepted)
    monkeypatch.setenv("TE_TOKEN", "5ecret token")
    assert main(["1"]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("error: TE_TOKEN: ")
    assert "5ecret" not in output.out + output.err
    assert calls == []


def test_a_run_that_breaks_exits_with_3(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator = simulate(tests=ids(1))

    async def broken(_: object) -> list[Record]:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr(flows.rerun.attempt, "recorded", broken)
    assert main(ids(1)) == 3
    assert "error: the run broke: ZeroDivisionError: by nought" in capsys.readouterr().err
    assert sent(simulator) == {}


def test_a_prefect_server_that_does_not_answer_exits_with_3_and_says_what_to_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TE_TOKEN", TOKEN)
    nobody = "http://ada:5ecret@127.0.0.1:9/api"
    with temporary_settings({PREFECT_API_URL: nobody, PREFECT_CLIENT_MAX_RETRIES: 0}):
        assert main(["1"]) == 3
    said = capsys.readouterr().err
    assert said.startswith("error: no Prefect server answers at http://127.0.0.1:9/api (All conn")
    assert said.endswith("): is it running, and is PREFECT_API_URL right?\n")


@pytest.mark.parametrize(
    ("signalled", "status"), [(KeyboardInterrupt(), 130), (TerminationSignal(15), 143)]
)
def test_a_run_that_is_stopped_has_an_exit_status_of_its_own(
    flow: Flow, signalled: BaseException, status: int
) -> None:
    flow(failing(signalled))
    assert main(["1"]) == status


def test_sigterm_ends_a_run_and_is_afterwards_handled_as_before(flow: Flow) -> None:
    def terminated(test_ids: list[str]) -> list[Record]:
        signal.raise_signal(signal.SIGTERM)
        return accepted(test_ids)

    def earlier(*_: object) -> None: ...

    flow(terminated)
    kept = signal.signal(signal.SIGTERM, earlier)
    try:
        assert main(["1"]) == 143
        assert signal.getsignal(signal.SIGTERM) is earlier
    finally:
        signal.signal(signal.SIGTERM, kept)


# At SIGHUP the process sends itself SIGTERM, so that both are handled in the middle of a run.
@pytest.mark.parametrize(
    ("signalled", "status", "tests"),
    [(signal.SIGINT, 130, 9), (signal.SIGHUP, 143, 10)],
    ids=["SIGINT", "SIGHUP"],
)
async def test_an_interrupted_process_leaves_its_summary(
    simulate: Simulate, signalled: signal.Signals, status: int, tests: int
) -> None:
    simulator = simulate(tests=ids(tests), faults={"202703": Fault(replies=["stalled"])})
    async with process("-m", "flows.rerun", "--max-in-flight", "1", *ids(tests)) as running:
        await wait_until(lambda: sent(simulator)["202703"] == 1)
        running.send_signal(signalled)
        output, _ = await running.communicate()
    shown = " ".join(output.decode().split())
    assert running.returncode == status, shown
    async with get_client() as client:
        [summary] = await client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[SUMMARY])),
            sort=ArtifactSort.CREATED_DESC,
            limit=1,
        )
    told = str(summary.description)
    counted = f"(1 unknown, {tests - 3} not attempted): "
    assert told.startswith(f"Cancelled. {tests - 2} of {tests} tests did not end well {counted}")
    assert (
        "; 2 accepted; stopped early: cancelled. VPN gateway (Amsterdam): the call went out" in told
    )
    word = "Interrupted" if signalled == signal.SIGINT else "Terminated"
    assert "accepted 202702 Intranet (Gdansk)" in shown
    assert f" {word}. {tests - 2} of {tests} tests did not end well {counted}" in shown


@pytest.mark.parametrize(("streams", "status"), [("> /dev/full 2>&-", 0), ("2>&1 | head -1", 1)])
def test_the_status_tells_of_the_run_and_not_of_the_terminal(
    simulate: Simulate, streams: str, status: int
) -> None:
    faults = {"202703": Fault(replies=[403])} if status else {}
    simulator = simulate(tests=ids(3), faults=faults)
    command = f'"$python" -m flows.rerun --max-in-flight 1 {" ".join(ids(3))} {streams}'
    api = str(get_current_settings().api.url)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=PROJECT,
        env=os.environ | {"python": sys.executable, "PREFECT_API_URL": api},
        capture_output=True,
        check=False,
    )
    assert done.returncode == status, done.stderr.decode()
    assert sent(simulator) == dict.fromkeys(ids(3), 1)


def test_a_name_that_the_terminal_can_not_show_costs_the_run_nothing(
    simulate: Simulate, tmp_path: Path
) -> None:
    simulator = simulate(tests=ids(1))
    group = EndpointTestGroup(test_ids=ids(1), names={"202701": "B\u00fcro 東京 \x1b[31m"})
    group.save("offices", overwrite=True)
    terminal = tmp_path / "terminal"
    with (
        terminal.open("w", encoding="ascii") as stdout,
        standard_streams(stdout, tmp_path / "errors"),
    ):
        assert status_of(lambda: main(["--group", "offices"])) == 0
    assert sent(simulator) == {"202701": 1}
    shown = terminal.read_text("ascii")
    assert "\x1b" not in shown
    assert re.search(r"202701 *\|?B\?ro \?\?", shown)


def test_ids_come_from_arguments_and_standard_input_in_their_order(flow: Flow) -> None:
    calls = flow(accepted)
    assert main(["5", "-", "6"], stdin(b"1,2\n 3\t4 # Berlin\r\n5\n")) == 0
    assert [call["test_ids"] for call in calls] == [["5", "1", "2", "3", "4", "6"]]
    assert calls[0]["options"] == RerunOptions()


def test_a_group_takes_the_place_of_ids_and_several_may_be_named(flow: Flow) -> None:
    calls = flow(accepted)
    assert main(["--group", "morning", "--group", "evening"]) == 0
    assert main(["-", "--group", "morning"], stdin(b"\n")) == 0
    assert main(["1", "--group", "morning", "--credentials", "production"]) == 0
    assert [(call["test_ids"], call["groups"], call["credentials"]) for call in calls] == [
        ([], ["morning", "evening"], None),
        ([], ["morning"], None),
        (["1"], ["morning"], "production"),
    ]


@pytest.mark.parametrize("named", [["--group", "a"], ["1", "--credentials", "a"]])
def test_the_environment_needs_no_token_when_a_block_may_hold_it(
    flow: Flow, named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = flow(accepted)
    monkeypatch.delenv("TE_TOKEN")
    assert main(named) == 0
    assert len(calls) == 1


def test_a_wrong_id_beside_a_group_exits_with_2_before_prefect_is_asked(
    flow: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = flow(accepted)
    assert main(["../x", "--group", "morning"]) == 2
    assert capsys.readouterr().err.startswith("error: argument 1: not a test ID: ")
    assert calls == []


def test_a_group_is_run_with_the_credentials_that_a_block_holds(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator = simulate(tests=ids(3))
    url = ThousandEyesSettings().base_url
    ThousandEyesCredentials(token=SecretStr(TOKEN), base_url=url).save("cli", overwrite=True)
    group = EndpointTestGroup(test_ids=ids(2), names={"202702": "Berlin VPN"}, credentials="cli")
    group.save("cli", overwrite=True)
    monkeypatch.delenv("TE_TOKEN")
    assert main(["202703", "--group", "cli"]) == 0
    assert sent(simulator) == dict.fromkeys(ids(3), 1)
    assert re.search("202702 +Berlin VPN", capsys.readouterr().out)


def test_a_group_that_is_not_there_exits_with_2_and_says_where_to_look(
    simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator = simulate(tests=ids(1))
    assert main([*ids(1), "--group", "lost"]) == 2
    error = capsys.readouterr().err.partition("error: ")[2]
    assert error.startswith("no Endpoint Test Group block named 'lost' (this Prefect server has ")
    assert "PREFECT_API_URL names the server that was asked" in error
    assert simulator.calls == []


def test_every_option_reaches_the_flow(flow: Flow) -> None:
    calls = flow(accepted)
    options = ["--delivery", "at_most_once", "--fail-on", "unknown, forbidden"]
    options += ["--wait-for-results", "--results-deadline-minutes", "3", "--expected-agents", "9"]
    options += ["--thresholds", "max_loss_percent=5, min_agents=2", "--no-link-to-app"]
    main(["1", *options, "--max-in-flight", "7", "--deadline-minutes", "1.5"])
    assert calls[0]["options"] == RerunOptions(
        delivery=Delivery.AT_MOST_ONCE,
        fail_on=[Outcome.UNKNOWN, Outcome.FORBIDDEN],
        max_in_flight=7,
        deadline_minutes=1.5,
        wait_for_results=True,
        results_deadline_minutes=3,
        expected_agents=9,
        thresholds=Thresholds(max_loss_percent=5, min_agents=2),
        link_to_app=False,
    )
    main(["1", "--fail-on", "nothing"])
    assert calls[1]["options"].fail_on == []


@pytest.mark.parametrize(
    "option",
    ["--group", "--credentials", "--only-failed-of", "--name-pattern", "--test-ids-file"],
)
def test_a_token_in_place_of_a_name_never_reaches_prefect(
    flow: Flow, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    calls = flow(accepted)
    assert main(["1", option, TOKEN]) == 2
    error = capsys.readouterr().err
    assert "1 of the names of blocks, runs, tests and files contains an API token" in error
    assert TOKEN not in error
    assert calls == []


@pytest.mark.parametrize("output", ["--json", "--junit"])
def test_a_list_that_is_to_be_read_is_not_emptied_for_the_outcomes(
    flow: Flow, capsys: pytest.CaptureFixture[str], tmp_path: Path, output: str
) -> None:
    calls = flow(accepted)
    file, link = tmp_path / "ids.txt", tmp_path / "link"
    file.write_text("202701")
    link.symlink_to(file)
    assert main(["--test-ids-file", str(file), output, str(link)]) == 2
    with file.open() as read:
        assert main(["-", output, str(file)], read) == 2
    errors = capsys.readouterr().err
    assert errors.count("is the file that the test IDs are read from") == 2
    assert file.read_text() == "202701"
    assert calls == []
    with file.open() as read:
        assert main(["-", output, str(tmp_path / "outcomes")], read) == 0
    assert calls[0]["test_ids"] == ["202701"]


def test_a_clock_that_was_set_meanwhile_makes_no_run_longer(
    flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = itertools.count()

    class Stepped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + next(steps) * timedelta(minutes=50)

    monkeypatch.setattr(flows.rerun.command_line, "datetime", Stepped)
    flow(accepted)
    assert main(["1", "--json", str(tmp_path / "outcomes")]) == 0
    told = json.loads((tmp_path / "outcomes").read_text())
    assert 0 <= told["seconds"] < 3000


def test_lists_may_be_given_in_parts(flow: Flow) -> None:
    calls = flow(accepted)
    options = ["--fail-on", "failed", "--fail-on", "no_data,timed_out"]
    options += ["--thresholds", "max_loss_percent=5", "--thresholds", "max_latency_ms=100"]
    main(["--group", "a", "--group", "b", "--wait-for-results", *options])
    assert calls[0]["groups"] == ["a", "b"]
    assert calls[0]["options"] == RerunOptions(
        wait_for_results=True,
        fail_on=[VerdictName.FAILED, VerdictName.NO_DATA, VerdictName.TIMED_OUT],
        thresholds=Thresholds(max_loss_percent=5, max_latency_ms=100),
    )


def test_the_help_tells_every_option_and_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--help"])
    assert exited.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name in RerunOptions.model_fields:
        assert f"--{name.replace('_', '-')}" in text
    statuses = text.partition("exit status:")[2]
    assert all(re.search(rf"\b{status.value} \w", statuses) for status in ExitStatus)


def test_the_help_tells_nothing_that_only_a_form_has(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "in one of these; with the word nothing, never" in text
    assert not re.findall(r"Empty:|empty list|worker|rerun-organizations", text)


def test_more_ids_than_prefect_takes_are_refused_before_it_is_asked(
    flow: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = flow(accepted)
    test_ids = "\n".join(str(765_000_000 + number) for number in range(100_000))
    assert main(["-"], stdin(test_ids.encode())) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: 100,000 test IDs are 1,200,")
    assert "Prefect takes 524,288 bytes" in error
    assert "name it with --test-ids-file, or raise" in error
    assert calls == []


@pytest.mark.parametrize(("spare", "status"), [(0, 0), (-1, 2)])
def test_the_size_is_the_one_that_prefect_will_reckon(flow: Flow, spare: int, status: int) -> None:
    calls = flow(accepted)
    arguments = ["1", "--group", "morning", "--credentials", "production", "--max-in-flight", "9"]
    main(arguments)
    parameters = rerun_endpoint_tests.serialize_parameters(calls[0])
    size = len(json.dumps(parameters, separators=(",", ":")).encode())
    limit = {PREFECT_SERVER_API_MAX_PARAMETER_SIZE: size + spare}
    with temporary_settings(limit):
        assert main(arguments) == status


def test_a_failed_runs_sentence_is_shown_as_it_is(
    flow: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = "Stopped: [red]3C:AB:CD:12:AB:01 " + "why " * 40 + "C:\\"
    flow(failing(RerunFailed(sentence, accepted(["1"]))))
    assert main(["1"]) == 1
    assert capsys.readouterr().out.endswith(f"Failed. {sentence}\n")


def test_a_name_that_runs_right_to_left_is_isolated_in_no_output_of_the_command(
    flow: Flow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal would show the isolates as escapes, and programs compare names."""
    flow(failing(RerunFailed("1 of 2 tests failed: \u2068רשת 3\u2069; 1 passed.", accepted(["1"]))))
    for option in ("--json", "--junit"):
        assert main(["1", option, str(tmp_path / "outcomes")]) == 1
        read = json.loads if option == "--json" else str
        told = str(read((tmp_path / "outcomes").read_text())) + capsys.readouterr().out
        assert told.count("1 of 2 tests failed: רשת 3; 1 passed.") == 2
