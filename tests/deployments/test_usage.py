"""What the commands of this folder say before they start anything."""

import pytest

from deployments import serve
from deployments.home import HOME


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
