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
        raise unusable(environ) from None


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


def unusable(environ: Mapping[str, str] = os.environ) -> SettingsError:
    """Return the error that names what can't be used; a proxy's address may hold a password."""
    wrong = [name for name, value in environ.items() if name.lower() in _NAMES and _fails(value)]
    try:
        trusted()
    except OSError:
        # Of both, httpx reads the file.
        wrong += [one for one in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environ.get(one)][:1]
    if not wrong and environ.get("NO_PROXY"):  # the last that is left
        return SettingsError(
            "NO_PROXY has an unusable value: it takes addresses and names of hosts, such as "
            ".example.org, without brackets, and names in other letters as xn--…"
        )
    names = " or ".join(wrong) or f"one of the variables {VARIABLES}"
    return SettingsError(f"{names} has an unusable value")


def _fails(proxy: str) -> bool:
    try:
        if proxy.strip():
            without_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            httpx.HTTPTransport(proxy=_in_full(proxy), verify=without_certificates).close()
    except UNUSABLE:
        return True
    return False
