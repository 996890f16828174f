from collections.abc import Callable

import httpx
from starlette.applications import Starlette

from thousandeyes.simulator import Fault

Make = Callable[..., Starlette]
Connect = Callable[[Starlette], httpx.AsyncClient]
PAGE, CALLS = "http://simulator/", "http://simulator/_sim/calls"
RUN = "/endpoint/tests/scheduled-tests/{}/run"


async def test_the_page_tells_the_tests_and_how_to_point_the_project_at_it(
    make: Make, connect: Connect
) -> None:
    app = make(tests=["202701"], faults={"202701": Fault(replies=[503, "stalled"])})
    api = connect(app)
    await api.post(RUN.format("202701"))
    page = (await api.get(PAGE)).text
    for words in (
        "on this machine only",
        "202701",
        "503 Service Unavailable",
        "<code>stalled</code>",
        "<strong>23</strong> of 24",
        "<strong>239</strong> of 240",
        "rolls over in 60 s",
        "TE_BASE_URL=http://simulator/v7",
        "TE_TOKEN=sim-token",
    ):
        assert words in page


async def test_a_token_of_ones_own_is_never_shown(make: Make, connect: Connect) -> None:
    api = connect(make(token="s3cret"))
    assert "s3cret" not in (await api.get(PAGE)).text
    assert "s3cret" not in (await api.get(CALLS)).text


async def test_looking_spends_no_quota_and_needs_no_token(make: Make, connect: Connect) -> None:
    app = make(tests=["1"], organization_limit=1)
    api = connect(app)
    for url in (PAGE, CALLS, PAGE):
        assert (await api.get(url, headers={"Authorization": ""})).status_code == 200
    assert app.state.simulator.calls == []
    assert (await api.post(RUN.format("1"))).status_code == 200


async def test_calls_and_runs_are_told_to_other_processes(make: Make, connect: Connect) -> None:
    api = connect(make(tests=["1", "2"]))
    await api.post(RUN.format("1"))
    told = (await api.get(CALLS)).json()
    assert told["runs"] == {"1": 1, "2": 0}
    (call,) = told["calls"]
    assert call["status"] == 200
    assert call["path"] == "/v7/endpoint/tests/scheduled-tests/1/run"


async def test_names_that_users_give_are_escaped(make: Make, connect: Connect) -> None:
    api = connect(make(tests=0))
    body = {"testName": "<script>", "server": "x"}
    await api.post("/endpoint/tests/scheduled-tests/agent-to-server/instant", json=body)
    page = (await api.get(PAGE)).text
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
