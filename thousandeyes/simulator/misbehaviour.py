"""The replies of a run or a creation, and everything that can go wrong with them."""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from .faults import Misbehaviour, Reply, is_applied
from .replies import for_status, problem, proxy_page
from .wire import Lost


async def answer(
    request: Request, reply: Reply | None, latency_seconds: float, usual: Response
) -> Response:
    """Return the usual reply to a call, or what its fault says instead, after its latency."""
    if latency_seconds:
        await asyncio.sleep(latency_seconds)
    if reply is None:
        return usual
    if isinstance(reply, int):
        return _with_status(reply, usual)
    if reply == "echo":
        return _echo(request, (await request.body()).decode())
    return _MISBEHAVIOURS[reply](usual)


def _with_status(status: int, usual: Response) -> Response:
    if not is_applied(status):
        return for_status(status)
    if status == 204:  # noqa: PLR2004  no body
        return Response(status_code=status)
    usual.status_code = status
    return usual


def _echo(request: Request, body: str) -> Response:
    token = request.headers["authorization"].partition(" ")[2]
    said = {"authorization": f"{token} is refused"} | ({"body": body} if body else {})
    errors = [{"code": "invalid", "field": name, "message": said[name]} for name in said]
    return problem(
        400, f"Bad header: Bearer {token}", headers={"X-Debug-Token": token}, errors=errors
    )


_MISBEHAVIOURS: dict[Misbehaviour, Callable[[Response], Response]] = {
    "dropped_before": lambda _: Lost(),
    "dropped_after": lambda _: Lost(),
    "stalled": lambda _: Lost(hangs=True),
    "half_body": lambda usual: Lost(half_of=usual),
    "html": lambda _: proxy_page(200),
    "plain_text": lambda _: PlainTextResponse("OK"),
    "empty": lambda _: Response(),
    "no_message": lambda _: JSONResponse({}),
}
