"""Limiter: a pool of threads behind a client-side rate limiter, set to the documented rate."""

import os
from concurrent.futures import ThreadPoolExecutor

import httpx
from pyrate_limiter import Duration, Limiter, Rate

AT_A_TIME = 8


def run(test_ids: list[str], limit: int, window_seconds: float) -> int:
    """Send one call a test, each when the limiter lets it; return how many tests were accepted."""
    rate = Rate(limit, int(window_seconds * Duration.SECOND))
    with (
        Limiter(rate) as limiter,
        ThreadPoolExecutor(AT_A_TIME) as pool,
        httpx.Client(
            base_url=os.environ["TE_BASE_URL"],
            headers={"Authorization": f"Bearer {os.environ['TE_TOKEN']}"},
        ) as client,
    ):

        def rerun(test_id: str) -> bool:
            limiter.try_acquire("reruns")
            path = f"/endpoint/tests/scheduled-tests/{test_id}/run"
            return client.post(path).is_success

        return sum(pool.map(rerun, test_ids))
