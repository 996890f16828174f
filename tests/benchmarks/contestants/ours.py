"""Ours: the flow `rerun-endpoint-tests`, as `python -m flows.rerun` calls it."""

import asyncio
from typing import Any

from flows.rerun import RerunOptions, rerun_endpoint_tests
from thousandeyes.outcomes import Outcome


def run(test_ids: list[str], **options: Any) -> int:
    """Run the flow; return how many tests were accepted."""
    records = asyncio.run(rerun_endpoint_tests(test_ids, options=RerunOptions(**options)))
    return sum(record.outcome is Outcome.ACCEPTED for record in records)
