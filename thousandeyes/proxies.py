"""Loopback goes through no proxy, for every client of a process and not for ours alone.

The HTTP and WebSocket libraries read their proxies from the environment, each in its own way.
"""

from collections.abc import Mapping, MutableMapping
from typing import Final

import httpx

from thousandeyes.errors import SettingsError

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

VARIABLES: Final = "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR"

UNUSABLE: Final = (OSError, ValueError, ImportError, httpx.InvalidURL)
"""What httpx raises for a variable that it can't use."""


def prepare(environ: MutableMapping[str, str]) -> None:
    """Make the clients of this process, and of those that it starts, reach loopback directly.

    Raises:
        SettingsError: A proxy or CA variable can't be used, so that no client could be made.
    """
    environ.update(direct_to_loopback(environ))
    try:
        httpx.Client().close()
    except UNUSABLE:
        raise unusable() from None


def direct_to_loopback(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `NO_PROXY` in both spellings, since libraries differ in the one that they prefer.

    What either names already stays; a `*`, for no proxy at all, has to stand alone.
    """
    named = [
        host
        for spelling in ("no_proxy", "NO_PROXY")
        for host in map(str.strip, environ.get(spelling, "").split(","))
        if host
    ]
    hosts = ["*"] if "*" in named else [*named, *LOOPBACK]
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(dict.fromkeys(hosts)))


def unusable() -> SettingsError:
    """Return the error for a variable that can't be used; a proxy's address may hold a password."""
    return SettingsError(f"a variable for the HTTP library can't be used: look at {VARIABLES}")
