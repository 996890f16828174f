"""Bare: the calls alone, one connection pool, no Prefect, no quota, no record."""

import asyncio
import os

import httpx


def run(test_ids: list[str], max_in_flight: int | None) -> int:
    """Send one call a test, at most `max_in_flight` at a time; return how many were accepted."""
    return asyncio.run(_run(test_ids, max_in_flight or len(test_ids)))


async def _run(test_ids: list[str], max_in_flight: int) -> int:
    slots = asyncio.Semaphore(max_in_flight)

    async with httpx.AsyncClient(
        base_url=os.environ["TE_BASE_URL"],
        headers={"Authorization": f"Bearer {os.environ['TE_TOKEN']}"},
        timeout=60,
    ) as client:

        async def rerun(test_id: str) -> bool:
            async with slots:
                reply = await client.post(f"/endpoint/tests/scheduled-tests/{test_id}/run")
                return reply.is_success

        return sum(await asyncio.gather(*map(rerun, test_ids)))
