"""Gives all clients of a process the same proxies and certificates, and loopback no proxy.

The HTTP and WebSocket libraries read them from the environment, each in its own way.
"""

import os
import ssl
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from typing import Final
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # not in typeshed

import httpx

from thousandeyes.errors import SettingsError
from thousandeyes.ports import is_port

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

VARIABLES: Final = "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR"

UNUSABLE: Final = (OSError, ValueError, ImportError, httpx.InvalidURL)
"""What httpx raises for a variable that it can't use."""


OF_HTTP: Final = frozenset(("http_proxy", "https_proxy", "all_proxy"))
_NAMES: Final = OF_HTTP | {"ws_proxy", "wss_proxy"}
_PORTS: Final = {"http": 80, "https": 443}
_SCHEMES: Final = ("http", "https", "socks5", "socks5h")


def prepare(environ: MutableMapping[str, str], server: str | None = None) -> None:
    """Make the clients of this process, and of processes that it starts, use the same proxies.

    Loopback is reached directly. Everything else goes through the proxies that are set, and
    Prefect's events go the same way as the calls of its API.

    Args:
        environ: The environment.
        server: The address of Prefect's API; None if this process is not its client.

    Raises:
        SettingsError: A proxy or CA variable can't be used, so that no client could be created.
    """
    environ.update(direct_to(LOOPBACK, environ))
    try:
        environ.update(in_full(environ))
        httpx.Client(verify=trusted()).close()
    except UNUSABLE:
        raise unusable(environ) from None
    with suppress(httpx.InvalidURL):  # Prefect says what is wrong with its address
        environ.update(events_as_calls(httpx.URL(server or ""), environ))


def trusted() -> ssl.SSLContext:
    """Return the TLS context that all clients of this process check servers with.

    Raises:
        OSError: A CA variable can't be used.
    """
    return _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=1)
def _trusted(file: str | None, folders: str | None) -> ssl.SSLContext:
    if folders and not file and not any(map(os.path.isdir, folders.split(os.pathsep))):
        raise NotADirectoryError  # it would trust no server, without a word
    return httpx.create_ssl_context()  # reads all certificates, which takes 50 ms


def in_full(environ: Mapping[str, str], names: Collection[str] = _NAMES) -> dict[str, str]:
    """Return the proxies that these variables set, written as the strictest library wants them.

    `proxy:3128` is enough for the HTTP library. The WebSocket library, which carries Prefect's
    events, requires a scheme, a password with every user name, and no path.

    Raises:
        ValueError: A value is not the address of a proxy.
        httpx.InvalidURL: A value is not an address at all.
    """
    return {
        name: _in_full(value)
        for name, value in environ.items()
        if name.lower() in names and value.strip()
    }


def _in_full(proxy: str) -> str:
    proxy = proxy.strip()
    url = httpx.URL(proxy if "://" in proxy else f"http://{proxy}")
    # The HTTP library would take a space as part of the host name, and any number as a port.
    if url.scheme not in _SCHEMES or not url.host or "%20" in url.host or not is_port(url.port):
        raise ValueError("not the address of a proxy")
    if url.userinfo and b":" not in url.userinfo:
        url = url.copy_with(userinfo=url.userinfo + b":")
    return str(url.copy_with(path="/", query=None, fragment=None))


def events_as_calls(server: httpx.URL, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which Prefect's events go the same way as the calls of its API.

    The calls are HTTP, the events a WebSocket. Its library never reads ALL_PROXY, takes
    HTTPS_PROXY for plain `ws` too, and prefers variables of its own. Without its events a run loses
    its task runs, and Prefect doesn't fail it.

    Args:
        server: The address of Prefect's API.
        environ: The environment, with full addresses of proxies, and `no_proxy`.

    Raises:
        SettingsError: The proxy is one that the WebSocket library can't use.
    """
    names = sorted(name for name in environ if name.lower() in {*_NAMES, "socks_proxy"})
    proxies = {name.lower(): environ[name] for name in names}  # small letters come last, and count
    if server.scheme not in _PORTS or not any(proxies.values()):
        return {}
    proxy = proxies.get(f"{server.scheme}_proxy") or proxies.get("all_proxy")
    if not proxy or _is_direct(server, environ["no_proxy"]):
        return direct_to([server.raw_host.decode()], environ)
    if proxy.startswith("socks") and not find_spec("python_socks"):
        raise SettingsError(
            "Prefect's events can't use a SOCKS proxy without the package python-socks: install "
            "it, or put the Prefect server into NO_PROXY"
        )
    return dict.fromkeys(("ws_proxy", "wss_proxy"), proxy)


def _is_direct(server: httpx.URL, no_proxy: str) -> bool:
    """Tell whether either library takes an entry of `NO_PROXY` for the server."""
    host = f"{server.raw_host.decode()}:{server.port or _PORTS[server.scheme]}"
    schemes = (f"{server.scheme}://", "all://")
    for entry in filter(None, map(str.strip, no_proxy.lower().split(","))):
        # Only the HTTP library knows entries with a scheme or a path.
        bare = entry.removeprefix(schemes[0]).removeprefix(schemes[1]).partition("/")[0].lstrip("*")
        if proxy_bypass_environment(host, {"no": bare or "*"}):
            return True
    return False


def direct_to(hosts: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return `NO_PROXY` with these hosts, in both spellings: libraries differ in which they prefer.

    Hosts that either already names are kept. A `*`, for no proxy at all, has to be the only entry.
    """
    named = [
        host
        for spelling in ("no_proxy", "NO_PROXY")
        for host in map(str.strip, environ.get(spelling, "").split(","))
        if host
    ]
    every = ["*"] if "*" in named else [*named, *hosts]
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(dict.fromkeys(every)))


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
