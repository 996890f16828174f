"""Nothing that the API says loads, links or formats in the browser of who reads a run."""

import asyncio
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect
from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Failed

from flows.rerun.dry_run import KEY, Known, markdown
from tasks.artifacts import artifact_key, record_outcome
from tasks.publication import publish, write_markdown
from tasks.report import RunReport
from tests.deployments import browser
from tests.deployments.scene import client_of
from tests.deployments.topology import Topology
from thousandeyes.app_links import app_link
from thousandeyes.fleet import Fleet
from thousandeyes.models import AccountGroup, EndpointTest
from thousandeyes.outcomes import Outcome, VerdictName
from thousandeyes.record import Record
from thousandeyes.verdict import Spread, Verdict

FOREIGN = "evil.invalid"
HOSTILE = "hostile"
"""What the run is called, and its artifacts after it."""
LOADS = [
    f"![x](http://{FOREIGN}/a.png)",
    f"![x](//{FOREIGN}/b.png)",
    f"![x][y] [y]: //{FOREIGN}/c.png",
    f"<img src=//{FOREIGN}/d.png>",
    f"<video autoplay src=//{FOREIGN}/e.mp4></video>",
    f"<input type=password><link rel=stylesheet href=//{FOREIGN}/f.css>",
    f"<style>@import url(//{FOREIGN}/g.css)</style>",
    f"<svg onload=fetch('//{FOREIGN}/h')><iframe src=//{FOREIGN}/i></iframe>",
    f"&lt;img src=//{FOREIGN}/j.png&gt;",
    f"&amp;lt;img src=//{FOREIGN}/k.png&amp;gt;",
    f"`</code><img src=//{FOREIGN}/l.png>`",
    f"``` ![x](//{FOREIGN}/m.png) ```",
    f"\\![x](//{FOREIGN}/n.png) \\<img src=//{FOREIGN}/o.png>",
    f"a\n\n![x](//{FOREIGN}/p.png)\n\n<img src=//{FOREIGN}/q.png>",
    f"a\r\r![x](//{FOREIGN}/r.png)\r\n\r\n<img src=//{FOREIGN}/s.png>",
    f"\t![x](//{FOREIGN}/t.png)",
    f"a|![x](//{FOREIGN}/u.png)|b",
    f"https://{FOREIGN}/v http://{FOREIGN} www.{FOREIGN} ftp://{FOREIGN} a@{FOREIGN}",
    f"[click](javascript:fetch('//{FOREIGN}/w')) <a href=//{FOREIGN}/x>here</a>",
    f"</code></pre></td></table><img src=//{FOREIGN}/y.png>",
    f"# <http://{FOREIGN}> **bold**",
    f"&#60;img src=//{FOREIGN}/z.png&#62; &#x3c;img src=//{FOREIGN}/z.png&#x3e;",
]


LOADS_AN_IMAGE, OF_MANY_LINES = 3, 13


def watched(page: Page, own: str) -> list[str]:
    """Return a list that fills with the addresses that a page asks of other servers."""
    foreign: list[str] = []

    def note(url: str) -> None:
        parts = urlsplit(url)
        host = str(parts.hostname)
        # Prefect's second UI reports to its makers' own service, whatever it shows.
        if parts.scheme in ("http", "https", "ws", "wss") and not host.endswith(".amplitude.com"):
            foreign.extend([url] if parts.netloc != urlsplit(own).netloc else [])

    page.on("request", lambda request: note(request.url))
    page.on("websocket", lambda socket: note(socket.url))
    return foreign


IN_THE_PAGE = f"""() => [...document.querySelectorAll('*')].filter(
    one => one.matches('input[type=password]')
        || one.matches('style, script') && one.textContent.includes('{FOREIGN}')
        || [...one.attributes].some(
            it => /^(src|srcset|href|poster|data|action|style|on.*)$/.test(it.name)
                && it.value.includes('{FOREIGN}'))
).map(one => one.outerHTML.slice(0, 200))"""
"""What a page loads from the foreign server, or leads to it."""


def records(key: str) -> list[Record]:
    def one(place: int, text: str) -> Record:
        verdict = Verdict(
            name=VerdictName.FAILED,
            reason=text,
            agents_expected=2,
            agents_answered=2,
            agents_passed=1,
            agents_icmp_blocked=0,
            agents_failed=text,
            loss=Spread(),
            latency_ms=Spread(),
            jitter_ms=Spread(),
            response_time_ms=Spread(),
            total_time_ms=Spread(),
            http_status_worst=None,
            error_types=(text,),
        )
        return Record(
            f"{key}-{place}",
            text,
            Outcome.ACCEPTED,
            f"accepted: {text}",
            200,
            attempts=1,
            aid=text,
            verdict=verdict,
            app_link=app_link("1") if place else f"https://{FOREIGN}/results",
        )

    return [one(place, text) for place, text in enumerate(LOADS)]


def run_of_hostile_words(key: str) -> UUID:
    """Write everything that a run writes, each word of it a hostile one; return the run's ID."""
    told, sentence = records(key), "; ".join(LOADS)

    @flow(name=key)
    async def recording() -> State[None]:
        for text in LOADS:
            get_run_logger().warning("Test: %s", text)
        await publish(RunReport(told, passed=False, sentence=sentence, took="1 s"), key)
        for record in told:
            await record_outcome(record)
        tests = {
            record.test_id: EndpointTest(
                testId="1", testName=record.test_name, type=record.test_name
            )
            for record in told
        }
        groups = [AccountGroup(aid=text, accountGroupName=text) for text in LOADS]
        known = Known(LOADS[0], groups, dict.fromkeys(LOADS, tests), Fleet(), LOADS)
        await write_markdown("the plan", KEY + key, markdown(told, known, sentence), sentence)
        return Failed(message=sentence)

    async def run() -> State[State[None]]:
        return await recording(return_state=True)

    return UUID(str(asyncio.run(run()).state_details.flow_run_id))


@pytest.fixture(scope="module")
def of_hostile_words(one_machine: Topology) -> UUID:
    with client_of(one_machine):
        return run_of_hostile_words(HOSTILE)


@pytest.mark.usefixtures("chromium")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_what_the_api_says_loads_nothing_and_leads_nowhere(
    one_machine: Topology, of_hostile_words: UUID, version: str
) -> None:
    root = one_machine.url if version == "v1" else f"{one_machine.url}/v2"
    keys = [f"{one}-{HOSTILE}" for one in ("endpoint-rerun-outcomes", "endpoint-reruns", KEY[:-1])]
    keys += [artifact_key(f"{HOSTILE}-{place}") for place in (LOADS_AN_IMAGE, OF_MANY_LINES)]
    found: list[tuple[str, str]] = []

    def look(page: Page, path: str) -> None:
        page.goto(path if path.startswith("http") else root + path, wait_until="networkidle")
        expect(page.get_by_text(FOREIGN).first).to_be_visible()
        found.extend((page.url, one) for one in page.evaluate(IN_THE_PAGE))

    with browser.page() as page:
        foreign = watched(page, one_machine.url)
        look(page, "/artifacts")
        for name in keys:
            page.goto(f"{root}/artifacts/key/{name}", wait_until="networkidle")
            found.extend((page.url, one) for one in page.evaluate(IN_THE_PAGE))
            newest = page.locator("a[href*='/artifacts/artifact/']").first
            look(page, one_machine.url + str(newest.get_attribute("href")))
        # Where a run's state and its log tell an address, the UI makes a link of it by itself. It
        # shows where it leads, and nothing is loaded.
        page.goto(f"{root}/runs/flow-run/{of_hostile_words}", wait_until="networkidle")
        expect(page.get_by_text(FOREIGN).first).to_be_visible()
        found.extend((page.url, one) for one in page.evaluate(IN_THE_PAGE) if one[:3] != "<a ")
    assert foreign == []
    assert found == []
