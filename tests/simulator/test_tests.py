from collections.abc import Callable

import httpx
import pytest
from starlette.applications import Starlette

from thousandeyes.simulator import Fault

Make = Callable[..., Starlette]
Connect = Callable[[Starlette], httpx.AsyncClient]
TESTS = "/endpoint/tests/scheduled-tests"


async def test_the_list_holds_every_test_and_the_kinds_lists_their_half(
    make: Make, connect: Connect
) -> None:
    app = make(tests=10)
    api = connect(app)
    everything = (await api.get(TESTS)).json()["tests"]
    assert [test["testId"] for test in everything] == app.state.simulator.test_ids
    network = (await api.get(f"{TESTS}/agent-to-server")).json()["tests"]
    web = (await api.get(f"{TESTS}/http-server")).json()["tests"]
    assert {test["type"] for test in network} == {"agent-to-server"}
    assert len(network) == len(web) == 5


async def test_instant_tests_can_be_left_out_of_the_lists(make: Make, connect: Connect) -> None:
    api = connect(make(tests=["1"], hide_instant_tests=True))
    assert (await api.get(TESTS)).json()["tests"] == []
    assert (await api.get(f"{TESTS}/agent-to-server/1")).status_code == 200


async def test_one_test_is_told_only_under_its_own_kind(make: Make, connect: Connect) -> None:
    api = connect(make(tests=["1"]))
    found = await api.get(f"{TESTS}/agent-to-server/1")
    assert found.headers["Content-Type"] == "application/hal+json"
    assert found.json()["testId"] == "1"
    assert (await api.get(f"{TESTS}/http-server/1")).status_code == 404


async def test_a_definition_has_the_slips_of_the_vendors_links(
    make: Make, connect: Connect
) -> None:
    links = (await connect(make(tests=["1"])).get(f"{TESTS}/agent-to-server/1")).json()["_links"]
    base = "http://simulator/v7/endpoint"
    assert links["self"]["href"] == f"{base}/tests/agent-to-server/1"
    assert links["testResults"][-1]["href"] == f"{base}/test-results/scheduled-tests/1/pathvis"


async def test_a_creation_runs_the_test_once_and_spends_both_quotas(
    make: Make, connect: Connect
) -> None:
    app = make(tests=0)
    api = connect(app)
    body = {"testName": "Payroll", "server": "payroll.example.com", "port": 8443}
    created = await api.post(f"{TESTS}/agent-to-server/instant", json=body)
    assert created.status_code == 201
    test = created.json()
    assert test["testName"] == "Payroll"
    assert (test["server"], test["port"]) == ("payroll.example.com", 8443)
    assert test["agentSelectorConfig"] == {"agentSelectorType": "all-agents", "maxMachines": 25}
    assert (await api.get(created.headers["Location"])).json() == test
    simulator = app.state.simulator
    assert simulator.runs(test["testId"]) == 1
    assert simulator.quota.windows["instant"].remaining(simulator.now()) == 23


async def test_a_created_test_can_be_run_again(make: Make, connect: Connect) -> None:
    app = make(tests=0)
    api = connect(app)
    body = {"testName": "Intranet", "url": "https://intranet.example.com"}
    created = await api.post(f"{TESTS}/http-server/instant", json=body)
    test_id = created.json()["testId"]
    assert (await api.post(f"{TESTS}/{test_id}/run")).status_code == 200
    assert app.state.simulator.runs(test_id) == 2


async def test_a_password_is_never_told(make: Make, connect: Connect) -> None:
    body = {"testName": "x", "url": "x", "authType": "basic", "username": "u", "password": "s3cret"}
    reply = await connect(make()).post(f"{TESTS}/http-server/instant", json=body)
    assert reply.json()["username"] == "u"
    assert "s3cret" not in reply.text


async def test_a_selection_by_tags_is_told_in_the_definition(make: Make, connect: Connect) -> None:
    tag = "c6b78e57-81a2-4c5f-a11a-d96c3c664d55"
    body = {"testName": "x", "url": "x", "agentSelectorType": "agent-tags", "tagIds": [tag]}
    created = await connect(make()).post(f"{TESTS}/http-server/instant", json=body)
    assert created.json()["agentSelectorConfig"] == {
        "agentSelectorType": "agent-tags",
        "maxMachines": 25,
        "tagIds": [tag],
    }


@pytest.mark.parametrize(
    ("entry", "status", "created"),
    [(503, 503, 0), ("html", 200, 0), ("empty", 200, 1), ("no_message", 200, 1), (202, 202, 1)],
)
async def test_a_creation_misbehaves_by_its_name(
    make: Make, connect: Connect, entry: int | str, status: int, created: int
) -> None:
    app = make(tests=0, creation_faults={"Payroll": Fault(replies=[entry])})
    api = connect(app)
    for name, expected in (("Payroll", status), ("Other", 201), ("Payroll", 201)):
        body = {"testName": name, "server": "x"}
        reply = await api.post(f"{TESTS}/agent-to-server/instant", json=body)
        assert reply.status_code == expected
    names = [test.name for test in app.state.simulator.tests.values()]
    assert names == ["Payroll"] * created + ["Other", "Payroll"]


async def test_an_echo_of_a_creation_repeats_all_that_was_sent(
    make: Make, connect: Connect
) -> None:
    api = connect(make(creation_faults={"x": Fault(replies=["echo"])}))
    body = {"testName": "x", "url": "x", "authType": "basic", "username": "u", "password": "s3cret"}
    reply = await api.post(f"{TESTS}/http-server/instant", json=body)
    assert "s3cret" in reply.json()["errors"][1]["message"]


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("agent-to-server", {"server": "x"}, "testName"),
        ("agent-to-server", {"testName": "x"}, "server"),
        ("agent-to-server", {"testName": "x", "server": "x", "port": "443"}, "port"),
        ("agent-to-server", {"testName": "x", "server": "x", "port": None}, "port"),
        ("agent-to-server", {"testName": "x", "server": "x", "ipVersion": "V5"}, "ipVersion"),
        ("http-server", {"testName": "x", "server": "x"}, "url"),
        ("http-server", {"testName": "x", "url": "x", "sslVersionId": "1"}, "sslVersionId"),
        ("http-server", {"testName": "x", "url": "x", "agents": ["me"]}, "agents.0"),
        (
            "http-server",
            {"testName": "x", "url": "x", "agentSelectorType": "specific-agents"},
            "agents",
        ),
        (
            "http-server",
            {"testName": "x", "url": "x", "agentSelectorType": "agent-labels"},
            "endpointAgentLabels",
        ),
        (
            "agent-to-server",
            {"testName": "x", "server": "x", "agentSelectorType": "agent-tags"},
            "tagIds",
        ),
        ("http-server", [], ""),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_created(
    make: Make, connect: Connect, kind: str, body: object, field: str
) -> None:
    app = make(tests=0)
    reply = await connect(app).post(f"{TESTS}/{kind}/instant", json=body)
    assert reply.status_code == 400
    assert [error["field"] for error in reply.json()["errors"]] == [field]
    assert app.state.simulator.test_ids == []


async def test_a_body_that_is_not_json_is_refused(make: Make, connect: Connect) -> None:
    reply = await connect(make()).post(f"{TESTS}/http-server/instant", data={"testName": "x"})
    assert reply.status_code == 415
