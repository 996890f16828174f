"""Which flow runs are attempts of one: those of a parent that was executed again among them."""

from uuid import UUID, uuid4

import pytest
from prefect import Task, flow, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import SetStateStatus
from prefect.states import Cancelled, Crashed, Paused, Pending, Running, Suspended

from flows.runs.history import cancelled_before, died_unseen, runs_of
from tasks.artifacts import record_outcome
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record

pytestmark = pytest.mark.usefixtures("prefect_server")


@flow
def measure() -> None: ...


async def child(
    parent: FlowRun, task_key: str, call: int | str = 0, deployment: UUID | None = None
) -> FlowRun:
    """Make a subflow run as Prefect's engine does."""
    tracking: Task[[], None] = Task(lambda: None, name="measure")
    tracking.task_key = task_key
    async with get_client() as client:
        task_run = await client.create_task_run(
            tracking, parent.id, str(call), name=f"measure-{call}", state=Pending()
        )
        if deployment:
            return await client.create_flow_run_from_deployment(
                deployment, parent_task_run_id=task_run.id
            )
        return await client.create_flow_run(measure, parent_task_run_id=task_run.id)


async def parent() -> FlowRun:
    async with get_client() as client:
        return await client.create_flow_run(measure)


async def begin(above: FlowRun) -> None:
    """Let an attempt of a parent begin as Prefect's engine does."""
    async with get_client() as client:
        await client.set_flow_run_state(above.id, Running(), force=True)


async def attempts(flow_run: FlowRun) -> set[UUID]:
    return set(await runs_of(flow_run))


async def test_a_subflows_attempts_are_found_although_its_function_has_another_hash() -> None:
    above = await parent()
    await begin(above)
    first = await child(above, "measure-0a1b")
    await begin(above)
    again = await child(above, "measure-2c3d")
    assert await runs_of(again) == await runs_of(first) == [first.id, again.id], "in turn"


async def test_earlier_attempts_that_were_cancelled_are_told_apart_from_others() -> None:
    above = await parent()
    cancelled, crashed, own = [await child(above, "measure-0a1b") for _ in range(3)]
    async with get_client() as client:
        await client.set_flow_run_state(cancelled.id, Cancelled(), force=True)
        await client.set_flow_run_state(crashed.id, Crashed(), force=True)
        await client.set_flow_run_state(own.id, Cancelled(), force=True)
    assert await cancelled_before(own) == [cancelled.id]
    assert await cancelled_before(above) == []


@pytest.mark.usefixtures("read_twice")
async def test_a_prefect_server_that_is_away_is_waited_for() -> None:
    run = await child(await parent(), "measure-0a1b")

    @flow
    async def ask() -> set[UUID]:
        return await attempts(run)

    assert await ask() == {run.id}


async def test_another_call_another_function_and_another_parent_are_other_runs() -> None:
    above = await parent()
    await begin(above)
    await begin(above)
    one = await child(above, "measure-0a1b")
    await child(above, "measure-0a1b", call=1)
    await child(above, "other_function-0a1b")
    await child(await parent(), "measure-0a1b")
    assert await attempts(one) == {one.id}
    assert await attempts(above) == {above.id}


async def test_a_call_inside_a_task_is_found_although_prefect_does_not_number_it() -> None:
    above = await parent()
    await begin(above)
    first = await child(above, "measure-0a1b", call=str(uuid4()))
    await begin(above)
    again = await child(above, "measure-0a1b", call=str(uuid4()))
    assert await runs_of(again) == await runs_of(first) == [first.id, again.id]


async def test_runs_of_a_deployment_are_told_apart_by_the_number_of_their_call() -> None:
    """In the second attempt, an idempotency key found the run of the first call again."""
    above = await parent()
    async with get_client() as client:
        deployment = await client.create_deployment(await client.create_flow(measure), "called")
    await begin(above)
    first, second = [await child(above, "measure-0a1b", n, deployment) for n in range(2)]
    await begin(above)
    again = await child(above, "measure-0a1b", 1, deployment)
    assert await runs_of(first) == [first.id]
    assert await runs_of(again) == [second.id, again.id]


async def test_a_run_that_prefect_executes_again_is_a_call_of_the_later_attempt_too() -> None:
    above = await parent()
    await begin(above)
    first = await child(above, "measure-0a1b")
    await begin(first)
    await begin(above)
    await begin(first)
    next_one = await child(above, "measure-0a1b", call=1)
    assert await attempts(first) == {first.id}
    assert await attempts(next_one) == {next_one.id}


async def test_a_parent_that_was_itself_called_by_a_retried_one_is_continued_too() -> None:
    highest = await parent()
    firsts = []
    for _ in range(2):
        await begin(highest)
        above = await child(highest, "measure-0a1b")
        await begin(above)
        firsts.append((await child(above, "measure-0a1b")).id)
        await child(above, "measure-0a1b", call=1)
    async with get_client() as client:
        assert await runs_of(await client.read_flow_run(firsts[0])) == firsts


async def test_a_parent_that_was_paused_in_its_process_makes_two_calls_and_not_one_twice() -> None:
    above = await parent()
    await begin(above)
    before = await child(above, "measure-0a1b")
    async with get_client() as client:
        await client.set_flow_run_state(above.id, Paused(timeout_seconds=60), force=True)
        await client.resume_flow_run(above.id)
    after = await child(above, "measure-0a1b", call=1)
    assert await attempts(before) == {before.id}
    assert await attempts(after) == {after.id}


async def test_a_run_that_died_began_with_its_first_attempt_whichever_goes_on_with_it() -> None:
    above = await parent()
    first, again = await child(above, "measure-0a1b"), await child(above, "measure-0a1b")
    async with get_client() as client:
        await client.set_flow_run_state(first.id, Running(), force=True)
        await client.set_flow_run_state(first.id, Crashed(), force=True)
        await client.set_flow_run_state(again.id, Running(), force=True)
        first, again = [await client.read_flow_run(run.id) for run in (first, again)]
    assert first.start_time
    assert again.start_time
    died = await died_unseen(again)
    assert died
    assert died.began == first.start_time < again.start_time
    assert await died_unseen(await parent()) is None


async def test_what_the_attempt_that_died_told_counts_and_not_what_those_before_it_did() -> None:
    run = await parent()
    async with get_client() as client:
        for test_id in ("1", "2"):
            await client.set_flow_run_state(run.id, Running(), force=True)
            await record_outcome(Record(test_id, outcome=Outcome.NOT_FOUND), ended_run=run.id)
            await client.set_flow_run_state(run.id, Crashed(), force=True)
        ended = await died_unseen(await client.read_flow_run(run.id), under_way=False)
        await client.set_flow_run_state(run.id, Running(), force=True)
        goes_on = await died_unseen(await client.read_flow_run(run.id))
    assert ended
    assert goes_on
    assert ended.attempts == goes_on.attempts == 2
    assert ended.told == goes_on.told == {"2"}


async def test_a_summary_that_was_written_twice_hides_no_attempt_that_died() -> None:
    """The reply to the first write was lost, and Prefect's client or a run wrote it again."""
    run = await parent()

    async def leave(text: str) -> None:
        async with get_client() as client:
            summary = ArtifactCreate(
                key="endpoint-reruns-local", type="markdown", data=text, flow_run_id=run.id
            )
            await client.create_artifact(summary)

    async def attempt() -> FlowRun:
        async with get_client() as client:
            await client.set_flow_run_state(run.id, Running(), force=True)
            await client.set_flow_run_state(run.id, Crashed(), force=True)
            return await client.read_flow_run(run.id)

    ended = await attempt()
    await leave("It took 2 s.")
    await leave("It took 2 s.")
    assert await died_unseen(ended, under_way=False) is None
    killed = await attempt()
    died = await died_unseen(killed, under_way=False)
    assert died
    assert died.attempts == 1
    await leave("It took 3 s.")
    assert await died_unseen(killed, under_way=False) is None


@pytest.mark.parametrize("first_was", ["suspended", "killed"])
async def test_an_attempt_that_a_resumption_began_is_one_though_prefect_does_not_count_it(
    first_was: str,
) -> None:
    async with get_client() as client:
        # Only a run of a deployment is resumed in another process.
        flow_id = await client.create_flow(measure)
        deployment_id = await client.create_deployment(flow_id, name="resumed")
        run = await client.create_flow_run_from_deployment(deployment_id)
        await client.set_flow_run_state(run.id, Running(), force=True)
        summary = ArtifactCreate(
            key="endpoint-reruns-local", type="markdown", data="Suspended.", flow_run_id=run.id
        )
        if first_was == "suspended":
            await client.create_artifact(summary)
        await client.set_flow_run_state(run.id, Suspended(timeout_seconds=60), force=True)
        resumed = await client.resume_flow_run(run.id)
        assert resumed.status is SetStateStatus.ACCEPT
        await client.set_flow_run_state(run.id, Running())
        if first_was == "suspended":
            await client.set_flow_run_state(run.id, Crashed(), force=True)  # it was killed
            await client.set_flow_run_state(run.id, Running(), force=True)
        again = await client.read_flow_run(run.id)
    died = await died_unseen(again)
    assert died
    assert died.attempts == 1
