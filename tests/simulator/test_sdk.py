"""The vendor's own client against the simulator: what it reads, the project's client may expect."""

# Its generated modules export no names explicitly, and all fields of its models are optional.
# mypy: disable-error-code="attr-defined", no-strict-optional

import time
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from thousandeyes_sdk.administrative import AccountGroupsApi
from thousandeyes_sdk.core import ApiClient, Configuration
from thousandeyes_sdk.core.exceptions import (
    ApiException,
    BadRequestException,
    ForbiddenException,
    NotFoundException,
    ServiceException,
    TooManyRequestsException,
    UnauthorizedException,
)
from thousandeyes_sdk.endpoint_agents import (
    AgentSearchFilters,
    AgentSearchRequest,
    AgentSearchSort,
    EndpointAgentsApi,
    ExpandEndpointAgentOptions,
)
from thousandeyes_sdk.endpoint_instant_tests import (
    AgentToServerEndpointInstantScheduledTestsApi,
    EndpointAgentToServerInstantTest,
    EndpointHttpServerInstantTest,
    HTTPServerEndpointInstantScheduledTestsApi,
    RunEndpointInstantScheduledTestsApi,
)
from thousandeyes_sdk.endpoint_test_results import (
    EndpointTestsDataRoundsSearch,
    EndpointTestsDataSearchSort,
    ExpandEndpointHttpServerOptions,
    HttpEndpointTestsDataRoundsSearch,
    HttpEndpointTestsDataSearchFilter,
    HttpEndpointTestsDataSearchSort,
    HTTPServerEndpointScheduledTestResultsApi,
    MultiTestIdEndpointTestsDataRoundsSearch,
    MultiTestIdEndpointTestsDataSearchFilter,
    NetworkEndpointScheduledTestResultsApi,
)
from thousandeyes_sdk.endpoint_tests import (
    AgentToServerEndpointScheduledTestsApi,
    EndpointAgentTagsSelectorConfig,
    EndpointScheduledTestsApi,
    HTTPServerEndpointScheduledTestsApi,
)

from thousandeyes.simulator import Fault, create_app, serve

NETWORK, HTTP = "202701", "344811"
EXPANDED = ["clients", "vpnProfiles", "networkInterfaceProfiles"]
FAULTS: dict[str, type[ApiException]] = {
    "400": BadRequestException,
    "401": UnauthorizedException,
    "403": ForbiddenException,
    "404": NotFoundException,
    "500": ServiceException,
    "502": ServiceException,
    "503": ServiceException,
}


@pytest.fixture(scope="module")
def app() -> Starlette:
    return create_app(
        tests=[NETWORK, HTTP, *FAULTS],
        agents=12,
        page_size=5,
        results_after_seconds=0,
        instant_limit=1_000,
        organization_limit=1_000,
        faults={status: Fault(replies=[int(status)], repeat=True) for status in FAULTS},
    )


@pytest.fixture(scope="module")
def client(app: Starlette) -> Iterator[ApiClient]:
    with serve(app) as server, connect(server.url) as client:
        yield client


def connect(url: str, token: str = "sim-token") -> ApiClient:
    return ApiClient(Configuration(host=url, access_token=token))


def run(client: ApiClient, test_id: str, aid: str | None = None) -> str:
    api = RunEndpointInstantScheduledTestsApi(client)
    message: str = api.run_endpoint_scheduled_instant_test(test_id, aid=aid).message
    return message


def online_agents(app: Starlette) -> set[str]:
    return {agent.id for agent in app.state.simulator.agents if agent.is_online}


def test_it_runs_a_test(app: Starlette, client: ApiClient) -> None:
    before = app.state.simulator.runs(NETWORK)
    assert run(client, NETWORK, aid="1234").endswith(f"testId={NETWORK}")
    assert app.state.simulator.runs(NETWORK) == before + 1


def test_it_reads_the_rate_headers_of_a_run(client: ApiClient) -> None:
    api = RunEndpointInstantScheduledTestsApi(client)
    reply = api.run_endpoint_scheduled_instant_test_with_http_info(NETWORK)
    headers = {name.lower(): value for name, value in reply.headers.items()}
    assert headers["x-instant-test-rate-limit-limit"] == "1000"
    assert float(headers["x-organization-rate-limit-reset"]) > time.time()


def test_it_creates_a_network_test(app: Starlette, client: ApiClient) -> None:
    api = AgentToServerEndpointInstantScheduledTestsApi(client)
    body = EndpointAgentToServerInstantTest(test_name="Voice", server="voice.example.com")
    test = api.create_agent_to_server_scheduled_instant_test(body)
    assert (test.test_name, test.server, test.port) == ("Voice", "voice.example.com", 443)
    assert app.state.simulator.runs(test.test_id) == 1


def test_it_creates_an_http_test(app: Starlette, client: ApiClient) -> None:
    api = HTTPServerEndpointInstantScheduledTestsApi(client)
    agent = app.state.simulator.agents[0].id
    body = EndpointHttpServerInstantTest(
        test_name="Intranet",
        url="https://intranet.example.com",
        agent_selector_type="specific-agents",
        agents=[agent],
    )
    test = api.create_http_server_scheduled_instant_test(body)
    assert test.url == "https://intranet.example.com"
    results = NetworkEndpointScheduledTestResultsApi(client)
    rows = results.filter_scheduled_test_network_results(test.test_id).results
    assert [str(row.agent_id) for row in rows] == [agent]


def test_it_creates_a_test_for_the_agents_of_a_tag_and_reads_it(client: ApiClient) -> None:
    tag = "0a3b9998-dc3a-4ff2-b50d-ac4a7cd986e1"
    body = EndpointAgentToServerInstantTest(
        test_name="Tagged", server="a.example.com", agent_selector_type="agent-tags", tag_ids=[tag]
    )
    created = AgentToServerEndpointInstantScheduledTestsApi(client)
    test_id = created.create_agent_to_server_scheduled_instant_test(body).test_id
    api = AgentToServerEndpointScheduledTestsApi(client)
    test = api.get_agent_to_server_endpoint_scheduled_test(test_id)
    config = test.agent_selector_config.actual_instance
    assert isinstance(config, EndpointAgentTagsSelectorConfig)
    assert list(map(str, config.tag_ids)) == [tag]
    results = NetworkEndpointScheduledTestResultsApi(client)
    assert results.filter_scheduled_test_network_results(test_id).results


def test_it_lists_the_tests_of_each_kind(client: ApiClient) -> None:
    everything = EndpointScheduledTestsApi(client).get_endpoint_scheduled_tests().tests
    network = AgentToServerEndpointScheduledTestsApi(client)
    web = HTTPServerEndpointScheduledTestsApi(client)
    listed = network.get_agent_to_server_endpoint_scheduled_tests().tests
    assert {NETWORK, HTTP} <= {test.test_id for test in everything}
    assert NETWORK in {test.test_id for test in listed}
    assert web.get_http_server_endpoint_scheduled_test(HTTP).test_id == HTTP
    assert HTTP in {t.test_id for t in web.get_http_server_endpoint_scheduled_tests().tests}


def test_it_reads_every_page_of_the_agents(app: Starlette, client: ApiClient) -> None:
    agents = list(EndpointAgentsApi(client).get_endpoint_agents_paginated())
    assert [str(agent.id) for agent in agents] == [a.id for a in app.state.simulator.agents]


def test_it_filters_agents_and_expands_them(app: Starlette, client: ApiClient) -> None:
    search = AgentSearchRequest(
        search_filters=AgentSearchFilters(
            platform=["windows", "cisco-wireless-cloud"],
            license_type=["advantage", "embed-wireless-essentials"],
            nic_model=["Intel Wi-Fi 6E AX211"],
            nic_driver_version=["23.60.1.2"],
        ),
        search_sort=[AgentSearchSort(sort="name", order="asc")],
    )
    agents = list(
        EndpointAgentsApi(client).filter_endpoint_agents_paginated(
            search, max=2, expand=[ExpandEndpointAgentOptions(name) for name in EXPANDED]
        )
    )
    seeded = app.state.simulator.agents
    assert [agent.name for agent in agents] == sorted(
        agent.name for agent in seeded if agent.platform == "windows"
    )
    assert agents[0].clients[0].user_profile.user_principal_name.endswith("@example.com")
    assert agents[0].network_interface_profiles[0].hardware_type == "wireless"
    assert (agents[0].vpn_profiles, agents[0].agent_explainability_failures) == ([], [])


def test_it_finds_the_account_group(client: ApiClient) -> None:
    (group,) = AccountGroupsApi(client).get_account_groups().account_groups
    assert group.aid == "1234"
    assert group.is_default_account_group


def test_it_reads_every_page_of_the_network_results(app: Starlette, client: ApiClient) -> None:
    run(client, NETWORK)
    api = NetworkEndpointScheduledTestResultsApi(client)
    search = EndpointTestsDataRoundsSearch(
        search_sort=[EndpointTestsDataSearchSort(sort="latency", order="asc")]
    )
    rows = list(
        api.filter_scheduled_test_network_results_paginated(
            test_id=NETWORK, window="1h", endpoint_tests_data_rounds_search=search
        )
    )
    latencies = [row.avg_latency for row in rows if row.avg_latency is not None]
    assert {str(row.agent_id) for row in rows} == online_agents(app)
    assert len(rows) > 5
    assert latencies == sorted(latencies)


def test_it_reads_network_results_of_many_tests(client: ApiClient) -> None:
    run(client, NETWORK)
    run(client, HTTP)
    api = NetworkEndpointScheduledTestResultsApi(client)
    search = MultiTestIdEndpointTestsDataRoundsSearch(
        search_filters=MultiTestIdEndpointTestsDataSearchFilter(test_id=[NETWORK, HTTP])
    )
    rows = api.filter_scheduled_tests_network_results_paginated(
        max=3, multi_test_id_endpoint_tests_data_rounds_search=search
    )
    assert {row.test_id for row in rows} == {NETWORK, HTTP}


def test_it_reads_every_page_of_the_http_results(app: Starlette, client: ApiClient) -> None:
    run(client, HTTP)
    api = HTTPServerEndpointScheduledTestResultsApi(client)
    rows = list(api.get_http_server_scheduled_test_results_paginated(test_id=HTTP, window="1h"))
    filtered = api.get_single_test_filtered_http_server_scheduled_test_results(HTTP)
    assert {str(row.agent_id) for row in rows} == online_agents(app)
    whole = api.get_http_server_scheduled_test_results(HTTP, window="1h")
    assert filtered.total_hits == whole.total_hits == len(rows)
    assert any(row.response_code == 200 and row.total_time for row in rows)


def test_it_reads_http_results_of_many_tests_with_all_that_is_expanded(client: ApiClient) -> None:
    run(client, HTTP)
    api = HTTPServerEndpointScheduledTestResultsApi(client)
    search = HttpEndpointTestsDataRoundsSearch(
        search_filters=HttpEndpointTestsDataSearchFilter(test_id=[HTTP, NETWORK]),
        search_sort=[HttpEndpointTestsDataSearchSort(sort="wire-size", order="desc")],
    )
    found = api.get_multi_test_filtered_http_server_scheduled_test_results(
        window="1h",
        expand=[ExpandEndpointHttpServerOptions(name) for name in ("header", "user-profile")],
        http_endpoint_tests_data_rounds_search=search,
    )
    assert {row.test_id for row in found.results} == {HTTP}
    assert all(row.user_profile.user_name for row in found.results)
    search.search_filters.nic_model = ["Wi-Fi BCM4387"]
    search.search_filters.nic_driver_version = ["12.40"]
    macs = api.get_multi_test_filtered_http_server_scheduled_test_results(
        window="1h", http_endpoint_tests_data_rounds_search=search
    )
    assert {row.platform for row in macs.results} == {"mac"}
    assert any(row.headers.response_headers for row in found.results if row.headers)


def test_it_reads_the_path_summary(client: ApiClient) -> None:
    run(client, NETWORK)
    api = NetworkEndpointScheduledTestResultsApi(client)
    found = api.get_scheduled_test_path_vis_results(NETWORK)
    assert found.test.actual_instance.test_id == NETWORK
    assert found.results[0].path_traces[0].number_of_hops


def test_it_reads_the_path_of_an_agent_hop_by_hop(client: ApiClient) -> None:
    run(client, NETWORK)
    api = NetworkEndpointScheduledTestResultsApi(client)
    row = api.get_scheduled_test_path_vis_results(NETWORK).results[0]
    found = api.get_scheduled_test_path_vis_agent_round_results(
        NETWORK, row.agent_id, str(row.round_id)
    )
    for path in found.results:  # of each run within the minute
        first = path.path_traces[0].hops[0]
        assert (first.hop, first.ip_address) == (1, path.network_profile.gateway)
    told = {trace.path_id for path in found.results for trace in path.path_traces}
    assert row.path_traces[0].path_id in told
    with pytest.raises(NotFoundException):
        api.get_scheduled_test_path_vis_agent_round_results(NETWORK, row.agent_id, "1384309800")


@pytest.mark.parametrize("status", FAULTS)
def test_it_raises_its_own_error_for_each_status(client: ApiClient, status: str) -> None:
    with pytest.raises(FAULTS[status]) as error:
        run(client, status)
    assert error.value.status == int(status)


def test_it_is_refused_what_the_simulator_refuses(client: ApiClient) -> None:
    with pytest.raises(NotFoundException):
        run(client, "999")
    with pytest.raises(ForbiddenException):
        run(client, NETWORK, aid="1")
    with (
        pytest.raises(UnauthorizedException),
        connect(client.configuration.host, token="wrong") as stranger,
    ):
        run(stranger, NETWORK)
    with pytest.raises(BadRequestException):
        HTTPServerEndpointScheduledTestResultsApi(
            client
        ).get_single_test_filtered_http_server_scheduled_test_results(HTTP, window="1y")


def test_it_waits_for_the_reset_of_a_429_and_then_gets_through() -> None:
    app = create_app(tests=[NETWORK], instant_limit=1, window_seconds=0.5, windows="first_call")
    with serve(app) as server, connect(server.url) as client:
        run(client, NETWORK)
        run(client, NETWORK)
    assert [call.status for call in app.state.simulator.calls] == [200, 429, 200]


def test_it_gives_up_after_the_second_429() -> None:
    app = create_app(tests=[NETWORK], instant_limit=0, window_seconds=0.5)
    with (
        serve(app) as server,
        connect(server.url) as client,
        pytest.raises(TooManyRequestsException),
    ):
        run(client, NETWORK)
    assert [call.status for call in app.state.simulator.calls] == [429, 429]
