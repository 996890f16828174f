"""Observed: ours, with a note of its plan line and of each reply to a rerun call off the wire."""

import logging
import time
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from tests.benchmarks.contestants import ours

NOTES: Final[dict[str, Any]] = {"replies": [], "plan": ""}

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


class _PlanLine(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _, about, told = record.getMessage().partition(": about ")
        if about and not NOTES["plan"]:
            NOTES["plan"] = told


def run(test_ids: list[str], **options: Any) -> int:
    """Run the flow; return how many tests were accepted."""
    httpx.AsyncHTTPTransport.handle_async_request = _noting  # type: ignore[assignment,method-assign]
    logging.getLogger("prefect.flow_runs").addHandler(_PlanLine())
    return ours.run(test_ids, **options)
