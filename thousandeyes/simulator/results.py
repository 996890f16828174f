"""Serves the results of one test or of many, row by row and page by page."""

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .definitions import definition
from .faults import ResultReply
from .gate import base_url, find_test, simulator_of
from .inventory import EndpointTest, Kind
from .paging import cut, links, page_size, read_cursor
from .paths import hops_row, path_row
from .query import (
    HttpSearch,
    NetworkSearch,
    Search,
    TimeFrame,
    check_flags,
    expansions,
    parse_search,
    time_frame,
)
from .replies import HalJSONResponse, for_status, proxy_page
from .rounds import Measurement, http_row, measurements, network_row
from .wire import Lost

_PATH = "/endpoint/test-results/scheduled-tests"


@dataclass(frozen=True)
class Reading:
    """One kind of results; the flags say what its replies have (OpenAPI 7.0.110)."""

    row: Callable[[Measurement, str | int, frozenset[str]], dict[str, Any]]
    search: type[Search[Any, Any]] = NetworkSearch
    kind: Kind | None = None
    """The only kind of test that has these results; None if all have them."""
    expandable: frozenset[str] = frozenset({"user-profile"})
    has_test: bool = False
    has_total: bool = False
    has_self: bool = False
    takes_max: bool = False
    latest_round_only: bool = False
    """Whether a query without a time frame returns only the newest round."""

    async def of_one(self, request: Request) -> Response:
        """Answer for the test in the path."""
        test = find_test(request)
        if self.kind not in {None, test.kind} or _unreadable(request, {test.id}):
            raise HTTPException(404)
        return await self._answer(request, [test], await self._search(request))

    async def of_many(self, request: Request) -> Response:
        """Answer for the tests that the body names, or for all."""
        search = await self._search(request)
        wanted = set(search.search_filters.test_id)
        if _unreadable(request, wanted):
            raise HTTPException(404)
        tests = [
            test
            for test in simulator_of(request).tests.values()
            if self.kind in {None, test.kind} and (not wanted or test.id in wanted)
        ]
        return await self._answer(request, tests, search)

    async def _search(self, request: Request) -> Search[Any, Any]:
        return parse_search(self.search, await request.body() if request.method == "POST" else b"")

    async def _answer(
        self, request: Request, tests: list[EndpointTest], search: Search[Any, Any]
    ) -> Response:
        simulator = simulator_of(request)
        check_flags(request.query_params)
        expand = expansions(request.query_params, self.expandable)
        aid = simulator.aid
        cursor = await read_cursor(request, simulator.now())
        frame = time_frame(request.query_params, cursor.as_of)
        largest = simulator.options.page_size
        size = page_size(request, largest) if self.takes_max else largest
        found = self._find(request, tests, search, frame, cursor.as_of)
        reply: dict[str, Any] = {**frame.as_fields()}
        if search.reads_rows:
            rows = search.apply([self.row(measurement, aid, expand) for measurement in found])
            total, reply["results"] = len(rows), cut(rows, cursor, size)
        else:
            total = len(found)
            reply["results"] = [self.row(m, aid, expand) for m in cut(found, cursor, size)]
        if self.has_total:
            reply["totalHits"] = total
        if self.has_test:
            reply["test"] = definition(tests[0], simulator, base_url(request))
        reply["_links"] = await links(request, cursor, size, total, with_self=self.has_self)
        if len(tests) == 1 and simulator.speaks("rows_without_test_id"):
            for row in reply["results"]:
                del row["testId"]
        as_json = not total and not self.has_self and simulator.speaks("empty_as_json")
        usual = JSONResponse(reply) if as_json else HalJSONResponse(reply)
        return _as_told(simulator.result_faults.take(), usual)

    def _find(
        self,
        request: Request,
        tests: Iterable[EndpointTest],
        search: Search[Any, Any],
        frame: TimeFrame,
        as_of: float,
    ) -> list[Measurement]:
        """Return the measurements asked for, in no useful order, because the API promises none."""
        simulator, http = simulator_of(request), self.kind == "http-server"
        found = [
            measurement
            for test in tests
            for measurement in measurements(
                simulator, test, frame.start, frame.end, as_of, http=http
            )
            if search.search_filters.admit(measurement.agent)
        ]
        if self.latest_round_only and not frame.is_told:
            newest = max((m.round_id for m in found), default=0)
            found = [m for m in found if m.round_id == newest]
        return sorted(found, key=lambda measurement: measurement.luck)


def _unreadable(request: Request, test_ids: Collection[str]) -> bool:
    return not set(simulator_of(request).options.unreadable).isdisjoint(test_ids)


async def path_of_agent(request: Request) -> Response:
    """Answer with the path of one agent in one round, hop by hop."""
    simulator, test = simulator_of(request), find_test(request)
    check_flags(request.query_params)
    agent_id, round_id = (request.path_params[name] for name in ("agent_id", "round_id"))
    rows = [
        hops_row(measurement, simulator.aid)
        for measurement in measurements(simulator, test, 0, math.inf, simulator.now())
        if (measurement.agent.id, str(measurement.round_id)) == (agent_id, round_id)
    ]
    if not rows:
        raise HTTPException(404)
    reply = {
        "results": rows,
        "test": definition(test, simulator, base_url(request)),
        "_links": {"self": {"href": str(request.url)}},
    }
    return _as_told(simulator.result_faults.take(), HalJSONResponse(reply))


def _as_told(told: ResultReply, usual: Response) -> Response:
    if isinstance(told, int):
        return usual if told == HTTPStatus.OK else for_status(told)
    replies: dict[ResultReply, Response] = {
        "dropped": Lost(),
        "stalled": Lost(hangs=True),
        "half_body": Lost(half_of=usual),
        "html": proxy_page(HTTPStatus.OK),
        "empty": Response(),
    }
    return replies[told]


_network_of_one = Reading(network_row, has_test=True, has_total=True)
_network_of_many = Reading(network_row, has_total=True, takes_max=True)
_http = Reading(
    http_row,
    HttpSearch,
    kind="http-server",
    expandable=frozenset({"header", "user-profile"}),
    has_test=True,
    has_total=True,
    has_self=True,
)
_http_filtered = replace(_http, has_test=False)
_path = Reading(
    path_row, expandable=frozenset(), has_test=True, has_self=True, latest_round_only=True
)

ROUTES = [
    Route(f"{_PATH}/network/filter", _network_of_many.of_many, methods=["POST"]),
    Route(f"{_PATH}/http-server/filter", _http_filtered.of_many, methods=["POST"]),
    Route(f"{_PATH}/{{test_id}}/network/filter", _network_of_one.of_one, methods=["POST"]),
    Route(f"{_PATH}/{{test_id}}/http-server/filter", _http_filtered.of_one, methods=["POST"]),
    Route(f"{_PATH}/{{test_id}}/http-server", _http.of_one),
    Route(f"{_PATH}/{{test_id}}/path-vis", _path.of_one),
    Route(f"{_PATH}/{{test_id}}/path-vis/agent/{{agent_id}}/round/{{round_id}}", path_of_agent),
]
