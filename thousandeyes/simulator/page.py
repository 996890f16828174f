"""What the simulator shows: a page for browsers, and the calls as JSON for other processes."""

import html
import math
from collections.abc import Iterator
from dataclasses import asdict
from http.client import responses as PHRASES  # noqa: N812  a constant in all but name

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from .gate import base_url
from .inventory import EndpointTest
from .options import DEFAULT_TOKEN
from .quota import Family
from .state import Call, Simulator
from .style import STYLE

_REFRESH_SECONDS = 3
_FAMILY_NAMES: dict[Family, str] = {
    "organization": "Organization quota",
    "instant": "Instant test quota",
}
_FIRST_FAILURE = 300


async def show_calls(request: Request) -> Response:
    """Return all calls so far, and how often each test was made to run."""
    simulator: Simulator = request.app.state.simulator
    return JSONResponse(
        {
            "calls": [asdict(call) for call in simulator.calls],
            "runs": {test_id: simulator.runs(test_id) for test_id in simulator.test_ids},
        }
    )


async def show_page(request: Request) -> Response:
    """Show what the simulator holds and what is left of its quota."""
    simulator: Simulator = request.app.state.simulator
    return HTMLResponse(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="{_REFRESH_SECONDS}">
<title>ThousandEyes simulator</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>ThousandEyes simulator</h1>
<p class="lead">Simulates the ThousandEyes API, on this machine only. No call leaves the machine,
and no measurement is real.</p>
<div class="cards">{"".join(_quota_cards(simulator))}{_pointer(simulator, base_url(request))}</div>
{_table(simulator)}
</main>
</body>
</html>
"""
    )


def _quota_cards(simulator: Simulator) -> Iterator[str]:
    now = simulator.now()
    for family, window in simulator.quota.windows.items():
        left = window.remaining(now)
        state = "no window is open"
        if window.is_open(now):
            state = f"rolls over in {math.ceil(window.rolls_over_at(now) - now)} s"
        share = 100 * left / window.limit if window.limit else 0
        yield f"""
<section class="card">
<h2>{_FAMILY_NAMES[family]}</h2>
<p class="figure"><strong>{left}</strong> of {window.limit} calls left</p>
<div class="bar"><span style="width:{share:.0f}%"></span></div>
<p class="note">{state}</p>
</section>"""


def _pointer(simulator: Simulator, url: str) -> str:
    # A token from the environment may be real.
    is_default = simulator.token == DEFAULT_TOKEN
    token = f"export TE_TOKEN={DEFAULT_TOKEN}" if is_default else "# TE_TOKEN: as it was started"
    return f"""
<section class="card">
<h2>Point the project at it</h2>
<pre>export TE_BASE_URL={html.escape(url)}
{token}</pre>
</section>"""


def _table(simulator: Simulator) -> str:
    last = {call.test_id: call for call in simulator.calls if _is_run(call)}
    rows = "".join(_row(simulator, test, last.get(test.id)) for test in simulator.tests.values())
    runs = sum(map(simulator.runs, simulator.tests))
    return f"""
<h2 class="above">{_count(len(simulator.tests), "test")}, {_count(runs, "run")},
{_count(len(simulator.agents), "agent")}</h2>
<div class="scroll"><table>
<thead><tr><th>Test</th><th>ID</th><th>Kind</th><th class="number">Runs</th><th>Last reply</th>
<th>Next fault</th></tr></thead>
<tbody>{rows}</tbody>
</table></div>"""


def _row(simulator: Simulator, test: EndpointTest, call: Call | None) -> str:
    fault = simulator.faults.coming(test.id)
    return f"""
<tr><td>{html.escape(test.name)}</td><td class="id">{html.escape(test.id)}</td>
<td>{test.kind}</td><td class="number">{simulator.runs(test.id)}</td>
<td>{_reply(call)}</td><td>{"" if fault is None else f"<code>{fault}</code>"}</td></tr>"""


def _reply(call: Call | None) -> str:
    if call is None:
        return '<span class="quiet">none yet</span>'
    if call.status is None:
        return '<span class="bad">no reply</span>'
    kind = "good" if call.status < _FIRST_FAILURE else "bad"
    return f'<span class="{kind}">{call.status} {PHRASES.get(call.status, "")}</span>'


def _is_run(call: Call) -> bool:
    return call.applied or (call.method == "POST" and call.path.endswith("/run"))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
