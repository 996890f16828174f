"""The task that reruns one endpoint test."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final, cast
from uuid import UUID

from prefect import Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext, get_run_context

from thousandeyes.client import ThousandEyesClient
from thousandeyes.errors import CallFailed, Refused
from thousandeyes.rerun import Delivery, Rerun, may_send_again
from thousandeyes.settings import ThousandEyesSettings

RETRY_DELAYS: Final = (2.0, 6.0, 18.0)
"""Mean seconds before each retry; Prefect spreads each by up to half of it, either way."""

# Prefect calls the function anew for each retry, in the same context.
_latest: ContextVar[tuple[UUID, Rerun] | None] = ContextVar("latest", default=None)


def _send_again(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001
    # A plain function, since Prefect 3.8.8 takes any other callable for "no".
    return isinstance(state.data, CallFailed) and state.data.send_again


async def _nothing() -> None: ...


@task(
    name="rerun-endpoint-test",
    task_run_name="rerun-{test_id}",
    retries=len(RETRY_DELAYS),
    retry_delay_seconds=list(RETRY_DELAYS),
    retry_jitter_factor=0.5,
    retry_condition_fn=_send_again,
    # A test asked for twice is run twice, and a credential is nobody's cache key.
    cache_policy=NO_CACHE,
    persist_result=False,
)
async def rerun_endpoint_test(
    test_id: str,
    client: ThousandEyesClient | None = None,
    *,
    aid: str | None = None,
    delivery: Delivery = Delivery.AT_LEAST_ONCE,
    record: Rerun | None = None,
    before_sending: Callable[[], Awaitable[None]] = _nothing,
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
    task_run = _context().task_run
    latest = _latest.get()
    if latest is None or latest[0] != task_run.id:
        latest = task_run.id, Rerun(test_id, aid=aid)
        _latest.set(latest)
    return latest[1]


def _context() -> TaskRunContext:
    return cast("TaskRunContext", get_run_context())


async def _rerun(
    client: ThousandEyesClient,
    record: Rerun,
    delivery: Delivery,
    before_sending: Callable[[], Awaitable[None]],
) -> Rerun:
    logger = get_run_logger()

    def refused(error: CallFailed) -> None:
        logger.warning("%s; waits for quota, then it is sent again", _at(record, error))

    try:
        await client.rerun(
            record.test_id,
            record.aid,
            record=record,
            before_sending=before_sending,
            on_quota_refusal=refused,
        )
    except CallFailed as error:
        error.send_again = may_send_again(error, delivery)
        retry, retries = _context().task_run.run_count, _context().task.retries
        if error.send_again and retry <= retries:
            # Prefect's own line tells when.
            logger.warning("%s; retry %d of %d follows", _at(record, error), retry, retries)
        else:
            # Prefect logs the traceback where it is worth one.
            logger.error("%s; not sent again: %s", _at(record, error), _why(error))  # noqa: TRY400
        raise
    logger.info(
        "Test %s, attempt %d: accepted%s",
        *(record.test_id, record.attempts, f" ({record.detail})" if record.detail else ""),
    )
    return record


def _at(record: Rerun, error: CallFailed) -> str:
    attempt = f", attempt {record.attempts}" if record.attempts else ""
    return f"Test {record.test_id}{attempt}: {error}"


def _why(error: CallFailed) -> str:
    if error.send_again:
        return "the retries are used up"
    if error.may_pass:
        return "it may have run already, and at_most_once sends nothing twice"
    if not isinstance(error, Refused):
        return "its time is over"
    return "the same call would end the same way"
