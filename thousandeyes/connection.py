"""How the API is reached (headers, timeouts, proxy, TLS), and which calls never reached it."""

import os
import platform
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import httpx

from thousandeyes import __version__
from thousandeyes.body import PACKING
from thousandeyes.proxies import OF_HTTP, UNUSABLE, in_full, trusted, unusable
from thousandeyes.settings import ThousandEyesSettings, is_loopback

ACCEPT: Final = "application/json, application/hal+json, application/problem+json"
USER_AGENT: Final = (
    f"prefect-thousandeyes/{__version__} python/{platform.python_version()} "
    f"httpx/{httpx.__version__}"
)

MOST_CALLS: Final = 200
"""Calls that may be in flight at a time, and so connections in a pool."""

_NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
"""What httpx raises before a byte of the call is on its way."""


class Tunnel:
    """Knows whether a call still waits for a proxy's tunnel, so that no byte of it reached the API.

    An error while the tunnel is set up looks like an error of the call: both are HTTP requests.
    """

    def __init__(self) -> None:
        self.in_the_making = False

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Follow a call step by step, as the handler of httpx's extension `trace`."""
        if event.startswith("http11.") and (request := info.get("request")):
            self.in_the_making = request.method == b"CONNECT"


def never_sent(error: Exception, tunnel: Tunnel) -> bool:
    """Tell whether a call failed before a byte of it reached the API. Else it may have run."""
    return tunnel.in_the_making or isinstance(error, _NOT_SENT)


def http_client(
    settings: ThousandEyesSettings,
    transport: httpx.AsyncBaseTransport | None,
    *,
    kept_connections: int,
) -> httpx.AsyncClient:
    """Return a connection pool.

    A server, or a proxy on the way, may close a kept-alive connection just as the next request goes
    out on it, and then nobody knows whether the request was carried out. If no connections are
    kept, each call has its own. With TLS that costs two or three round trips and 5 ms of CPU time
    on both sides together, which is nothing at 24 calls a minute.

    Raises:
        SettingsError: A proxy or CA variable can't be used.
    """
    host = httpx.URL(settings.base_url).host
    try:
        in_full(os.environ, OF_HTTP)  # it checks more than httpx does
        return httpx.AsyncClient(
            base_url=settings.base_url,
            headers={
                "Authorization": f"Bearer {settings.token.get_secret_value()}",
                "Accept": ACCEPT,
                "Accept-Encoding": PACKING,
                "User-Agent": USER_AGENT,
            },
            timeout=httpx.Timeout(
                connect=settings.connect_timeout,
                read=settings.read_timeout,
                write=settings.write_timeout,
                pool=settings.pool_timeout,
            ),
            # With httpx's default of 100, calls would wait here and time out.
            limits=httpx.Limits(
                max_connections=MOST_CALLS, max_keepalive_connections=kept_connections
            ),
            follow_redirects=False,
            event_hooks={"response": [_forget_location]},
            # No cookies: a reply must not change what the next call sends.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            verify=trusted(),
            transport=transport,
            mounts={f"all://{_in_url(host)}": None} if is_loopback(host) else None,
        )
    except UNUSABLE:
        raise unusable() from None


def longest_call(settings: ThousandEyesSettings) -> float:
    """Return the seconds after which a call that was sent is given up.

    A reply that trickles in never exceeds the read timeout. The steps before the reply have
    timeouts of their own, which must fire first: they show that nothing was sent.
    """
    tcp_and_tls_also_of_a_proxy = 4 * settings.connect_timeout
    until_sent = settings.pool_timeout + tcp_and_tls_also_of_a_proxy + settings.write_timeout
    return until_sent + 4 * settings.read_timeout


async def _forget_location(response: httpx.Response) -> None:
    # httpx parses it even if redirects are not followed, and fails if it is not a valid URL.
    if response.has_redirect_location:
        del response.headers["location"]


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
