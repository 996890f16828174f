"""Lists of test IDs: read however they were written, and refused without being repeated."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thousandeyes.as_written import written
from tests.thousandeyes.steady import steady
from thousandeyes.errors import InvalidTestIds
from thousandeyes.lists import (
    LONGEST_ID,
    as_text,
    clean_test_id,
    form_pattern,
    ids_in,
    read_test_ids,
    read_test_ids_text,
    tokens_among,
)

AN_ID = (
    "an ID is up to 64 letters, digits, '-' and '_', with at least one digit, such as 765231567. "
    "Nothing was sent."
)
FORM = re.compile(form_pattern(r"\w"))


def once(test_ids: list[str]) -> list[str]:
    return list(dict.fromkeys(test_ids))


@given(written(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
@steady(200)
def test_a_list_is_the_same_however_it_was_written_encoded_and_cut_into_items(
    drawn: tuple[list[str], list[str]], encoding: str
) -> None:
    meant, pieces = drawn
    text = "".join(pieces)
    assert once(read_test_ids_text(text, "a text")) == meant
    assert once(read_test_ids_text(text.encode(encoding), "a file")) == meant
    assert once(read_test_ids(pieces)) == meant
    assert all(FORM.search(piece) for piece in pieces)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a column of Excel's as CSV in UTF-8", b'\xef\xbb\xbf202701;\r\n"202702";\r\n202701'),
        ("a column of Excel's as Unicode text", "202701\t\r\n202702\t\r\n".encode("utf-16")),
        ("big-endian", b"\xfe\xff" + "202701 202702".encode("utf-16-be")),
        ("an old Mac's", b"202701\r202702\r"),
        ("JSON", b'[\n  202701,\n  "202702"\n]\n'),
        ("Python", b"['202701', '202702']"),
        ("a shell's", b"202701 202702 # Berlin; Paris [not 202703]\n"),
        ("two files put together", b"\xef\xbb\xbf202701\xef\xbb\xbf202702"),
        ("a web page's", "202701\u00a0\u200b202702\u200b".encode()),
        ("with a comment in another encoding", b"202701 # B\xfcro\n202702"),
    ],
)
def test_what_programs_write_is_read(name: str, content: bytes) -> None:
    assert once(read_test_ids_text(content, name)) == ["202701", "202702"]


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        (b"202701\n\n 20/2702", 3, 2),
        (b"202701 # fine\r2,\t3x!", 2, 4),
        (b"test_id,name\n202701,Berlin", 1, 1),
        (b"202701;Berlin", 1, 8),
        (b"202701 \xff\xfe", 1, 8),
        (b"total 8\ndrwxr-xr-x 2 root root 4096 Nov 26 10:15 flows\n", 1, 1),
        (b"<!DOCTYPE html>\n<html>", 1, 1),
        (b"202701\n" + b"7" * (LONGEST_ID + 1), 2, 1),
        ("202701\u2028Büro-7".encode(), 2, 1),
    ],
)
def test_what_is_no_list_is_told_in_one_sentence_with_line_and_column(
    content: bytes, line: int, column: int
) -> None:
    with pytest.raises(InvalidTestIds) as caught:
        read_test_ids_text(content, "ids.txt")
    told = re.sub(r", the first of \d+ such entries", "", str(caught.value))
    assert told == (f"ids.txt: line {line}, column {column} is not a test ID: {AN_ID}")


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbf2027.01", b"2\x000\x002\x00", b"\x7fELF\x02\x01\x00"]
)
def test_where_nothing_else_is_written_no_place_is_told(content: bytes) -> None:
    with pytest.raises(InvalidTestIds) as caught:
        read_test_ids_text(content, "argument 1")
    assert str(caught.value) == f"argument 1: not a test ID: {AN_ID}"


@given(st.text(), st.text(), st.integers(0, 3))
@steady(200)
def test_no_message_repeats_what_was_read(before: str, after: str, items: int) -> None:
    secret = "5ecret=Zq"
    content = f"{before}\n{secret}{after}"
    with pytest.raises(InvalidTestIds) as read:
        read_test_ids([*["1"] * items, content])
    with pytest.raises(InvalidTestIds) as text:
        read_test_ids_text(content.encode("utf-8", "replace"), "a file")
    for error in (read.value, text.value):
        assert "5ecret" not in f"{error!r} {error}"
        assert error.__cause__ is None
        assert error.__suppress_context__
        assert len(str(error)) < 250


@given(st.text(st.sampled_from("17a_-,; \n\r#\"'[]\u200b\u00a0/é"), max_size=30))
@steady(300)
def test_the_form_takes_whatever_can_be_read(text: str) -> None:
    try:
        ids_in(text)
    except ValueError:
        return
    assert FORM.search(text)


@pytest.mark.parametrize("text", ["20/2701", "a!", "202701, <b>", "# fine\n{}", "1 # fine\n\n$"])
def test_the_form_refuses_what_can_not_be_an_id(text: str) -> None:
    assert not FORM.search(text)


@pytest.mark.parametrize("part", ["#", "#\n", "#a", "1", " ", "1 #\n", "\n"])
def test_the_form_refuses_at_once_however_long_the_text(part: str) -> None:
    assert not FORM.search(part * 20_000 + "\n!")


@pytest.mark.parametrize(
    ("given_", "text"), [(202701, "202701"), (202701.0, "202701"), (0, "0"), ("0765", "0765")]
)
def test_whole_numbers_are_taken_as_text(given_: object, text: str) -> None:
    assert as_text(given_) == text
    assert read_test_ids(given_) == [text]
    assert read_test_ids([given_]) == [text]
    assert read_test_ids((given_, "9")) == [text, "9"]
    assert clean_test_id(given_) == text


@pytest.mark.parametrize(
    "wrong",
    [
        *(True, False, None, b"1", ["1"], {"1": 1}, {"1"}, object()),
        *(1.5, float("nan"), float("inf"), 2.0**53, -1, 10**LONGEST_ID, Decimal("1.5")),
    ],
)
def test_anything_else_is_no_id(wrong: object) -> None:
    with pytest.raises(
        InvalidTestIds, match=r"^test_ids, item 2: (neither text nor|a number that)"
    ):
        read_test_ids(["1", wrong])
    with pytest.raises(InvalidTestIds, match=r"^test_id: "):
        clean_test_id(wrong)


@pytest.mark.parametrize("wrong", [True, False, 1.5, float("nan"), float("inf"), 2.0**53, -1])
def test_a_number_that_is_no_id_is_none_without_a_list_either(wrong: float) -> None:
    with pytest.raises(InvalidTestIds, match=r"^test_ids: (neither text nor|a number that)"):
        read_test_ids(wrong)


def test_a_text_is_a_list_of_what_stands_in_it() -> None:
    assert read_test_ids("202701, 202738\n202775") == ["202701", "202738", "202775"]
    assert read_test_ids("") == []
    with pytest.raises(InvalidTestIds, match=r"^test_ids: line 1, column 4 is not a test ID: "):
        read_test_ids("1, Berlin")


@pytest.mark.parametrize("wrong", [b"202701", Decimal(1), None, {"1": 1}])
def test_a_list_is_asked_for_where_one_is_due(wrong: object) -> None:
    with pytest.raises(InvalidTestIds, match=r"^test_ids: not a list\. Nothing was sent\.$"):
        read_test_ids(wrong)


@pytest.mark.parametrize("wrong", ["", " ", "1 2", "../1", "1/2", "Berlin", "1?x=2", "#1"])
def test_one_id_is_one(wrong: str) -> None:
    """It becomes part of an address."""
    with pytest.raises(InvalidTestIds, match="Nothing was sent"):
        clean_test_id(wrong)
    assert clean_test_id(" 202701\n") == "202701"


def test_a_token_is_found_with_more_around_it_and_a_short_one_as_a_whole_text() -> None:
    token, short = "0a1b2c3d-4e5f-6789-abcd-ef0123456789", "t0ken"
    pasted = [f"Bearer {token}.", f"TE_TOKEN='{token.upper()}'", "\u200b".join(token), f" {short}"]
    harmless = ["765231567", f"the {short}", token[:12], token[-12:], ""]
    assert tokens_among([*pasted, *harmless], [token, short], "IDs").startswith("4 of the IDs cont")
    assert not tokens_among(harmless, [token, short], "IDs")
