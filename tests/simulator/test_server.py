import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import httpx
import pytest
from starlette.applications import Starlette

from thousandeyes.simulator import Fault, create_app, serve
from thousandeyes.simulator.server import listen

BROKEN = ["dropped_before", "dropped_after", "half_body", "stalled"]
HEADERS = {"Authorization": "Bearer sim-token"}


def run_path(test_id: str) -> str:
    return f"/endpoint/tests/scheduled-tests/{test_id}/run"


@pytest.fixture(scope="module")
def app() -> Starlette:
    faults = {name: Fault(replies=[name], repeat=True) for name in BROKEN}
    return create_app(tests=[*BROKEN, "healthy"], faults=faults, clock_offset_seconds=-5_000)


@pytest.fixture(scope="module")
def api(app: Starlette) -> Iterator[httpx.Client]:
    with serve(app) as server, httpx.Client(base_url=server.url, headers=HEADERS) as client:
        yield client


def test_a_run_over_a_real_socket_is_answered(api: httpx.Client) -> None:
    assert api.post(run_path("healthy")).json()["message"].endswith("testId=healthy")


def test_the_date_is_the_simulators_and_told_once(api: httpx.Client) -> None:
    reply = api.get("/account-groups")
    (date,) = reply.headers.get_list("Date")
    assert time.time() - parsedate_to_datetime(date).timestamp() == pytest.approx(5_000, abs=5)


@pytest.mark.parametrize(("entry", "applied"), [("dropped_before", 0), ("dropped_after", 1)])
def test_a_drop_closes_the_connection_with_no_reply(
    app: Starlette, api: httpx.Client, entry: str, applied: int
) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        api.post(run_path(entry))
    assert app.state.simulator.runs(entry) == applied
    assert app.state.simulator.calls[-1].status is None


def test_half_a_body_is_less_than_its_headers_promise(app: Starlette, api: httpx.Client) -> None:
    with api.stream("POST", run_path("half_body")) as reply:
        assert reply.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
            reply.read()
    assert app.state.simulator.runs("half_body") == 1


def test_a_stalled_reply_runs_into_the_clients_timeout(app: Starlette, api: httpx.Client) -> None:
    with pytest.raises(httpx.ReadTimeout):
        api.post(run_path("stalled"), timeout=0.2)
    assert app.state.simulator.runs("stalled") == 1


def test_a_connection_serves_again_after_a_drop(api: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        api.post(run_path("dropped_before"))
    assert api.post(run_path("healthy")).status_code == 200


def test_the_server_stops_without_waiting_for_stalled_replies() -> None:
    app = create_app(tests=["1"], faults={"1": Fault(replies=["stalled"], repeat=True)})
    calls = app.state.simulator.calls

    with ThreadPoolExecutor() as pool:
        with serve(app) as server:
            url = server.url + run_path("1")
            pending = [pool.submit(httpx.post, url, headers=HEADERS, timeout=60) for _ in range(3)]
            while sum(call.applied for call in calls) < 3:
                time.sleep(0.01)
        # Their connections are closed: none has run into its timeout.
        errors = [call.exception() for call in pending]
        assert {type(error) for error in errors} <= {httpx.ReadError, httpx.RemoteProtocolError}


def test_the_same_port_can_be_served_again() -> None:
    app = create_app(tests=["1"])
    with serve(app) as server:
        port = httpx.URL(server.url).port
        assert httpx.get(server.page).status_code == 200
    with serve(app, port=port or 0) as server:
        assert httpx.get(server.page).status_code == 200


def test_a_taken_port_is_an_error_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"), serve(create_app(), taken.getsockname()[1]):
            pass


def test_a_listener_names_its_protocol_without_which_replies_are_delayed() -> None:
    with listen(0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
