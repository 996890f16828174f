"""A page of another site, open in a browser of the server's machine, against the server."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page
from prefect import get_client

from tasks.guarded_server import REFUSAL
from tests.deployments import browser
from tests.deployments.scene import client_of
from tests.deployments.topology import Topology

READS = """async ([url, headers]) => {
    try {
        const body = JSON.stringify({});
        const answer = await fetch(url, {method: "POST", headers, body});
        return await answer.text();
    } catch (error) {
        return null;
    }
}"""
SENDS_BLINDLY = """async ([url, type]) => {
    const parameters = {test_ids: ["202701"]};
    const headers = {"Content-Type": type};
    const body = JSON.stringify({parameters, name: "from-another-site"});
    await fetch(url, {method: "POST", mode: "no-cors", headers, body}).catch(() => null);
}"""
SENDS_A_FORM = """url => {
    document.body.innerHTML = `<form method="post" enctype="text/plain" action="${url}">
        <input name='{"name": "from-another-site", "x": "' value='"}'></form>`;
    document.forms[0].submit();
}"""
OPENS_A_SOCKET = """url => new Promise(found => {
    const socket = new WebSocket(url);
    socket.onopen = () => { socket.close(); found(true); };
    socket.onerror = () => found(false);
})"""
REBOUND = "--host-resolver-rules=MAP evil.example 127.0.0.1"
SOCKETS = ("events/in", "events/out", "logs/out")


@contextmanager
def another_site() -> Iterator[str]:
    """Serve an empty page on another port, which is another origin; yields its address."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<body></body>")

        def log_message(self, *_: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()


@pytest.mark.usefixtures("chromium")
def test_a_page_of_another_site_reads_nothing_and_starts_no_run(one_machine: Topology) -> None:
    with client_of(one_machine), get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("rerun-endpoint-tests/on-demand")
        before = {run.id for run in client.read_flow_runs()}
    api = f"{one_machine.url}/api"
    create = f"{api}/deployments/{deployment.id}/create_flow_run"
    with another_site() as site, browser.page() as page:
        page.goto(one_machine.url)
        assert page.evaluate(READS, [f"{api}/deployments/count", {}]) is not None
        page.goto(site)
        for headers in ({}, {"Content-Type": "application/json"}):
            assert page.evaluate(READS, [f"{api}/block_documents/filter", headers]) is None
            assert page.evaluate(READS, [create, headers]) is None
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            page.evaluate(SENDS_BLINDLY, [create, kind])
        with page.expect_response(create) as answer:
            page.evaluate(SENDS_A_FORM, create)
        assert answer.value.status == 403
    with client_of(one_machine), get_client(sync_client=True) as client:
        assert {run.id for run in client.read_flow_runs()} == before


@pytest.mark.usefixtures("chromium")
def test_it_opens_no_socket_whatever_name_it_has_for_the_server(one_machine: Topology) -> None:
    def opened(page: Page, host: str) -> set[bool]:
        address = f"ws://{host}:{one_machine.port}/api"
        return {page.evaluate(OPENS_A_SOCKET, f"{address}/{socket}") for socket in SOCKETS}

    with another_site() as site, browser.page(REBOUND) as page:
        page.goto(one_machine.url)
        assert opened(page, "127.0.0.1") == {True}
        page.goto(site)
        assert opened(page, "127.0.0.1") == opened(page, "localhost") == {False}
        # Its own name, which it lets lead to this machine: to the browser, all is of one origin.
        rebound = page.goto(f"http://evil.example:{one_machine.port}/api/csrf-token?client=it")
        assert rebound
        assert (rebound.status, rebound.json()) == (403, {"detail": REFUSAL})
        assert opened(page, "evil.example") == {False}
