"""Listing, reading and creating tests."""

from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .definitions import definition, new_test
from .faults import is_applied
from .gate import base_url, call_of, find_test, simulator_of
from .inventory import KINDS, EndpointTest, Kind
from .misbehaviour import answer
from .replies import HalJSONResponse

_PATH = "/endpoint/tests/scheduled-tests"


async def list_tests(request: Request, kinds: tuple[Kind, ...]) -> Response:
    """List all tests of these kinds; the API doesn't page this list.

    Whether instant tests are listed is not documented, hence `hide_instant_tests`.
    """
    simulator = simulator_of(request)
    shown = () if simulator.options.hide_instant_tests else simulator.tests.values()
    tests = [_tell(request, test) for test in shown if test.kind in kinds]
    return HalJSONResponse({"tests": tests, "_links": {"self": {"href": str(request.url)}}})


async def read(request: Request, kind: Kind) -> Response:
    """Return one test, if the path names its kind."""
    test = find_test(request)
    if test.kind != kind:
        raise HTTPException(404)
    return HalJSONResponse(_tell(request, test))


async def create(request: Request, kind: Kind) -> Response:
    """Create an instant test and run it once; answer 201 with its definition and its URL.

    A fault for its name may change the answer.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415)
    simulator = simulator_of(request)
    test = new_test(kind, await request.body(), *simulator.new_id(), simulator.now())
    reply, latency_seconds = simulator.creation_faults.take(test.name)
    if is_applied(reply):
        simulator.add(test)
        simulator.run(test.id, call_of(request))
    location = f"{base_url(request)}{_PATH}/{kind}/{test.id}"
    if simulator.speaks("location_over_http"):
        location = f"http://api.thousandeyes.com:443/v7{_PATH}/{kind}/{test.id}"
    usual = HalJSONResponse(_tell(request, test), 201, headers={"Location": location})
    return await answer(request, reply, latency_seconds, usual)


def _tell(request: Request, test: EndpointTest) -> dict[str, Any]:
    return definition(test, simulator_of(request), base_url(request))


def _routes_of(kind: Kind) -> list[Route]:
    path = f"{_PATH}/{kind}"
    return [
        Route(path, partial(list_tests, kinds=(kind,))),
        Route(f"{path}/instant", partial(create, kind=kind), methods=["POST"]),
        Route(f"{path}/{{test_id}}", partial(read, kind=kind)),
    ]


ROUTES = [
    Route(_PATH, partial(list_tests, kinds=KINDS)),
    *(route for kind in KINDS for route in _routes_of(kind)),
]
