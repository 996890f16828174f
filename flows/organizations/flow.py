"""The flow: one run of the on-demand deployment for each organization, one summary of all."""

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from prefect import flow, get_run_logger

from flows.organizations.continuation import called, key_of
from flows.organizations.earlier import FLOW, options_of_each
from flows.organizations.side_by_side import SideBySide, conclude
from flows.organizations.work_queue import (
    cancel_waiting,
    check_place,
    is_closed,
    queue_beside,
    room_in,
)
from flows.rerun import RerunFailed, RerunOptions
from flows.rerun.remote import ON_DEMAND, Outcomes, rerun_by_deployment
from flows.runs.ending import reporting_mistakes, telling_mistakes, to_its_end
from flows.runs.form import GroupNames, ManyCredentials
from flows.runs.history import cancelled_before, runs_of
from flows.runs.ownership import OwnRun
from tasks.blocks import EndpointTestGroup, by_organization, read_names
from tasks.deployment import find_deployment
from tasks.loading import groups_naming, load_groups, refuse_known_tokens
from tasks.publication import DRY_RUNS, RERUNS
from tasks.report import RunReport
from tasks.server_calls import NoAccess, refusals_logged, until_taken
from thousandeyes.errors import RunStopped, SettingsError
from thousandeyes.record import Record
from thousandeyes.text import duration, quoted

_PAUSE: Final = 5.0
_LOOKS_A_SECOND: Final = 4


@telling_mistakes
@flow(name=FLOW, persist_result=False, retries=0)
async def rerun_organizations(
    groups: GroupNames = [],  # noqa: B006 - never changed; the form shows it
    credentials: ManyCredentials = [],  # noqa: B006
    options: RerunOptions = RerunOptions(),  # noqa: B008 - frozen
    deployment: str = ON_DEMAND,
) -> list[Record]:
    """Run the tests of several ThousandEyes organizations again, side by side.

    Each organization has its own quota, so each gets its own run, on any worker; the limit of the
    work queue `organizations` says how many run at once. If one fails, the others continue. When
    this run is retried, organizations that passed are left alone, and the others resume where they
    left off; if this run was cancelled and the flow that called it is retried, they begin anew. An
    organization whose groups have changed since its run was started fails, and says so.

    Args:
        groups: Endpoint Test Group blocks, by name, of any organization.
        credentials: ThousandEyes Credentials blocks, by name: all groups that name one of them are
            run too.
        options: How the run of every organization works. Where they name an earlier run, it is
            one of this flow, and each organization's run refers to its own run there.
        deployment: The deployment of rerun-endpoint-tests that runs each organization.

    Returns:
        One record per test, the organizations one after the other in the order of their groups.

    Raises:
        RerunFailed: The run of an organization failed or did not finish.
        SettingsError: No group is named, or one does not exist, or an option names a run of
            another flow, or this run is in the work queue of the runs that it starts; nothing was
            sent.
    """
    began = time.monotonic()
    dry_run = await _is_dry_run(options, deployment)
    place = DRY_RUNS if dry_run else RERUNS
    async with reporting_mistakes(place.summary):
        options.check_results_are_awaited()
        refuse_known_tokens([deployment], "names of deployments")
        own_run = await OwnRun.of_this_process()
        own_runs = await runs_of(own_run.flow_run)
        cancelled = await cancelled_before(own_run.flow_run)
        chosen = await _groups(
            read_names(groups or [], "groups"), read_names(credentials or [], "credentials")
        )
        queue = await queue_beside(deployment)
        check_place(own_run.flow_run, queue)
        organizations = by_organization(chosen)
        options_of = await options_of_each(options, organizations)
    logger = get_run_logger()
    tell = logger.warning if is_closed(queue) else logger.info
    tell(
        "Organizations, %s: %s",
        room_in(queue),
        ", ".join(map(called, organizations)),
    )
    start = partial(
        rerun_by_deployment,
        deployment=deployment,
        work_queue_name=queue.name if queue else None,
        poll_interval=pause_between_looks(len(organizations)),
    )

    async def begin(organization: str | None, groups: Sequence[str]) -> Outcomes:
        # Called by a flow that is retried, this is another run, which continues the same ones.
        key = await key_of(organization, groups, own_runs, cancelled)
        return await start(groups=groups, options=options_of[organization], idempotency_key=key)

    runs = SideBySide(organizations, begin)

    def report() -> RunReport:
        return conclude(runs.results(), duration(time.monotonic() - began), dry_run=dry_run)

    async def close() -> None:
        with suppress(NoAccess, RunStopped):
            await own_run.confirm(trusted=0)
        if own_run.cancelled:
            with refusals_logged("to cancel the runs that wait"):
                await until_taken(lambda: cancel_waiting(own_runs))

    return await to_its_end(
        own_run.cutting_short(runs.all(), runs.cut_short),
        own_run=own_run,
        cut_short=runs.cut_short,
        report=report,
        failure=RerunFailed,
        close=close,
        place=place,
    )


async def _is_dry_run(options: RerunOptions, deployment: str) -> bool:
    """Tell whether the runs will be dry runs. Without options, their deployment's own apply."""
    if options.model_fields_set:
        return options.dry_run
    found = await find_deployment(deployment)
    match found and found.parameters:
        case {"options": {"dry_run": True}}:
            return True
    return False


def pause_between_looks(organizations: int) -> float:
    """Return how many seconds to wait between two checks of one organization's run. Pure.

    Five, and longer for many: together they ask the Prefect server at most four times a second.
    """
    return max(_PAUSE, organizations / _LOOKS_A_SECOND)


async def _groups(names: Sequence[str], credentials: Sequence[str]) -> dict[str, EndpointTestGroup]:
    """Return the groups named, then those of the credentials named, by name."""
    refuse_known_tokens(credentials, "names of credentials")
    chosen = await load_groups(names)
    if credentials:
        chosen |= await load_groups(await groups_naming(credentials))
    if idle := [one for one in credentials if one not in by_organization(chosen)]:
        raise SettingsError(f"no group names the credentials {quoted(idle)}. Nothing was sent.")
    if not chosen:
        raise SettingsError("no groups given: name groups or credentials. Nothing was sent.")
    return chosen
