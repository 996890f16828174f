"""Competitor: somebody else in the organization, who takes part of the quota at random."""

import os
import random
import time
from itertools import cycle

import httpx


def run(test_ids: list[str], a_second: float) -> int:
    """Send calls, so many a second on average, until the process is ended."""
    chance = random.Random()
    with httpx.Client(
        base_url=os.environ["TE_BASE_URL"],
        headers={"Authorization": f"Bearer {os.environ['TE_TOKEN']}"},
    ) as client:
        for test_id in cycle(test_ids):
            time.sleep(chance.expovariate(a_second))
            client.post(f"/endpoint/tests/scheduled-tests/{test_id}/run")
    return 0
