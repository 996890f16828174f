"""A flow of this project that reruns tests as a part of its own work.

    python -m deployments.examples.as_subflow 765231567 765231568

The flow runs in this process, with its token: TE_TOKEN, or a ThousandEyes Credentials block.
"""

import asyncio
import sys

from prefect import flow

from flows.rerun import RerunFailed, RerunOptions, rerun_endpoint_tests


@flow
async def after_the_maintenance(test_ids: list[str]) -> str:
    """Rerun the tests of the branches that were worked on, and say how it went."""
    try:
        outcomes = await rerun_endpoint_tests(
            test_ids, options=RerunOptions(delivery="at_most_once")
        )
    except RerunFailed as failed:
        open_ones = [one.test_id for one in failed.outcomes if one.outcome != "accepted"]
        return f"Check {', '.join(open_ones)}: {failed}"
    return f"All {len(outcomes)} tests run again."


if __name__ == "__main__":
    print(asyncio.run(after_the_maintenance(sys.argv[1:])))  # noqa: T201
