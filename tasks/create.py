"""The tasks that find out which endpoint tests exist, and create a missing one."""

from functools import partial

from tasks.attempts import attempt, calling_task
from thousandeyes.calls import BeforeSending, BeforeWaiting
from thousandeyes.client import ThousandEyesClient
from thousandeyes.definitions import InstantTest
from thousandeyes.delivery import Delivery
from thousandeyes.models import EndpointTest
from thousandeyes.record import Record


@calling_task("list-endpoint-tests", "list-endpoint-tests", Delivery.AT_LEAST_ONCE)
async def list_endpoint_tests(
    client: ThousandEyesClient, aid: str | None = None
) -> list[EndpointTest]:
    """List the endpoint scheduled tests; whether instant tests are among them is not documented.

    Args:
        client: The run's client.
        aid: Account group; the client's if left out.

    Raises:
        CallFailed: One of its subclasses: the last attempt's error.
    """
    return await client.tests(aid)


@calling_task("create-endpoint-test", "create-{definition.test_name}", Delivery.AT_MOST_ONCE)
async def create_endpoint_test(
    definition: InstantTest,
    client: ThousandEyesClient,
    *,
    record: Record,
    before_sending: BeforeSending | None = None,
    before_waiting: BeforeWaiting | None = None,
) -> Record:
    """Create an endpoint instant test, which also runs it once.

    Retried only while it is certain that nothing was created: a second creation is a second test.

    Args:
        definition: What the test measures.
        client: The run's client.
        record: Kept up to date by every attempt, and given the test's ID. Its account group
            counts, or the client's if it has none.
        before_sending: Awaited right before each call goes out.
        before_waiting: Awaited before each wait to send the call again.

    Returns:
        The record, with outcome `accepted`.

    Raises:
        CallFailed: One of its subclasses: the last attempt's error.
    """
    send = partial(client.create, definition, record, before_sending=before_sending)
    return await attempt(send, record, Delivery.AT_MOST_ONCE, before_waiting)
