"""The run call."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .faults import is_applied
from .gate import call_of, find_test, simulator_of
from .misbehaviour import answer


async def run(request: Request) -> Response:
    """Run a test again; answer 200 with a message (OpenAPI 7.0.85), or what its fault says."""
    simulator, call = simulator_of(request), call_of(request)
    test = find_test(request)
    reply, latency_seconds = simulator.faults.take(test.id)
    if is_applied(reply):
        simulator.run(test.id, call)
    message = f"Successfully reran the instant scheduled test with testId={test.id}"
    return await answer(request, reply, latency_seconds, JSONResponse({"message": message}))
