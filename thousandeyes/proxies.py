"""Gives all clients of a process the same proxies and certificates, and loopback no proxy.

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
    """Make the clients of this process, and of processes that it starts, use the same proxies.

    Loopback is reached directly. Everything else goes through the proxies that are set.

    Raises:
        SettingsError: A proxy or CA variable can't be used, so that no client could be created.
    """
    environ.update(direct_to_loopback(environ))
    try:
        environ.update(in_full(environ))
        httpx.Client(verify=trusted()).close()
    except UNUSABLE:
        raise unusable(environ) from None


def trusted() -> ssl.SSLContext:
    """Return the TLS context that all clients of this process check servers with.

    Raises:
        OSError: A CA variable can't be used.
    """
    return _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=1)
def _trusted(_file: str | None, _directory: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()  # reads all certificates, which takes 50 ms


def in_full(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies that are set, written as the strictest library wants them.

    `proxy:3128` is enough for the HTTP library. The WebSocket library, which carries Prefect's
    events, requires a scheme, a password with every user name, and no path.

    Raises:
        ValueError: A value is not the address of a proxy.
        httpx.InvalidURL: A value is not an address at all.
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
        raise ValueError("not the address of a proxy")
    if url.userinfo and b":" not in url.userinfo:
        url = url.copy_with(userinfo=url.userinfo + b":")
    return str(url.copy_with(path="/", query=None, fragment=None))


def direct_to_loopback(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `NO_PROXY` in both spellings, because libraries differ in which they prefer.

    Hosts that either already names are kept. A `*`, for no proxy at all, has to be the only entry.
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
    """Return the error that names unusable variables, not values: these may hold a password."""
    wrong = [name for name, value in environ.items() if name.lower() in _NAMES and _fails(value)]
    try:
        trusted()
    except OSError:
        # If both are set, httpx reads the file.
        wrong += [one for one in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environ.get(one)][:1]
    if not wrong and environ.get("NO_PROXY"):  # the last that is left
        return SettingsError(
            "NO_PROXY has an unusable value: it takes host names and addresses, such as "
            ".example.org, without brackets; non-ASCII names have to be written as xn--…"
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
