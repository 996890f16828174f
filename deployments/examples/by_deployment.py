"""A flow of another project that has tests rerun by the deployment, and gets the outcomes.

    python -m deployments.examples.by_deployment 765231567 765231568

It needs this package and the Prefect server (PREFECT_API_URL), but no token: the worker has it.
"""

import asyncio
import sys

from prefect import flow

from flows.rerun import RerunFailed
from flows.rerun.remote import RerunUnfinished, rerun_by_deployment


@flow
async def roll_out_the_firewall_rules(test_ids: list[str]) -> str:
    """Have the tests rerun once the rules are out, and say how it went."""
    try:
        outcomes = await rerun_by_deployment(test_ids, timeout=1800)
    except RerunFailed as failed:
        open_ones = [one.test_id for one in failed.outcomes if one.outcome != "accepted"]
        return f"Check {', '.join(open_ones)}: {failed}"
    except RerunUnfinished as unfinished:
        return str(unfinished)
    return outcomes.sentence


if __name__ == "__main__":
    print(asyncio.run(roll_out_the_firewall_rules(sys.argv[1:])))  # noqa: T201
