"""Honest replies of the simulator, made odd on their way out: values, a header, some bytes."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEEP = 400
Container = dict[str, Any] | list[Any]


def nested(levels: int) -> str:
    """Return lists in lists, as JSON."""
    return "[" * levels + "]" * levels


ODD: list[str] = [
    r'"\ud800"',
    r'"a\udfffb\ud83d"',
    r'"\u0000\u001b[31m\u202e"',
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "NaN",
    "-Infinity",
    "1000000000000000",
    "99999999999",
    "253402300800",
    "-62135596801",
    "9" * 400,
    "9" * 5_000,
    '""',
    '"' + "a" * 70_000 + '"',
    '"' + "a\u0316\u0301" * 3_000 + '"',
    '"0001-01-01T00:00:00+14:00"',
    '"9999-12-31T23:59:59-14:00"',
    '"https://elsewhere.invalid/?cursor=' + "a" * 70_000 + '"',
    '"https://elsewhere.invalid/?cursor=%ED%A0%80%00"',
    '"https://[elsewhere/?cursor=1"',
    "{}",
    "[]",
    "[null, 7, {}]",
    nested(DEEP),
    '{"a":' * DEEP + "1" + "}" * DEEP,
]
"""Values that no honest API tells, as JSON."""
_SHORT = [number for number, odd in enumerate(ODD) if len(odd) <= 1_000]
_LONG = [number for number, odd in enumerate(ODD) if len(odd) > 1_000]
_LONG_SHARE = 0.03  # each takes its time

HEADERS: list[tuple[str, str]] = [
    *(
        ("date", date)
        for date in (
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Mon, 01 Jan 0001 00:00:00 +1400",
            "Fri, 31 Dec 9999 23:59:59 -2400",
            "Thu, 26 Nov 2026 24:61:00 GMT",
            "9" * 5_000,
            "Thu, 26 Nov 2026 10:00:00 +99999999999999999999",
            "",
        )
    ),
    *(
        ("retry-after", value)
        for value in ("999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "-1", "nan", "1e9")
    ),
    *(
        (f"x-instant-test-rate-limit-{name}", value)
        for name in ("limit", "remaining", "reset")
        for value in ("0", "-1", "999999999999", "9" * 30, "\u0663", "")
    ),
    ("x-organization-rate-limit-remaining", "0"),
    ("x-organization-rate-limit-reset", "999999999999"),
    ("content-type", "text/html"),
    ("content-type", "application/json; charset=hex"),
    ("content-encoding", "br"),
    ("content-encoding", "gzip"),
    ("location", "http://[nowhere"),
    ("location", "/endpoint/tests/" * 3_000),
    ("set-cookie", "a=" + "b" * 9_000 + "; Max-Age=9e999; expires=" + "9" * 9_000),
    ("set-cookie", "\xff=;;;=;domain=.;version=x;port=\"'"),
    ("link", "<" * 9_000),
]
"""Headers that are set, whatever was there."""


@dataclass(frozen=True)
class Mutation:
    """What one reply suffers; `where` picks the place in its JSON.

    If it is `strewn`, one in so many of its values is odd, chosen by lot; `where` is the seed.
    """

    odd: str | None = None
    where: int = 0
    how: str = "replace"
    strewn: int = 0
    header: tuple[str, str] | None = None
    status: int | None = None
    body: bytes | None = None


_values: st.SearchStrategy[Mutation] = st.builds(
    Mutation,
    odd=st.sampled_from(ODD),
    where=st.integers(0, 200),
    how=st.sampled_from(["replace", "replace", "replace", "insert", "add", "whole"]),
)
_headers = st.sampled_from(HEADERS)
_bodies = st.sampled_from(
    [b"", b"null", b"[]", b"\xff\xfe", b"<html>", b"{" * 100_000, b"[" * 990 + b"]" * 990]
)
of_whole_replies: st.SearchStrategy[Mutation] = st.one_of(
    st.builds(Mutation, header=_headers),
    st.builds(
        Mutation,
        status=st.sampled_from([200, 204, 299, 302, 400, 401, 404, 429, 500, 503, 599, 999]),
        header=st.none() | _headers,
    ),
    st.builds(Mutation, body=_bodies | st.binary(max_size=20)),
)
mutations: st.SearchStrategy[Mutation] = _values | of_whole_replies


class Mutating:
    """An ASGI application whose replies are another's, made odd by their number."""

    def __init__(self, app: ASGIApp, plan: Mapping[int, Mutation]) -> None:
        self.app = app
        self.plan = plan
        self.calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mutation = self.plan.get(self.calls)
        self.calls += 1
        if mutation is None:
            await self.app(scope, receive, send)
            return
        parts: list[Message] = []

        async def keep(message: Message) -> None:
            parts.append(message)

        await self.app(scope, receive, keep)
        start = parts[0]
        body = b"".join(part.get("body", b"") for part in parts[1:])
        await send({**start, **_head(start, mutation)})
        await send({"type": "http.response.body", "body": _body(body, mutation)})


def _head(start: Message, mutation: Mutation) -> Message:
    left_out = {"content-length", mutation.header[0] if mutation.header else ""}
    headers = [pair for pair in start["headers"] if pair[0].decode().lower() not in left_out]
    if mutation.header:
        name, value = mutation.header
        headers.append((name.encode(), value.encode("utf-8", "replace")))
    return {"status": mutation.status or start["status"], "headers": headers}


def _body(body: bytes, mutation: Mutation) -> bytes:
    if mutation.body is not None:
        return mutation.body
    if not (mutation.odd or mutation.strewn) or not body:
        return body
    if mutation.odd and mutation.how == "whole":
        return mutation.odd.encode()
    try:
        told = json.loads(body)
    except ValueError:
        return body
    return _strewn(told, mutation) if mutation.odd is None else _with_one(told, mutation, body)


def _with_one(told: object, mutation: Mutation, body: bytes) -> bytes:
    mark = "\x00odd\x00"
    places = list(_places(told))
    if not places:
        return body
    where, key = places[mutation.where % len(places)]
    if mutation.how == "add" and isinstance(where, dict):
        where["neverRead"] = mark
    elif mutation.how == "insert" and isinstance(where, list):
        where.insert(int(key), mark)
    else:
        where[key] = mark
    text = json.dumps(told).replace(json.dumps(mark), mutation.odd or "")
    return text.encode("utf-8", "surrogatepass")


def _strewn(told: object, mutation: Mutation) -> bytes:
    lots = Random(mutation.where)
    for where, key in list(_places(told)):
        if lots.random() * mutation.strewn < 1:
            some = _LONG if lots.random() < _LONG_SHARE else _SHORT
            where[key] = f"\x00{lots.choice(some)}"
    text = re.sub(r'"\\u0000(\d+)"', lambda mark: ODD[int(mark[1])], json.dumps(told))
    return text.encode("utf-8", "surrogatepass")


def _places(told: object) -> Iterator[tuple[Container, Any]]:
    if not isinstance(told, dict | list):
        return
    for key, value in told.items() if isinstance(told, dict) else enumerate(told):
        yield told, key
        yield from _places(value)
