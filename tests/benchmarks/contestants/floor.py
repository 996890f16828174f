"""Floor: what Prefect itself takes for a task run and an artifact a test, and nothing else."""

import asyncio
import os
from collections.abc import Iterator

import httpx
from prefect import flow, task
from prefect.artifacts import acreate_table_artifact

IN_FLIGHT = 20


@task
async def rerun(client: httpx.AsyncClient, test_id: str) -> int:
    """Send one call, and write its artifact."""
    reply = await client.post(f"/endpoint/tests/scheduled-tests/{test_id}/run")
    await acreate_table_artifact(
        key=f"test-{test_id}", table=[{"test_id": test_id, "status": reply.status_code}]
    )
    return reply.status_code


@flow
async def rerun_all(test_ids: list[str]) -> int:
    """Let a pool work off the list in this loop; return how many tests were accepted."""
    async with httpx.AsyncClient(
        base_url=os.environ["TE_BASE_URL"],
        headers={"Authorization": f"Bearer {os.environ['TE_TOKEN']}"},
        timeout=60,
    ) as client:
        queue = iter(test_ids)
        pools = [_work(client, queue) for _ in range(min(IN_FLIGHT, len(test_ids)))]
        return sum(await asyncio.gather(*pools))


async def _work(client: httpx.AsyncClient, queue: Iterator[str]) -> int:
    accepted = 0
    for test_id in queue:
        accepted += await rerun(client, test_id) == httpx.codes.OK
    return accepted


def run(test_ids: list[str]) -> int:
    """Run the flow; return how many tests were accepted."""
    return asyncio.run(rerun_all(test_ids))
