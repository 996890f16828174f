"""What the commands of this folder say before they start anything."""

import sys
from pathlib import Path

import pytest

from deployments import demo, serve
from deployments.home import HOME, note, reserved
from tests.benchmarks.processes import free_port


@pytest.mark.parametrize("port", ["0", "99999", "http"])
def test_a_port_that_is_none_is_told_in_a_sentence(
    port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        serve.main(["--port", port])
    assert exited.value.code == 2
    said = capsys.readouterr().err
    assert said.endswith("error: argument --port: a port is a number from 1 to 65535\n")
    assert len(said) < 300


def test_the_help_of_serve_tells_what_is_usual(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        serve.main(["--help"])
    said = "".join(capsys.readouterr().out.split())
    assert "(default:4200)" in said
    assert f"(default:{HOME})" in said


@pytest.fixture(params=["file", "link"])
def no_home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Something that stands where the home would be made."""
    home = tmp_path / ".prefect"
    if request.param == "file":
        home.write_text("")
    else:
        home.symlink_to("nowhere")
    return home


def test_a_home_that_can_not_be_made_is_told_by_serve(
    no_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert serve.main(["--home", str(no_home), "--port", str(free_port())]) == 2
    assert capsys.readouterr().err == f"error: {no_home} can't be used: File exists\n"


def test_a_home_that_can_not_be_made_is_told_by_the_demo(
    no_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["demo"])
    monkeypatch.setattr(demo, "HOME", no_home)
    assert demo.main() == 2
    assert capsys.readouterr().err == f"error: {no_home} can't be used: File exists\n"


def test_the_demo_and_what_shows_it_use_no_folder_that_a_server_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "HOME", tmp_path)
    monkeypatch.setattr(sys, "argv", ["demo"])
    with reserved(tmp_path) as lock:
        note(lock, "process 17, port 4200")
        assert demo.main() == 2
        assert serve.main(["--reports-only", "--home", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("process 17, port 4200. Use that server, or stop it first") == 2
