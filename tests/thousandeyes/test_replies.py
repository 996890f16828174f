import json
import math
import string
import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.thousandeyes.model_server import BOTH, EPOCH, STEMS
from tests.thousandeyes.steady import steady
from thousandeyes.errors import (
    CallFailed,
    Forbidden,
    InvalidCall,
    NotFound,
    Refused,
    ReplyLost,
    ServerError,
    TokenRefused,
    TooManyRequests,
)
from thousandeyes.families import Family
from thousandeyes.redaction import Redactor
from thousandeyes.replies import Reply, confirmation, read, refused
from thousandeyes.text import shown

NOW = 1_800_000_000
DATE = formatdate(NOW, usegmt=True)
FAR_AWAY = DATE.replace("GMT", "+" + "9" * 30)  # a time zone that overflows
ORGANIZATION, INSTANT = BOTH


def reply(
    status: int = 200,
    body: str = "",
    *,
    arrived: float = EPOCH,
    **headers: str,
) -> Reply:
    return Reply(status, {k.replace("_", "-"): v for k, v in headers.items()}, body, arrived)


def told(
    family: Family, limit: object, remaining: object, reset: object, **others: str
) -> dict[str, str]:
    stem = STEMS[family]
    values = {"limit": limit, "remaining": remaining, "reset": reset}
    return others | {f"{stem}-{name}": str(value) for name, value in values.items()}


def heard(headers: dict[str, str], arrived: float = EPOCH) -> dict[Family, Any]:
    return Reply(200, headers, "", arrived).told()


class TestRateHeaders:
    def test_both_families_are_read(self) -> None:
        headers = told(INSTANT, 24, 23, NOW + 59, date=DATE)
        headers |= told(ORGANIZATION, 240, 200, NOW + 12)
        readings = heard(headers)
        assert (readings[INSTANT].limit, readings[INSTANT].remaining) == (24, 23)
        assert (readings[INSTANT].reset, readings[INSTANT].seconds_left) == (NOW + 59, 59)
        assert (readings[ORGANIZATION].remaining, readings[ORGANIZATION].seconds_left) == (200, 12)

    def test_a_family_that_is_not_told_is_left_out(self) -> None:
        assert heard({}) == {}
        assert list(heard(told(ORGANIZATION, 240, 200, NOW + 12, date=DATE))) == [ORGANIZATION]

    @pytest.mark.parametrize("missing", ["limit", "remaining", "reset"])
    def test_a_family_without_all_three_is_left_out(self, missing: str) -> None:
        headers = told(INSTANT, 24, 23, NOW + 59, date=DATE)
        del headers[f"{STEMS[INSTANT]}-{missing}"]
        assert heard(headers) == {}

    @pytest.mark.parametrize(
        "nonsense",
        ["", "x", "-1", "2.5", "1e3", "1_0", "٢", "²", "23, 23", "nan", "9" * 400, "0x10"],
    )
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_a_family_with_nonsense_is_left_out(self, nonsense: str, place: int) -> None:
        values: list[object] = [24, 23, NOW + 59]
        values[place] = nonsense
        assert heard(told(INSTANT, *values, date=DATE)) == {}

    def test_blanks_around_a_number_are_no_nonsense(self) -> None:
        assert INSTANT in heard(told(INSTANT, " 24 ", "23", f"{NOW + 59} ", date=DATE))

    def test_a_small_reset_is_seconds_from_now(self) -> None:
        reading = heard(told(INSTANT, 24, 23, 42, date=DATE))[INSTANT]
        assert (reading.reset, reading.seconds_left) == (NOW + 42, 42)

    def test_a_small_reset_without_a_date_is_not_shortened(self) -> None:
        assert heard(told(INSTANT, 24, 23, 42), EPOCH + 0.5)[INSTANT].seconds_left == 42

    @pytest.mark.parametrize("skew", [-3600, 0, 3600])
    def test_a_reset_is_relative_to_the_reply_s_date(self, skew: int) -> None:
        date = formatdate(NOW + skew, usegmt=True)
        reading = heard(told(INSTANT, 24, 0, NOW + skew + 30, date=date))[INSTANT]
        assert reading.seconds_left == 30

    @pytest.mark.parametrize("form", ["%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S -0000"])
    def test_a_date_without_a_zone_is_utc_wherever_it_is_read(
        self, form: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        date = time.strftime(form, time.gmtime(NOW))
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        try:
            assert reply(200, date=date).date == NOW
        finally:
            monkeypatch.undo()
            time.tzset()

    @pytest.mark.parametrize("date", ["", "yesterday", FAR_AWAY, "²"])
    def test_without_a_readable_date_the_arrival_counts(self, date: str) -> None:
        reading = heard(told(INSTANT, 24, 0, NOW + 30, date=date), NOW + 10)[INSTANT]
        assert reading.seconds_left == 20

    @pytest.mark.parametrize("reset", [NOW + 7200, NOW - 7200, 4_000_000_000, 999_999])
    def test_a_reset_that_no_window_can_have_is_nonsense(self, reset: int) -> None:
        assert heard(told(INSTANT, 24, 23, reset, date=DATE)) == {}

    @given(
        st.dictionaries(
            st.sampled_from(
                [
                    "date",
                    "retry-after",
                    "content-type",
                    *(
                        f"{stem}-{name}"
                        for stem in STEMS.values()
                        for name in ("limit", "remaining", "reset")
                    ),
                ]
            ),
            st.text(max_size=40) | st.integers(0, 2 * NOW).map(str),
        )
    )
    @steady(150)
    def test_no_headers_break_it(self, headers: dict[str, str]) -> None:
        answer = Reply(200, headers, "", EPOCH)
        for reading in answer.told().values():
            assert abs(reading.seconds_left) <= 3600
        wait = answer.retry_after()
        assert wait is None or math.isfinite(wait)
        assert isinstance(answer.is_html, bool)


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("120", 120),
            (" 7 ", 7),
            ("0", 0),
            (formatdate(NOW + 30, usegmt=True), 30),
            (formatdate(NOW - 30, usegmt=True), -30),
            ("", None),
            ("soon", None),
            ("-5", None),
            ("²", None),
            (FAR_AWAY, None),
        ],
    )
    def test_is_read_in_both_its_forms(self, value: str, seconds: float | None) -> None:
        assert reply(429, retry_after=value, date=DATE).retry_after() == seconds

    @pytest.mark.parametrize("value", ["9" * 12, "9" * 400, "Fri, 01 Jan 2100 00:00:00 GMT"])
    def test_may_ask_for_a_wait_without_an_end(self, value: str) -> None:
        wait = reply(429, retry_after=value, date=DATE).retry_after()
        assert wait is not None
        assert 10**9 < wait < math.inf

    def test_may_be_missing(self) -> None:
        assert reply(429).retry_after() is None


class TestStatus:
    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (301, InvalidCall),
            (304, InvalidCall),
            (400, InvalidCall),
            (401, TokenRefused),
            (403, Forbidden),
            (404, NotFound),
            (405, InvalidCall),
            (429, TooManyRequests),
            (499, InvalidCall),
            (500, ServerError),
            (503, ServerError),
            (599, ServerError),
        ],
    )
    def test_the_status_picks_the_error(self, status: int, error: type[Refused]) -> None:
        with pytest.raises(Refused) as caught:
            read(reply(status))
        assert type(caught.value) is error
        assert caught.value.status == status

    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    @pytest.mark.parametrize(
        "body", ["", "{}", "null", "OK", '{"message": 5}', "[1]", "{broken", "\x00", '"<html>"']
    )
    def test_a_success_is_accepted_whatever_its_body_says(self, status: int, body: str) -> None:
        assert confirmation(read(reply(status, body))) == ""

    def test_the_api_s_words_on_a_success_are_kept(self) -> None:
        words = "Successfully reran the instant scheduled test with testId=765231567"
        assert confirmation(read(reply(200, json.dumps({"message": words})))) == words

    @pytest.mark.parametrize(
        "page",
        [
            reply(200, "<!DOCTYPE html><title>Sign in</title>"),
            reply(200, "\n <HTML><body>hi"),
            reply(200, "<head><title>Sign in</title>"),
            reply(200, "please sign in", content_type="text/HTML; charset=utf-8"),
            reply(200, "<?xml version='1.0'?><html/>", content_type="application/xhtml+xml"),
        ],
    )
    def test_a_web_page_is_no_success(self, page: Reply) -> None:
        assert page.is_html
        assert not page.trustworthy
        with pytest.raises(ReplyLost, match="status 200 with a web page"):
            read(page)

    @pytest.mark.parametrize("status", [100, 101, 199])
    def test_an_interim_status_is_no_success(self, status: int) -> None:
        assert not reply(status).trustworthy
        with pytest.raises(ReplyLost, match=f"status {status}"):
            read(reply(status))

    @pytest.mark.parametrize(("status", "trusted"), [(200, True), (404, True), (502, False)])
    def test_the_api_s_own_answers_are_trustworthy(self, status: int, trusted: bool) -> None:  # noqa: FBT001
        assert reply(status, "{}").trustworthy is trusted


class TestProblems:
    @pytest.mark.parametrize(
        ("status", "body", "words"),
        [
            (
                404,
                {
                    "type": "about:blank",
                    "title": "URI Resource Not Found",
                    "status": 404,
                    "detail": "invalid URI or a wrong ID",
                    "instance": "/v7",
                },
                "404: URI Resource Not Found: invalid URI or a wrong ID",
            ),
            (
                400,
                {
                    "title": "Bad Request",
                    "errors": [
                        {"code": "size", "field": "testId", "message": "too long"},
                        {"message": "no"},
                        {"code": "unknown"},
                        {},
                        None,
                        "as text",
                    ],
                },
                "400: Bad Request: testId too long: no: unknown: as text",
            ),
            (400, {"title": "Bad Request", "errors": None}, "400: Bad Request"),
            (
                401,
                {"error": "invalid_token", "error_description": "Invalid access token"},
                "401: invalid_token: Invalid access token",
            ),
            (
                500,
                {"timestamp": 1, "httpStatus": 500, "errors": ["Oh no"], "path": "/v7"},
                "500: Oh no",
            ),
            (400, {"errorMessage": "Wrong aid"}, "400: Wrong aid"),
            (403, {"title": "Same", "detail": "Same"}, "403: Same"),
            (500, {"title": None, "detail": " "}, '500: {"title": null, "detail": " "}'),
            (500, {}, "500: {}"),
            (500, {"title": {"deep": ["odd"]}, "detail": 5, "error": True, "errors": 7}, "500: {"),
            (500, [], "500: []"),
            (500, ["a", {"b": 1}], '500: ["a", {"b": 1}]'),
            (500, 17, "500: 17"),
            (500, None, "500: null"),
            (500, "text", '500: "text"'),
        ],
    )
    def test_of_every_known_shape_and_of_odd_ones_are_told(
        self, status: int, body: object, words: str
    ) -> None:
        assert str(refused(reply(status, json.dumps(body)))).startswith(words)

    def test_no_body_is_told_as_such(self) -> None:
        assert str(refused(reply(503))) == "503: no body"

    def test_a_page_is_cut_hard_to_its_title(self) -> None:
        page = f"<html><head><TITLE>\n502 Bad\n Gateway</TITLE></head>{'<p>nginx' * 9999}"
        assert str(refused(reply(502, page))) == "502: web page: 502 Bad Gateway"

    def test_a_page_without_a_title_is_cut_hard_to_its_first_words(self) -> None:
        message = str(refused(reply(502, "<html><body><h1>Bad</h1> gateway" + " x" * 9999)))
        assert message.startswith("502: web page: Bad gateway x")
        assert len(message) < 100

    def test_a_redirect_asks_for_the_address(self) -> None:
        assert "TE_BASE_URL" in str(refused(reply(302, "", location="https://elsewhere")))

    @pytest.mark.parametrize(
        "body",
        [
            "<title>" * 200_000,
            "<html>" + "<" * 1_000_000,
            "[" * 1_000_000,
            '{"title":' * 500_000,
            '{"title": ' + "9" * 100_000 + "}",
            " " * 1_000_000,
        ],
        ids=lambda body: body[:9],
    )
    def test_no_body_takes_long(self, body: str) -> None:
        began = time.process_time()
        for status in (200, 500):
            with pytest.raises(CallFailed):
                read(reply(status, body, content_type="text/html"))
            refused(reply(500, body))
        # What grows with the square of its length would take minutes.
        assert time.process_time() - began < 30

    def test_what_can_not_be_stored_or_shown_is_taken_out(self) -> None:
        body = '{"title": "a\\ud800b\\u0000c\\u001b[31md\\u202ee"}'
        message = str(refused(reply(400, body)))
        assert message == "400: a\ufffdb c [31mde"
        assert confirmation(json.loads('{"message": "a\\ud800b"}')) == "a b"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "title",
                    "detail",
                    "error",
                    "error_description",
                    "errorMessage",
                    "errors",
                    "message",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
bodies = (
    st.text(max_size=300)
    | json_values.map(json.dumps)
    | st.text(max_size=99).map("<html>{}".format)
)


class TestAnything:
    @given(
        st.integers(100, 599),
        st.dictionaries(st.sampled_from(["content-type", "date", "location"]), st.text()),
        bodies,
    )
    @steady(300)
    def test_reading_raises_nothing_but_call_failed_and_says_it_in_few_words(
        self, status: int, headers: dict[str, str], body: str
    ) -> None:
        try:
            text = confirmation(read(Reply(status, headers, body, EPOCH)))
        except CallFailed as error:
            text = str(error)
            assert text
        assert len(text) <= 500
        assert shown(text) == text.strip()
        text.encode()

    @given(
        st.text(string.ascii_letters + string.digits + "-_./+=%&<>\"'\\", min_size=8, max_size=40),
        st.sampled_from(["title", "detail", "error", "errorMessage", "message"]),
        st.sampled_from([200, 400, 401, 500]),
        st.data(),
    )
    @example("0a1b2c3d-4e5f", "title", 401, None).via("the usual kind of token")
    @steady(150)
    def test_a_token_anywhere_in_the_body_comes_through_in_no_way_of_writing_it(
        self, token: str, name: str, status: int, data: st.DataObject | None
    ) -> None:
        ways = [
            lambda c: json.dumps(c)[1:-1],
            lambda c: f"\\u{ord(c):04x}",
            lambda c: f"\\u{ord(c):04X}",
            lambda c: "\\/" if c == "/" else json.dumps(c)[1:-1],
        ]
        written = "".join(
            (data.draw(st.sampled_from(ways)) if data else ways[1])(character)
            for character in token
        )
        for body in (f'{{"{name}": "you sent {written} to us"}}', f"you sent {token} to us"):
            clean = Redactor(token)(body)
            try:
                text = confirmation(read(Reply(status, {}, clean, EPOCH)))
            except CallFailed as error:
                text = str(error)
            assert token not in text
