"""How a task tries its call: Prefect's retries if a failure may pass, and the log's words."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, ParamSpec, TypeVar, cast

from prefect import Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext, get_run_context

from thousandeyes.calls import BeforeWaiting
from thousandeyes.delivery import Delivery, may_send_again
from thousandeyes.errors import CallFailed, Refused
from thousandeyes.record import Record
from thousandeyes.text import isolated

RETRY_DELAYS: Final = (2.0, 6.0, 18.0)
"""Mean seconds before each retry; Prefect spreads each by up to half of it, either way."""


def _without_traceback(line: logging.LogRecord) -> bool:
    """Let Prefect report a failed call in one line: a traceback would look like a crash."""
    if line.exc_info and isinstance(line.exc_info[1], CallFailed):
        line.exc_info = None
    return True


logging.getLogger("prefect.task_runs").addFilter(_without_traceback)

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


def calling_task(
    name: str, run_name: str | Callable[[], str], delivery: Delivery | None = None
) -> Callable[[Callable[Parameters, Returned]], Task[Parameters, Returned]]:
    """Make a Prefect task of a function that makes its call through `attempt`.

    Args:
        name: The task's name.
        run_name: What its task runs are called.
        delivery: What may be sent again; None: the function's own argument `delivery` says so.
    """

    # A plain function, since Prefect 3.8.8 takes any other callable for "no".
    def send_again(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001
        promise = delivery or task_context().parameters["delivery"]
        return isinstance(state.data, CallFailed) and may_send_again(state.data, Delivery(promise))

    return task(
        name=name,
        task_run_name=run_name,
        retries=len(RETRY_DELAYS),
        retry_delay_seconds=list(RETRY_DELAYS),
        retry_jitter_factor=0.5,
        retry_condition_fn=send_again,
        # Without a cache: what is asked for twice is sent twice, and no credential becomes a key.
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def task_context() -> TaskRunContext:
    """Return the context of the task that this runs in."""
    return cast("TaskRunContext", get_run_context())


async def attempt(
    send: Callable[..., Awaitable[object]],
    record: Record,
    delivery: Delivery,
    before_waiting: BeforeWaiting | None = None,
) -> Record:
    """Send a call once, 429s aside, and log what came of it and what follows.

    Args:
        send: A client's method, with all arguments but `on_quota_refusal` given.
        record: The test.
        delivery: The promise that decides what Prefect sends again.
        before_waiting: Awaited before each wait to send the call again.

    Raises:
        CallFailed: One of its subclasses; the record holds it.
    """
    logger = get_run_logger()

    async def refused(error: CallFailed) -> None:
        logger.warning("%s; waiting for quota, then it is sent again", _at(record, error))
        if before_waiting:
            await before_waiting()

    try:
        await send(on_quota_refusal=refused)
    except CallFailed as error:
        again = may_send_again(error, delivery)
        context = task_context()
        retry, retries = context.task_run.run_count, context.task.retries
        if again and retry <= retries:
            # Prefect's own line says when.
            logger.warning("%s; retry %d of %d follows", _at(record, error), retry, retries)
            if before_waiting:
                await before_waiting()
        else:
            why = "the retries are used up" if again else _why(error)
            sent = "not sent again" if record.attempts else "not sent"
            logger.error("%s; %s%s", _at(record, error), sent, f": {why}" if why else "")  # noqa: TRY400
        raise
    told = f" ({record.detail})" if record.detail else ""
    logger.info("%s, attempt %d: accepted%s", _test(record), record.attempts, told)
    return record


def _at(record: Record, error: CallFailed) -> str:
    attempt = f", attempt {record.attempts}" if record.attempts else ""
    return f"{_test(record)}{attempt}: {error}"


def _test(record: Record) -> str:
    return f"Test {record.test_id or isolated(repr(record.test_name))}"


def _why(error: CallFailed) -> str:
    if error.may_pass:
        return "it may have run already, and at_most_once sends nothing twice"
    # Anything else says by itself why nothing more is sent.
    return "the same call would end the same way" if isinstance(error, Refused) else ""
