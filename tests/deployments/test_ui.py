"""The Prefect UI, used as a person uses it: fill in the form, read the report.

Its pictures stand in README and docs: `make pictures` takes them again.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from html import unescape
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as NotInTime
from prefect import flow, get_client

from flows.rerun import RerunOptions, rerun_endpoint_tests
from flows.rerun.parameters import Parameters
from tasks.artifacts import artifact_key, record_outcome
from tasks.blocks import EndpointTestGroup
from tasks.markdown import unlinked
from tasks.publication import publish
from tasks.report import RunReport
from tests.deployments import browser, mornings
from tests.deployments.scene import bootstrap, client_of, simulated
from tests.deployments.topology import Topology
from tests.tasks.test_markdown import HOSTILE
from thousandeyes.outcomes import Outcome
from thousandeyes.record import Record
from thousandeyes.simulator import Behaviour, Fault
from thousandeyes.text import isolated, with_full_stop

TEST_IDS = [str(202_701 + 37 * number) for number in range(12)]
GONE = "100200300"
RUN = "after the maintenance of the VPN"
RIGHT_TO_LEFT = "רשת VPN (רמת גן) 3"
FAULTS = {
    TEST_IDS[2]: Fault(replies=["dropped_after"]),
    TEST_IDS[5]: Fault(replies=[403]),
    TEST_IDS[8]: Fault(replies=[400]),
}
AGENTS_OF = {TEST_IDS[7]: [Behaviour(agents=[0, 4], error_type="dns")]}
SENTENCE = (
    "4 of 13 tests failed: Holiday planner (Lyon) (forbidden), Intranet (Vienna), "
    "Payroll over VPN (Gdansk) (invalid), 100200300 (not found); 9 passed."
)
CUT_OFF = """heading => {
    const hidden = item => {
        const { left, right } = item.getBoundingClientRect();
        for (let around = item.parentElement; around; around = around.parentElement) {
            const box = around.getBoundingClientRect();
            const cuts = getComputedStyle(around).overflowX !== "visible";
            if (cuts && (left < box.left - 1 || right > box.right + 1)) return true;
        }
        return right > innerWidth;
    };
    return [...heading.parentElement.querySelectorAll("*")]
        .filter(item => item.clientWidth && item.scrollWidth > item.clientWidth + 1 || hidden(item))
        .map(item => item.innerText || item.outerHTML);
}"""
"""What stands beside a heading and goes on beyond its end, or is hidden by what is around it."""
_HEIGHT = "() => Math.max(...[...document.querySelectorAll('*')].map(one => one.scrollHeight))"
_TWO_AND_A_HALF_SCREENS = 2000  # pixels
_TRIES = 5
_EACH_TRY = browser.SECONDS * 1000 / _TRIES
_DESCRIBED = 8  # of the names, those whose descriptions are looked at


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return Path(os.environ.get("PICTURES", tmp_path))


@pytest.mark.usefixtures("chromium")
def test_on_demand_is_started_by_its_form_and_its_report_is_read_from_the_artifact_pages(
    one_machine: Topology, pictures: Path
) -> None:
    with (
        simulated(
            tests=TEST_IDS,
            faults=FAULTS,
            agents_of=AGENTS_OF,
            healthy=True,
            results_after_seconds=1,
        ) as (_, env),
        one_machine.worker("of-the-ui", **env),
        browser.page() as page,
    ):
        _fill_in_the_form(page, one_machine.url, pictures)
        _follow(page.get_by_role("link", name=RUN).first)
        expect(page.get_by_text("Failed", exact=True).first).to_be_visible()

        page.goto(f"{one_machine.url}/artifacts/key/endpoint-reruns-on-demand")
        expect(page.get_by_text(SENTENCE).first).to_be_visible()
        _open_the_newest(page)
        expect(page.get_by_role("listitem").filter(has_text=GONE)).to_be_visible()
        assert _needs_a_look(page).evaluate(CUT_OFF) == [], "every reason is read to its end"

        # A link in a Markdown artifact opens a tab of its own.
        link = page.get_by_role("link", name="The tests of this run, as a table")
        page.goto(str(link.get_attribute("href")))
        expect(page.get_by_text("13 tests, those that need a look first").first).to_be_visible()
        for test_id, ending in (
            (TEST_IDS[5], "forbidden"),
            (TEST_IDS[7], "failed"),
            (TEST_IDS[0], "passed"),
        ):
            row = page.get_by_role("row").filter(has_text=test_id)
            expect(row.get_by_text(ending, exact=True)).to_be_visible()
        page.screenshot(path=pictures / "outcome-table.png", animations="disabled")


@pytest.mark.usefixtures("chromium")
@pytest.mark.parametrize("ui", ["", "/v2"], ids=["V1", "V2"])
def test_the_form_takes_a_list_as_a_spreadsheet_leaves_it_a_group_and_the_usual_options(
    one_machine: Topology, ui: str
) -> None:
    pasted = "\ufeff\"202701\";\t# Büro, 3rd floor\r\n'202738';\u00a0\n[202775]"
    with client_of(one_machine):
        EndpointTestGroup(test_ids=["202701"]).save("chosen-there", overwrite=True)
    with browser.page() as page:
        _open_the_form(page, one_machine.url + ui)
        assert page.evaluate(_HEIGHT) < _TWO_AND_A_HALF_SCREENS
        page.locator("textarea").first.fill(pasted)
        if ui:
            blocks = page.locator("button", has_text="Select a block").first
            _choose(page.get_by_role("option", name="chosen-there"), blocks)
        else:
            # Until the blocks are there, a button to add one is the only one.
            blocks = page.locator(".block-document-input button").filter(has_not_text="Add").first
            _choose(page.get_by_text("chosen-there", exact=True), blocks)
        page.get_by_role("switch").first.click()
        parameters = _submitted(page, one_machine)
    with client_of(one_machine):
        taken = rerun_endpoint_tests.validate_parameters(parameters)
    assert Parameters.read(**taken).test_ids == ["202701", "202738", "202775"]
    assert taken["groups"] == "chosen-there"
    assert taken["options"] == RerunOptions(wait_for_results=True)


@pytest.mark.usefixtures("chromium")
def test_what_is_set_there_stays_and_a_page_that_is_saved_changes_nothing_else(
    one_machine: Topology,
) -> None:
    with browser.page() as page:
        page.goto(f"{one_machine.url}/v2/deployments")
        _follow(page.get_by_role("link", name="scheduled", exact=True))
        _press(page.get_by_role("switch").first)
        page.goto(f"{page.url.partition('?')[0]}/edit")
        page.get_by_placeholder("Enter tags").fill("mine")
        page.get_by_placeholder("Enter tags").press("Enter")
        _press(page.get_by_role("button", name="Save"))

        page.goto(f"{one_machine.url}/v2/automations")
        _follow(page.get_by_role("link", name="thousandeyes-crashed-run-goes-on"))
        _press(page.get_by_role("switch").first)
    with client_of(one_machine):
        said = bootstrap()
        bootstrap("--overwrite")
    left = [line.split(maxsplit=2)[2] for line in said.splitlines() if line.startswith("left")]
    kept = "{} (differs from {}: {}; --overwrite restores the file's value)"
    assert left == [
        kept.format(
            "rerun-endpoint-tests/scheduled", "prefect.yaml", "tags, schedule weekdays-at-10 active"
        ),
        kept.format("thousandeyes-crashed-run-goes-on", "automations.yaml", "enabled"),
    ]
    assert "changed" not in said


def _choose(choice: Locator, button: Locator) -> None:
    """Choose from the list that a button opens, and open it again where that came to nothing."""
    for _ in range(_TRIES):
        with contextlib.suppress(NotInTime):
            button.press("Space")
            choice.click(timeout=_EACH_TRY)
            return
    raise AssertionError("there was nothing to choose")


def _press(what: Locator) -> None:
    """Press what changes something, and wait until the server has it.

    By key, since a page whose parts come in late moves a button away under the mouse; and again
    where nothing was sent, since a button may stand there before the page listens to it, or where
    the server was busy.
    """
    for _ in range(_TRIES):
        with contextlib.suppress(NotInTime):
            with what.page.expect_request(
                lambda request: request.method == "PATCH", timeout=_EACH_TRY
            ) as request:
                what.press("Enter")
            reply = request.value.response()
            assert reply
            if reply.status == HTTPStatus.SERVICE_UNAVAILABLE:
                continue  # as SQLite has it where two writes meet: a person presses again
            assert reply.ok
            return
    raise AssertionError("nothing was taken")


def _fill_in_the_form(page: Page, url: str, pictures: Path) -> None:
    page.goto(f"{url}/deployments")
    _follow(page.get_by_role("link", name="on-demand"))
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()
    page.locator("input[type=text]").first.fill(RUN)
    # It takes a whole list, pasted.
    field = page.locator("textarea").first
    field.fill(", ".join([*TEST_IDS, GONE]))
    field.evaluate("element => { element.scrollTop = 0 }")
    page.screenshot(path=pictures / "run-form.png", animations="disabled")
    wait_for_results = page.get_by_role("switch").first
    wait_for_results.click()
    expect(wait_for_results).to_be_checked()
    _submit(page)


def _open_the_form(page: Page, url: str) -> None:
    page.goto(f"{url}/deployments")
    _follow(page.get_by_role("link", name="on-demand"))
    page.wait_for_url("**/deployments/deployment/*")
    page.goto(f"{page.url.partition('?')[0]}/run")
    expect(page.get_by_role("switch").first).to_be_visible()


def _submitted(page: Page, machine: Topology) -> dict[str, Any]:
    """Submit the form, take the run back, and return its parameters.

    Again, as a person would, when the server was too busy to take it.
    """
    for _ in range(_TRIES):
        with page.expect_response("**/create_flow_run") as answer:
            page.get_by_role("button", name="Submit").click()
        if answer.value.ok:
            break
    run = answer.value.json()
    with client_of(machine), get_client(sync_client=True) as client:
        client.delete_flow_run(UUID(run["id"]))
    parameters: dict[str, Any] = run["parameters"]
    return parameters


def _submit(page: Page) -> None:
    """Press the button as a person would: again, when the server was too busy to take it."""
    for _ in range(_TRIES):
        page.get_by_role("button", name="Submit").click()
        with contextlib.suppress(NotInTime):
            page.wait_for_url("**/deployment/*?tab=Runs", timeout=_EACH_TRY)
            return
    raise AssertionError("the form was not taken")


def _open_the_newest(page: Page) -> None:
    """Go from an artifact's history to its newest version."""
    _follow(page.locator("a[href*='/artifacts/artifact/']").first)


def _follow(link: Locator) -> None:
    """Go where a link leads, by its address: a click is lost while a page draws itself anew."""
    link.page.goto(str(link.evaluate("link => link.href")))


@pytest.fixture(scope="module")
def records(one_machine: Topology) -> list[Record]:
    """Publish a report of many mornings and one of hostile names; returns the latter's records."""
    records = [
        Record(f"names-{place}", name, Outcome.FORBIDDEN, f"403: {name}", 403, attempts=1)
        for place, name in enumerate([*HOSTILE, RIGHT_TO_LEFT])
    ]

    @flow
    async def recording() -> None:
        await publish(mornings.report(), "mornings")
        names = RunReport(records, passed=False, sentence="; ".join(HOSTILE), took="1 s")
        await publish(names, "names")
        for record in records[:_DESCRIBED]:
            await record_outcome(record)

    with client_of(one_machine):
        asyncio.run(recording())
    return records


@pytest.mark.usefixtures("chromium", "records")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_no_reason_no_link_and_no_picture_of_a_summary_is_cut_off(
    one_machine: Topology, pictures: Path, version: str
) -> None:
    root = one_machine.url if version == "v1" else f"{one_machine.url}/v2"
    with browser.page() as page:
        page.goto(f"{root}/artifacts/key/endpoint-reruns-mornings")
        _open_the_newest(page)
        picture = page.get_by_role("img", name="Heat map of 41 tests over 24 runs")
        expect(picture).to_be_visible()
        for width in (1280, 1600):
            page.set_viewport_size({"width": width, "height": 2160})
            # It is drawn, and its writing is as large as it should be.
            for width_of in ("naturalWidth", "clientWidth"):
                expect(picture).to_have_js_property(width_of, 572)
            assert _needs_a_look(page).evaluate(CUT_OFF) == []
            if version == "v1":
                page.screenshot(path=pictures / f"summary-{width}.png", animations="disabled")


@pytest.mark.usefixtures("chromium")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_names_are_shown_as_they_are(
    one_machine: Topology, records: list[Record], version: str
) -> None:
    """In the UI that a link without a version opens, and in the one behind Prefect's first page."""
    root = one_machine.url if version == "v1" else f"{one_machine.url}/v2"
    with browser.page() as page:
        page.goto(f"{root}/artifacts/key/endpoint-rerun-outcomes-names")
        _open_the_newest(page)
        # In code, and that is what cells are that Markdown would alter, the first UI decodes these.
        decoded = unescape if version == "v1" else str
        _shows(
            page,
            lambda: {row[0]: (row[1], row[5]) for row in _rows(page)},
            {one.test_id: (decoded(one.test_name), decoded(one.detail)) for one in records},
        )

        page.goto(f"{root}/artifacts/key/endpoint-reruns-names")
        expect(page.get_by_text(unlinked("; ".join(HOSTILE))).first).to_be_visible()
        _open_the_newest(page)
        _shows(
            page,
            lambda: _forbidden(page),
            [
                [
                    unlinked(f"{isolated(one.test_name)} ({one.test_id}): forbidden"),
                    unlinked(f"Why: {with_full_stop(one.detail)}"),
                ]
                for one in records
            ],
        )

        for record in records[:_DESCRIBED]:
            page.goto(f"{root}/artifacts/key/{artifact_key(record.test_id)}")
            expect(page.get_by_text(f"{record.test_name}: forbidden").first).to_be_visible()


def _shows(page: Page, read: Callable[[], object], wanted: object) -> None:
    """Make sure of what a page shows, again where it draws itself anew while it is read."""
    for _ in range(_TRIES):
        if (found := read()) == wanted:
            return
        page.reload()
    assert found == wanted


def _forbidden(page: Page) -> list[list[str]]:
    """Return the paragraphs of each test in the summary that is forbidden."""
    expect(_needs_a_look(page)).to_be_visible()
    told = page.get_by_role("listitem").all_inner_texts()
    paragraphs = [[one for one in text.split("\n") if one] for text in told]
    return [text for text in paragraphs if text and ": forbidden" in text[0]]


def _needs_a_look(page: Page) -> Locator:
    return page.get_by_role("heading", name="Needs a look")


def _rows(page: Page) -> list[list[str]]:
    """Return the cells of a page's tables, as they are seen, from all of their pages."""
    rows: list[list[str]] = []
    expect(page.locator("tbody tr").first).to_be_visible()
    next_page = page.get_by_role("button", name="Go to next page")
    while True:
        rows += page.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.children].map(cell => cell.innerText.trim()))"
        )
        if not next_page.count() or next_page.is_disabled():
            return rows
        next_page.click()
