"""The task that reruns one endpoint test."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from uuid import UUID

from tasks.attempts import attempt, calling_task, task_context
from thousandeyes.caller import nothing
from thousandeyes.client import ThousandEyesClient
from thousandeyes.rerun import Delivery, Rerun
from thousandeyes.settings import ThousandEyesSettings

# Prefect calls the function anew for each retry, in the same context.
_latest: ContextVar[tuple[UUID, Rerun] | None] = ContextVar("latest", default=None)


@calling_task("rerun-endpoint-test", "rerun-{test_id}")
async def rerun_endpoint_test(
    test_id: str,
    client: ThousandEyesClient | None = None,
    *,
    aid: str | None = None,
    delivery: Delivery = Delivery.AT_LEAST_ONCE,
    record: Rerun | None = None,
    before_sending: Callable[[], Awaitable[None]] = nothing,
) -> Rerun:
    """Run an endpoint instant scheduled test again.

    Retries with growing gaps where the failure may pass and `delivery` lets the call be sent
    again. A 429 is waited out and uses up no retry. When this fails, the task run fails.

    Args:
        test_id: The test's ID.
        client: The run's client, so that all its tests share one connection pool and one quota;
            one of its own, from the environment, when left out.
        aid: Account group; the settings' when left out. A record that is given has its own.
        delivery: What may be sent again when it can't be told whether a call was carried out.
        record: Is kept up to date by every attempt, so that the caller knows what became of the
            test also when this fails or is cut short.
        before_sending: Awaited right before each call goes out.

    Returns:
        The record, with outcome `accepted`.

    Raises:
        CallFailed: One of its subclasses: the last attempt's error.
        SettingsError: Without a client, and the environment lacks the token.
    """
    record = record or _record_of_this_run(test_id, aid)
    if client:
        return await _rerun(client, record, delivery, before_sending)
    async with ThousandEyesClient(ThousandEyesSettings()) as own_client:
        return await _rerun(own_client, record, delivery, before_sending)


def _record_of_this_run(test_id: str, aid: str | None) -> Rerun:
    """Return a record that begins with the first attempt and goes on with the retries."""
    task_run = task_context().task_run
    latest = _latest.get()
    if latest is None or latest[0] != task_run.id:
        latest = task_run.id, Rerun(test_id, aid=aid)
        _latest.set(latest)
    return latest[1]


async def _rerun(
    client: ThousandEyesClient,
    record: Rerun,
    delivery: Delivery,
    before_sending: Callable[[], Awaitable[None]],
) -> Rerun:
    send = partial(
        client.rerun, record.test_id, record.aid, record=record, before_sending=before_sending
    )
    return await attempt(send, record, delivery)
