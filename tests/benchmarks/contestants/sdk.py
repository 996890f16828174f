"""SDK: the vendor's own client in a pool of threads; one more try after a 429."""

# Its generated modules export no names explicitly.
# mypy: disable-error-code="attr-defined"

import os
from concurrent.futures import ThreadPoolExecutor

from thousandeyes_sdk.core import ApiClient, Configuration
from thousandeyes_sdk.core.exceptions import ApiException
from thousandeyes_sdk.endpoint_instant_tests import RunEndpointInstantScheduledTestsApi

AT_A_TIME = 8


def run(test_ids: list[str]) -> int:
    """Send one call a test; return how many tests were accepted."""
    configuration = Configuration(
        host=os.environ["TE_BASE_URL"], access_token=os.environ["TE_TOKEN"]
    )
    with ApiClient(configuration) as client, ThreadPoolExecutor(AT_A_TIME) as pool:
        api = RunEndpointInstantScheduledTestsApi(client)

        def rerun(test_id: str) -> bool:
            try:
                api.run_endpoint_scheduled_instant_test(test_id)
            except ApiException:
                return False
            return True

        return sum(pool.map(rerun, test_ids))
