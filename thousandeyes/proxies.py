"""The same proxies and certificates for every client of a process; no proxy to loopback.

The HTTP and WebSocket libraries read them from the environment, each in its own way.
"""

import os
import ssl
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Final

import httpx

from thousandeyes.errors import SettingsError

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

VARIABLES: Final = "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR"

UNUSABLE: Final = (OSError, ValueError, ImportError, httpx.InvalidURL)
"""What httpx raises for a variable that it can't use."""


_NAMES: Final = frozenset(f"{kind}_proxy" for kind in ("http", "https", "all", "ws", "wss"))
_SCHEMES: Final = ("http", "https", "socks5", "socks5h")


def prepare(environ: MutableMapping[str, str]) -> None:
    """Make the clients of this process, and of those that it starts, agree on their proxies.

    Loopback is reached directly. All else goes by the proxies that are set, or nothing starts.

    Raises:
        SettingsError: A proxy or CA variable can't be used, so that no client could be made.
    """
    environ.update(direct_to_loopback(environ))
    try:
        environ.update(in_full(environ))
        httpx.Client(verify=trusted()).close()
    except UNUSABLE:
        raise unusable() from None


def trusted() -> ssl.SSLContext:
    """Return what every client of this process checks servers by, as httpx makes it.

    Raises:
        OSError: A CA variable can't be used.
    """
    return _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=1)
def _trusted(_file: str | None, _directory: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()  # reads all certificates: that takes 50 ms


def in_full(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies that are set, as the strictest library wants them.

    `proxy:3128` is enough for the HTTP library. The WebSocket library, by which Prefect's events
    go, asks for a scheme, for a password beside a user's name, and for no path.

    Raises:
        ValueError: One is no proxy's address.
        httpx.InvalidURL: One is no address at all.
    """
    return {
        name: _in_full(value)
        for name, value in environ.items()
        if name.lower() in _NAMES and value.strip()
    }


def _in_full(proxy: str) -> str:
    proxy = proxy.strip()
    url = httpx.URL(proxy if "://" in proxy else f"http://{proxy}")
    if url.scheme not in _SCHEMES or not url.host:
        raise ValueError("no proxy's address")
    if url.userinfo and b":" not in url.userinfo:
        url = url.copy_with(userinfo=url.userinfo + b":")
    return str(url.copy_with(path="/", query=None, fragment=None))


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
    return SettingsError(f"one of these variables has an unusable value: {VARIABLES}")
