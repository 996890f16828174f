"""The run call, and everything that can go wrong with it."""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from .faults import Misbehaviour, Reply, is_applied
from .gate import call_of, find_test, simulator_of
from .replies import for_status, problem, proxy_page
from .wire import Lost


async def run(request: Request) -> Response:
    """Run a test once more; 200 with a message (OpenAPI 7.0.85), or what its fault says."""
    simulator, call = simulator_of(request), call_of(request)
    test = find_test(request)
    reply, latency_seconds = simulator.faults.take(test.id)
    if is_applied(reply):
        simulator.run(test.id, call)
    if latency_seconds:
        await asyncio.sleep(latency_seconds)
    if reply is None or reply == 200:  # noqa: PLR2004  HTTP's own name for it
        return _accepted(test.id)
    return _faulty(reply, test.id, request)


def _accepted(test_id: str, status: int = 200) -> Response:
    message = f"Successfully reran the instant scheduled test with testId={test_id}"
    return JSONResponse({"message": message}, status)


def _faulty(reply: Reply, test_id: str, request: Request) -> Response:
    if isinstance(reply, int):
        return _with_status(reply, test_id)
    return _MISBEHAVIOURS[reply](test_id, request)


def _with_status(status: int, test_id: str) -> Response:
    if not is_applied(status):
        return for_status(status)
    return Response(status_code=status) if status == 204 else _accepted(test_id, status)  # noqa: PLR2004  no body


def _echo(request: Request) -> Response:
    token = request.headers["authorization"].partition(" ")[2]
    errors = [{"code": "invalid", "field": "authorization", "message": f"{token} is refused"}]
    return problem(
        400, f"Bad header: Bearer {token}", headers={"X-Debug-Token": token}, errors=errors
    )


_MISBEHAVIOURS: dict[Misbehaviour, Callable[[str, Request], Response]] = {
    "dropped_before": lambda *_: Lost(),
    "dropped_after": lambda *_: Lost(),
    "stalled": lambda *_: Lost(hangs=True),
    "half_body": lambda test_id, _: Lost(half_of=_accepted(test_id)),
    "html": lambda *_: proxy_page(200),
    "plain_text": lambda *_: PlainTextResponse("OK"),
    "empty": lambda *_: Response(),
    "no_message": lambda *_: JSONResponse({}),
    "echo": lambda _, request: _echo(request),
}
