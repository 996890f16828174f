"""What every call passes before it reaches its handler: token, quota, account group."""

import asyncio
import re
import secrets
from email.utils import formatdate

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .inventory import EndpointTest
from .quota import Family
from .replies import problem, unauthorized, without_token
from .state import Call, Simulator

_RUN = re.compile(r"/v7/endpoint/tests/scheduled-tests/([^/]+)/run")
_CREATE = re.compile(r"/v7/endpoint/tests/scheduled-tests/(?:agent-to-server|http-server)/instant")


class Gate:
    """Middleware that counts a call, and answers it itself if its handler must not see it.

    Handlers find the simulator and the call's record through `simulator_of` and `call_of`.
    """

    def __init__(self, app: ASGIApp, simulator: Simulator) -> None:
        self._app = app
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the call, then answer it or pass it on."""
        simulator = self._simulator
        call = _record(scope, simulator.now())
        simulator.calls.append(call)
        spent, told = self._families(call)
        app: ASGIApp = self._app
        authorization = Headers(scope=scope).get("authorization", "")
        if not self._knows(authorization):
            app = unauthorized() if authorization else without_token()
        elif refusing := simulator.quota.take(spent, call.at):
            app = problem(429, f"The {refusing} rate limit is exhausted.")
        elif self._is_elsewhere(QueryParams(scope["query_string"])):
            app = problem(403)
        # Computed now: otherwise replies sent at the same time would all show the same Remaining.
        headers = simulator.quota.headers(told, call.at)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                if simulator.options.latency_seconds:
                    await asyncio.sleep(simulator.options.latency_seconds)
                call.status = message["status"]
                reply = MutableHeaders(scope=message)
                reply.update({"Date": formatdate(simulator.now(), usegmt=True), **headers})
            await send(message)

        scope.setdefault("state", {}).update(
            simulator=simulator, call=call, dialects=simulator.options.dialects
        )
        await app(scope, receive, send_with_headers)

    def _families(self, call: Call) -> tuple[tuple[Family, ...], tuple[Family, ...]]:
        """Return the families that a call spends, and those in its reply's headers.

        The samples of the API's earlier version have the headers of both families on a rerun, and
        only the organization's on a creation. It is not documented for v7, but likely, that both
        calls count as instant tests.
        """
        is_post = call.method == "POST"
        is_run = is_post and _RUN.fullmatch(call.path) is not None
        is_creation = is_post and _CREATE.fullmatch(call.path) is not None
        spent: tuple[Family, ...] = ("organization",)
        if is_run or is_creation:
            spent = ("organization", "instant")
        told = spent if is_run else ("organization",)
        return spent, tuple(f for f in told if f in self._simulator.options.rate_headers)

    def _knows(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        known = self._simulator.token.encode()
        return scheme.lower() == "bearer" and secrets.compare_digest(token.strip().encode(), known)

    def _is_elsewhere(self, query: QueryParams) -> bool:
        return any(aid != self._simulator.options.aid for aid in query.getlist("aid"))


def _record(scope: Scope, now: float) -> Call:
    run = _RUN.fullmatch(scope["path"])
    test_id = run[1] if run else None
    return Call(at=now, method=scope["method"], path=scope["path"], test_id=test_id)


def simulator_of(request: Request) -> Simulator:
    """Return the simulator that received a call."""
    simulator: Simulator = request.state.simulator
    return simulator


def call_of(request: Request) -> Call:
    """Return the record of a call."""
    call: Call = request.state.call
    return call


def find_test(request: Request) -> EndpointTest:
    """Return the test that the path names, or answer 404."""
    test_id = request.path_params["test_id"]
    call_of(request).test_id = test_id
    test = simulator_of(request).tests.get(test_id)
    if test is None:
        raise HTTPException(404)
    return test


def base_url(request: Request) -> str:
    """Return the URL that the API's absolute links begin with."""
    return f"{request.url.scheme}://{request.url.netloc}/v7"
