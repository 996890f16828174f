"""Observed: ours, with a note of each reply to a rerun call as it came off the wire."""

import time
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from tests.benchmarks.contestants import ours

NOTES: Final[dict[str, Any]] = {"replies": []}

_send = httpx.AsyncHTTPTransport.handle_async_request


async def _noting(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
    sent = time.monotonic()
    reply = await _send(transport, request)
    # Prefect's client comes this way, too.
    if request.url.path.endswith("/run"):
        NOTES["replies"].append(
            {
                "sent": sent,
                "arrived": time.monotonic(),
                "status": reply.status_code,
                "date": parsedate_to_datetime(reply.headers["Date"]).timestamp(),
                "reset": float(reply.headers["X-Instant-Test-Rate-Limit-Reset"]),
            }
        )
    return reply


def run(test_ids: list[str], **options: Any) -> int:
    """Run the flow; return how many tests were accepted."""
    httpx.AsyncHTTPTransport.handle_async_request = _noting  # type: ignore[assignment,method-assign]
    return ours.run(test_ids, **options)
