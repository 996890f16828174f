"""The task that reruns one endpoint test."""

from contextvars import ContextVar
from functools import partial
from uuid import UUID

import prefect.runtime

from tasks.attempts import attempt, calling_task, task_context
from thousandeyes.calls import BeforeSending, BeforeWaiting
from thousandeyes.client import ThousandEyesClient
from thousandeyes.delivery import Delivery
from thousandeyes.record import Record
from thousandeyes.settings import ThousandEyesSettings
from thousandeyes.text import isolated

# Prefect calls the function again for each retry, in the same context.
_latest: ContextVar[tuple[UUID, Record] | None] = ContextVar("latest", default=None)


def _run_name() -> str:
    test = prefect.runtime.task_run.parameters["test"]
    if not isinstance(test, Record):
        return f"rerun {test}"
    name = isolated(test.test_name)
    return f"{name}, {test.test_id}" if name else f"rerun {test.test_id}"


@calling_task("rerun-endpoint-test", _run_name)
async def rerun_endpoint_test(
    test: str | Record,
    client: ThousandEyesClient | None = None,
    *,
    aid: str | None = None,
    delivery: Delivery | str = Delivery.AT_LEAST_ONCE,
    before_sending: BeforeSending | None = None,
    before_waiting: BeforeWaiting | None = None,
) -> Record:
    """Run an endpoint instant scheduled test again.

    Retries with growing gaps if the failure may pass and `delivery` allows the call to be sent
    again. A 429 is waited out and uses up no retry. If this fails, the task run fails.

    Args:
        test: The test's ID. Or its record, which every attempt keeps up to date, so that the
            caller knows what became of the test even if this fails or is cut short.
        client: The run's client, so that all its tests share one connection pool and one quota;
            if left out, a client of its own from the environment.
        aid: Account group; the settings' if left out. A record has its own.
        delivery: What may be sent again if it is unknown whether a call was carried out; a plain
            string will do, because no task converts its arguments.
        before_sending: Awaited right before each call goes out.
        before_waiting: Awaited before each wait to send the call again.

    Returns:
        The record, with outcome `accepted`.

    Raises:
        CallFailed: One of its subclasses: the last attempt's error.
        SettingsError: There is no client, and the environment lacks the token.
        ValueError: There is no such `delivery`; nothing was sent.
    """
    promise = Delivery(delivery)
    record = test if isinstance(test, Record) else _record_of_this_run(test, aid)
    if client:
        return await _rerun(client, record, promise, before_sending, before_waiting)
    async with ThousandEyesClient(ThousandEyesSettings()) as own_client:
        return await _rerun(own_client, record, promise, before_sending, before_waiting)


def _record_of_this_run(test_id: str, aid: str | None) -> Record:
    """Return a record that begins with the first attempt and continues through the retries."""
    task_run = task_context().task_run
    latest = _latest.get()
    if latest is None or latest[0] != task_run.id:
        latest = task_run.id, Record(test_id, aid=aid)
        _latest.set(latest)
    return latest[1]


async def _rerun(
    client: ThousandEyesClient,
    record: Record,
    delivery: Delivery,
    before_sending: BeforeSending | None,
    before_waiting: BeforeWaiting | None,
) -> Record:
    send = partial(client.rerun, record, before_sending=before_sending)
    return await attempt(send, record, delivery, before_waiting)
