import base64
import hashlib
import html
import json
import logging
import time
import unicodedata
import urllib.parse
from collections.abc import Callable
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thousandeyes.steady import steady
from thousandeyes import escapes, redaction
from thousandeyes.redaction import MASK, Redactor, _small, redactor_of_token
from thousandeyes.text import shown

TOKEN = "0a1b2c3d-4e5f-6789-abcd-ef0123456789"
NASTY = "t\\o/k\"e'n&%<>+="
tokens = st.sampled_from([TOKEN, NASTY]) | st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=40
)

letters = st.characters(
    exclude_categories=["C", "M"], exclude_characters="\\%&\u115f\u1160\u3164\uffa0"
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
    "html with noughts": lambda s: "".join(
        f"&#{ord(c):09};" if place % 2 else f"&#x{ord(c):09X};" for place, c in enumerate(s)
    ),
    "address": lambda s: urllib.parse.quote(s, safe=""),
    "address in small letters": lambda s: "".join(f"%{ord(c):02x}" for c in s),
    "address twice": lambda s: urllib.parse.quote(urllib.parse.quote(s, safe=""), safe=""),
    "repr": lambda s: repr(s)[1:-1],
    "repr of bytes": lambda s: repr(s.encode())[2:-1],
    "hex": lambda s: s.encode().hex(),
    "zero-width characters between": "\u200b\u2060".join,
    "zero-width characters between, in json": lambda s: json.dumps("\U000e0041\u200b".join(s))[
        1:-1
    ],
    "what no screen shows between": "\ufe0f".join,
}


# How these write a letter beyond ASCII is not theirs alone, or not possible.
PLAIN_LETTERS_ALONE = {"json with all escaped", "address in small letters"}


@pytest.mark.parametrize("way", WAYS)
@given(token=tokens)
@steady(25)
def test_a_secret_is_masked_however_it_is_written(way: str, token: str) -> None:
    assert Redactor(token)(f"before {WAYS[way](token)} after") == f"before {MASK} after"


@pytest.mark.parametrize("way", [way for way in WAYS if way not in PLAIN_LETTERS_ALONE])
@given(
    secret=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=8)
    # What no screen shows is not always masked at the ends.
    .filter(lambda secret: not escapes._IGNORED.match(secret))
)
@steady(25)
def test_a_secret_of_any_letters_is_masked_however_it_is_written(way: str, secret: str) -> None:
    assert Redactor(secret)(f"before {WAYS[way](secret)} after") == f"before {MASK} after"


@given(
    secret=st.text(st.sampled_from("aB7-é각 \u1e69'") | letters, min_size=4)
    .map(shown)
    .filter(lambda secret: len(secret) >= 4),
    between=st.text("\u00ad\u180e\u200b\u200e\u2060\ufeff\U000e0041\n ", min_size=3, max_size=9),
    way=st.sampled_from([str, WAYS["html in numbers"], WAYS["address twice"]]),
    form=st.sampled_from(["NFC", "NFD"]),
)
@steady(300)
def test_nothing_brings_a_secret_back_when_the_text_is_shown(
    secret: str, between: str, way: Callable[[str], str], form: Literal["NFC", "NFD"]
) -> None:
    apart = unicodedata.normalize(form, secret)
    blank, unseen = f" {between}", "".join(between.split())
    hidden = unseen.join(blank if letter == " " else letter for letter in apart)
    assert shown(f"'{hidden}'") == f"'{secret}'"
    assert secret not in shown(Redactor(secret)(f"'{way(hidden)}'"))


def test_each_of_several_secrets_is_masked_and_an_empty_one_masks_nothing() -> None:
    text = f'{TOKEN} and {NASTY} and "" more'
    assert Redactor(TOKEN, "", NASTY)(text) == f'{MASK} and {MASK} and "" more'
    assert Redactor("")(text) == Redactor()(text) == text


@pytest.mark.parametrize(
    "secret", ["\u200b" * 9, "%20%20%20%20", " \u00a0", "\u2060", "\\\\\n\n\n\n\n"]
)
def test_a_secret_of_which_nothing_is_shown_garbles_no_text(secret: str) -> None:
    assert Redactor(secret)("before and 'after'") == "before and 'after'"


def test_what_is_not_the_secret_is_left_alone() -> None:
    text = json.dumps({"title": "50 % of <b>all</b> \\ tests & \u00e9", "id": TOKEN[:11]})
    assert Redactor(TOKEN)(text) == text


@pytest.mark.parametrize("way", ["plain", "json", "html", "address twice", "repr"])
@given(token=tokens)
@steady(25)
def test_a_secret_is_masked_in_capitals(way: str, token: str) -> None:
    assert Redactor(token)(f"before {WAYS[way](token.upper())} after") == f"before {MASK} after"


def test_a_secret_is_masked_where_the_names_of_its_signs_are_in_capitals_too() -> None:
    written = "a.secret/of.nobody".replace(".", "&period;").replace("/", "&sol;")
    assert Redactor("a.secret/of.nobody")(f"'{written.upper()}'") == f"'{MASK}'"


@pytest.mark.parametrize("way", ["plain", "json", "address"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@given(token=tokens, before=st.binary(max_size=9), after=st.binary(max_size=9))
@steady(25)
def test_of_a_secret_in_base64_nothing_stays_that_tells_more_than_a_letter_of_it(
    way: str, encode: Callable[[bytes], bytes], token: str, before: bytes, after: bytes
) -> None:
    written = WAYS[way](encode(before + token.encode() + after).decode())
    around = len(before) * 4 // 3, -(-len(after) * 4 // 3)
    left = Redactor(token)(f"({written})")
    assert MASK in left
    assert len(urllib.parse.unquote(left)) <= sum(around) + len("(***)==") + 4


@pytest.mark.parametrize("way", WAYS)
@given(begin=st.integers(0, 24), length=st.integers(12, 36))
@steady(25)
def test_a_part_of_a_secret_is_masked_as_a_whole(way: str, begin: int, length: int) -> None:
    part = TOKEN[begin : begin + length]
    told = Redactor(TOKEN)(f"<{WAYS[way](part)}… it is>")
    assert told == f"<{MASK}… it is>"


def test_parts_that_overlap_become_one_mask() -> None:
    assert Redactor(TOKEN)(TOKEN[:20] + TOKEN[5:]) == MASK * 2
    assert Redactor("abcdefgh", "efghijkl")("abcdefghijkl") == MASK


def test_a_short_secret_is_masked_as_a_word_alone() -> None:
    redact = Redactor('a"b1', "7", "1")
    text = 'password a\\"b1, or a&quot;b1: "7" is 1 of 17; HTTP/1.1 xa"b1x'
    assert redact(text) == f'password {MASK}, or {MASK}: "{MASK}" is 1 of 17; HTTP/1.1 xa"b1x'
    assert redact.data(text) == text


SLOW = {
    "parts": "0a1b2c3d",
    "beginnings of parts": "0a1b2c",
    "backslashes": "\\",
    "escaped backslashes": "\\u005c",
    "percent signs in percent signs": "%25",
    "percent signs": "%",
    "ampersands in ampersands": "&amp;",
    "names that don't end": "&amp",
    "noughts": "&#0000",
    "one letter": "a",
    "accents": "a\u0316\u0301",
    "accents in no order": "a\u0301\u0316",
    "accents of nothing": "\u0301\u0316",
    "zero-width characters": "a\u200b",
    "blanks": " \t",
    "a space and an end of line": "  a \n",
}
NASTY_SECRETS = [TOKEN, "\\" * 30 + "x", "%" * 20, "&amp;" * 8, "a" * 30 + "b", "ab" * 20, "&#" * 9]


@pytest.mark.parametrize("secret", NASTY_SECRETS)
@pytest.mark.parametrize("text", SLOW.values(), ids=SLOW)
def test_no_text_takes_time_that_grows_faster_than_it(text: str, secret: str) -> None:
    began = time.process_time()
    Redactor(secret)("0" + text * (50_000 // len(text)) + "!")
    # A part of a second of CPU; what grows with the square would take many.
    assert time.process_time() - began < 3


def test_a_text_that_was_made_to_be_slow_is_masked_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redaction, "_MOST_PLACES", 10_000)
    monkeypatch.setattr(escapes, "MOST_ESCAPES", 20_000)
    assert Redactor(TOKEN)(f"{TOKEN[:6]}, " * 12_000) == MASK
    assert Redactor(TOKEN)("%41" * 21_000) == MASK


def test_letters_keep_their_places_when_they_are_made_small() -> None:
    letters = "".join(map(chr, range(0x11_0000)))
    assert len(_small(letters)) == len(letters)
    assert Redactor(TOKEN)(f"\u0130\u0130{TOKEN.upper()}\u0130") == f"\u0130\u0130{MASK}\u0130"


def test_the_token_of_another_organization_in_this_process_is_masked_too() -> None:
    first, second = "first-of-two-tokens-41", "second-of-two-tokens-7"
    early, late = redactor_of_token(first), redactor_of_token(second)
    for redact in (early, late):
        assert redact(f"{first}, {second}") == f"{MASK}, {MASK}"
    # A short one is a word of many texts, and its own organization's affair.
    assert redactor_of_token("t0ken")("t0ken, once") == f"{MASK}, once"
    assert late("t0ken, once") == "t0ken, once"


def test_of_a_process_that_changes_its_token_all_day_the_latest_are_known() -> None:
    tokens = [hashlib.sha256(bytes([number])).hexdigest() for number in range(150)]
    latest = [redactor_of_token(token) for token in tokens][-1]
    assert latest(" ".join(tokens[50:])) == " ".join([MASK] * 100)
    assert latest(tokens[0]) == tokens[0]


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
