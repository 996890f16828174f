"""A flow for a project that has Prefect but not this package. Copy it.

    python -m deployments.examples.prefect_alone 765231567 765231568

It needs the Prefect server (PREFECT_API_URL), on which somebody has run bootstrap, but no token:
the worker has it.
"""

import asyncio
import sys

from prefect import flow
from prefect.deployments import arun_deployment


@flow
async def swap_the_router(test_ids: list[str]) -> str:
    """Have the tests rerun once the router is swapped, and fail if they fail."""
    run = await arun_deployment(
        "rerun-endpoint-tests/on-demand", parameters={"test_ids": test_ids}, timeout=1800
    )
    if run.state is None or not run.state.is_final():
        raise RuntimeError(f"The run {run.name} has not ended within half an hour.")
    if not run.state.is_completed():
        raise RuntimeError(f"The run {run.name} ended {run.state.name}: {run.state.message}")
    return run.state.message or ""


if __name__ == "__main__":
    print(asyncio.run(swap_the_router(sys.argv[1:])))  # noqa: T201
