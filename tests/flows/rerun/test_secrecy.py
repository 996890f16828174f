"""The token appears nowhere: in no output, log, artifact or database of a run that goes wrong."""

import base64
import html
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from prefect.settings import get_current_settings

from thousandeyes.simulator import Fault, create_app, serve

pytestmark = pytest.mark.usefixtures("prefect_server")

PROJECT = Path(__file__).parents[3]
TOKEN = "tkn+5ecret/0f=\"the&<tests>'\\=="
MASK = b"***"

FAULTS = {
    "echo-1": Fault(replies=["echo"], repeat=True),
    "dropped-1": Fault(replies=["dropped_after", "dropped_before"]),
    "forbidden-1": Fault(replies=[500, 403]),
    "strange-1": Fault(replies=["html", "half_body", 302]),
    "buggy-1": Fault(replies=[]),
    "refused-1": Fault(replies=[401], repeat=True),
}

# One test meets a bug: a frame of its traceback holds the client and its headers. The second run
# gets the token from a block, and nothing from the environment.
PROGRAM = """
import os
import sys
import thousandeyes.client
from flows.rerun.command_line import main
from tasks.blocks import ThousandEyesCredentials
from tasks.rerun import rerun_endpoint_test

rerun_endpoint_test.retry_delay_seconds = [0.01]
confirmation = thousandeyes.client.confirmation

def broken(body):
    if "testId=buggy-1" in str(body):
        raise ZeroDivisionError
    return confirmation(body)

thousandeyes.client.confirmation = broken
first = main(sys.argv[1:])
token, base_url = os.environ.pop("TE_TOKEN"), os.environ.pop("TE_BASE_URL")
ThousandEyesCredentials(token=token, base_url=base_url).save("the-token")
print(ThousandEyesCredentials.load("the-token"))
second = main([*sys.argv[1:], "--credentials", "the-token"])
sys.exit((first, second) != (1, 1))
"""


def forms(token: str) -> Iterator[bytes]:
    """Yield the ways in which the token may be written."""
    plain = token.encode()
    yield plain
    in_json = json.dumps(token)[1:-1]
    yield in_json.encode()
    yield json.dumps(in_json)[1:-1].encode()
    yield in_json.replace("/", "\\/").encode()
    yield repr(token)[1:-1].encode()
    yield html.escape(token).encode()
    yield quote(token).encode()
    yield quote(token, safe="").encode()
    for shift in range(3):  # wherever it begins within base64's groups of three
        yield base64.b64encode(b"\0" * shift + plain)[4:-4]


@pytest.fixture(scope="module")
def leavings(
    tmp_path_factory: pytest.TempPathFactory,
    prefect_server: None,  # noqa: ARG001 - it keeps what is stored
) -> dict[str, bytes]:
    """Run a list that meets everything bad, and return all it printed and stored."""
    home = tmp_path_factory.mktemp("home")
    app = create_app(tests=list(FAULTS), faults=FAULTS, token=TOKEN, instant_limit=1_000)
    with serve(app) as server:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "--max-in-flight", "1", *FAULTS],
            cwd=PROJECT,
            env=os.environ
            | {
                "TE_TOKEN": f"{TOKEN}\n",
                "TE_BASE_URL": server.url,
                "PREFECT_HOME": str(home),
                "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
                "PREFECT_API_URL": str(get_current_settings().api.url),
                "PREFECT_LOGGING_LEVEL": "DEBUG",
                "PREFECT_LOGGING_ROOT_LEVEL": "DEBUG",
                "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            },
            capture_output=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()
    found = {"stdout": done.stdout, "stderr": done.stderr}
    stored = {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()}
    return found | stored | {"database": database()}


def database() -> bytes:
    """Return what the Prefect server has stored, with its journal of what is yet to be moved."""
    url = get_current_settings().server.database.connection_url
    assert url
    path = Path(url.get_secret_value().partition(":///")[2])
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def test_the_token_is_in_no_output_and_in_no_file(leavings: dict[str, bytes]) -> None:
    found = {
        (name, form)
        for name, content in leavings.items()
        for form in forms(TOKEN)
        if form in content
    }
    assert not found


def test_where_the_server_repeated_it_stands_a_mask(leavings: dict[str, bytes]) -> None:
    """Else the search would prove nothing."""
    output = leavings["stdout"] + leavings["stderr"]
    masked = [line for line in output.splitlines() if MASK in line]
    echoed = [line for line in masked if b"Test echo-1, attempt 1: 400: Bad Request: Bad h" in line]
    assert len(echoed) >= 2  # one a run at least
    assert any(b"authorization *** is refused" in line for line in masked)
    assert any(b"x-debug-token" in line for line in masked)  # httpcore's own line at DEBUG
    stored = b"Test echo-1, attempt 1: 400: Bad Request: Bad header: Bearer ***"
    assert stored in leavings["database"]


def test_the_run_met_everything_it_should(leavings: dict[str, bytes]) -> None:
    output = (leavings["stdout"] + leavings["stderr"]).decode()
    assert output.count("ZeroDivisionError") >= 2
    for sign in (
        "token=SecretStr('**********')",
        "RemoteProtocolError",
        "the token was refused (401)",
        "web page",
        "retry 2 of 3 follows",
        "which is not followed",
    ):
        assert sign in output
