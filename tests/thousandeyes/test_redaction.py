import html
import json
import logging
import time
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thousandeyes.steady import steady
from thousandeyes.redaction import MASK, Redactor

TOKEN = "0a1b2c3d-4e5f-6789-abcd-ef0123456789"
NASTY = "t\\o/k\"e'n&%<>+="
tokens = st.sampled_from([TOKEN, NASTY]) | st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=40
)

WAYS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": lambda s: json.dumps(s)[1:-1],
    "json in json": lambda s: json.dumps(json.dumps(s)[1:-1])[1:-1],
    "json with slashes escaped": lambda s: json.dumps(s)[1:-1].replace("/", r"\/"),
    "json with all escaped": lambda s: "".join(f"\\u{ord(c):04X}" for c in s),
    "html": html.escape,
    "html twice": lambda s: html.escape(html.escape(s)),
    "html in numbers": lambda s: "".join(f"&#{ord(c)};" for c in s),
    "html in hex": lambda s: "".join(f"&#x{ord(c):X};" for c in s),
    "address": lambda s: urllib.parse.quote(s, safe=""),
    "address in small letters": lambda s: "".join(f"%{ord(c):02x}" for c in s),
    "address twice": lambda s: urllib.parse.quote(urllib.parse.quote(s, safe=""), safe=""),
    "repr": lambda s: repr(s)[1:-1],
    "repr of bytes": lambda s: repr(s.encode())[2:-1],
}


# How these write a letter beyond ASCII is not theirs alone, or not possible.
PLAIN_LETTERS_ALONE = {"json with all escaped", "address in small letters"}


@pytest.mark.parametrize("way", WAYS)
@given(token=tokens)
@steady(25)
def test_a_secret_is_masked_however_it_is_written(way: str, token: str) -> None:
    assert Redactor(token)(f"before {WAYS[way](token)} after") == f"before {MASK} after"


@pytest.mark.parametrize("way", [way for way in WAYS if way not in PLAIN_LETTERS_ALONE])
@given(secret=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=8))
@steady(25)
def test_a_secret_of_any_letters_is_masked_however_it_is_written(way: str, secret: str) -> None:
    assert Redactor(secret)(f"before {WAYS[way](secret)} after") == f"before {MASK} after"


def test_each_of_several_secrets_is_masked_and_an_empty_one_masks_nothing() -> None:
    text = f"{TOKEN} and {NASTY} and more"
    assert Redactor(TOKEN, "", NASTY)(text) == f"{MASK} and {MASK} and more"
    assert Redactor("")(text) == Redactor()(text) == text


def test_what_is_not_the_secret_is_left_alone() -> None:
    text = json.dumps({"title": "50 % of <b>all</b> \\ tests & \u00e9", "id": TOKEN[:-1]})
    assert Redactor(TOKEN)(text) == text


@pytest.mark.parametrize("text", ["0a1b2c3d" * 60_000, "\\" * 300_000, "%25" * 200_000])
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    Redactor(TOKEN)(text)
    assert time.process_time() - began < 1


def test_log_records_are_redacted_and_kept(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Redactor(TOKEN).guarding_http_logs():
        for name in ("httpx", "httpcore.http11", "httpcore.connection", "httpcore.proxy"):
            logging.getLogger(name).info("sent %s to %s", TOKEN, name)
            logging.getLogger(name).debug("%r", [(b"x-echo", TOKEN.encode())])
            logging.getLogger(name).debug("nothing in it: %d", 7)
    assert len(caplog.records) == 12
    assert caplog.messages[:3] == [
        f"sent {MASK} to httpx",
        f"[(b'x-echo', b'{MASK}')]",
        "nothing in it: 7",
    ]
    assert not [record for record in caplog.records if TOKEN in f"{vars(record)}"]


def test_afterwards_the_loggers_are_as_they_were() -> None:
    before = list(logging.getLogger("httpx").filters)
    with Redactor(TOKEN).guarding_http_logs(), Redactor(NASTY).guarding_http_logs():
        assert len(logging.getLogger("httpx").filters) == len(before) + 2
    assert logging.getLogger("httpx").filters == before
