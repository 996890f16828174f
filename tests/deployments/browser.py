"""Debian's Chromium, so that the UI is used as a person uses it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, Response, expect, sync_playwright

CHROMIUM: Final = Path("/usr/bin/chromium")
SECONDS: Final = 300
"""How long a page may take to show or to take something; it bounds what would hang."""
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def page(*flags: str) -> Iterator[Page]:
    """Open an empty page of a size that suits a README."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_FLAGS, *flags])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(SECONDS * 1000)
        expect.set_options(timeout=SECONDS * 1000)
        page.on("response", _told)
        try:
            yield page
        except BaseException:
            page.screenshot(path="failure.png")  # in the test's own directory
            raise
        finally:
            browser.close()


def _told(response: Response) -> None:
    """Say what was refused, for the message of a test that fails."""
    if not response.ok:
        print(response.status, response.request.method, response.url)  # noqa: T201
