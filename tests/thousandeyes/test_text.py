"""What a text from anywhere looks like to a person."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thousandeyes.text import (
    counted,
    cut,
    duration,
    fitted,
    isolated,
    isolated_in,
    not_isolated,
    quoted,
    shown,
    shown_sentence,
    with_full_stop,
    without_userinfo,
)


@pytest.mark.parametrize(
    "written",
    [
        " Payroll  DE ",
        "Payroll\tDE\n",
        "Payroll\u00a0DE",
        "Payroll\u2003DE\u2028",
        "\ufeffPay\u200broll D\u2060E\u202e",
        "Payroll\x00DE",
        "Payroll\ud800DE",
    ],
    ids=ascii,
)
def test_blanks_and_what_can_not_be_seen_make_no_difference(written: str) -> None:
    assert shown(written) == "Payroll DE"


def test_a_letter_and_its_accent_are_one() -> None:
    assert shown("Bu\u0308ro") == shown("B\u00fcro") == "B\u00fcro"


@pytest.mark.parametrize("text", ["東京", "\U0001f600", "½ a", "\ue000", "a|b*"], ids=ascii)
def test_what_can_be_seen_stays(text: str) -> None:
    assert shown(text) == text


@given(st.text() | st.text("a \u00a0\u0308\u200d\ufe0f\x1b\ud800"))
def test_what_is_shown_is_shown_as_it_is_and_can_be_written(text: str) -> None:
    seen = shown(text)
    assert shown(seen) == seen
    assert seen.encode().decode() == seen
    assert "\x1b" not in seen
    assert " ".join(seen.split(" ")).strip() == seen


@given(st.text(), st.integers(1, 20))
def test_a_cut_text_is_its_beginning(text: str, length: int) -> None:
    seen = cut(text, length)
    assert len(seen) <= length
    assert shown(text).startswith(seen.removesuffix("…")) or "…" in text
    assert (seen == shown(text)) is (len(shown(text)) <= length)


HEBREW, ARABIC = "רשת VPN (רמת גן) 3", "اختبار الشبكة"
NAMES = st.text() | st.text("aא٣ 3(\u2066\u2067\u2068\u2069\u202e")


@pytest.mark.parametrize("name", [HEBREW, ARABIC, "Lab \u0663"], ids=ascii)
def test_a_name_that_runs_right_to_left_is_isolated_in_a_sentence(name: str) -> None:
    assert isolated(name) == f"\u2068{name}\u2069"
    sentence = f"1 of 11 tests failed: {isolated(name)}; 10 passed."
    assert shown_sentence(sentence) == sentence
    assert not_isolated(sentence) == shown(sentence) == f"1 of 11 tests failed: {name}; 10 passed."


@pytest.mark.parametrize("name", ["Payroll DE", "Büro (東京) 3", "  a\u202e", ""], ids=ascii)
def test_any_other_name_is_the_same_object_as_before(name: str) -> None:
    assert isolated(name) is name
    assert isolated_in(name, [name, "Payroll"]) is name


@given(NAMES)
def test_no_name_brings_its_own_isolates_or_turns_text_around(name: str) -> None:
    bare = shown(isolated(name))
    assert bare == shown(name)
    assert shown_sentence(isolated(name)) == isolated(bare)


@given(NAMES)
def test_a_sentence_from_anywhere_keeps_only_isolates_that_are_whole_and_needed(text: str) -> None:
    seen = shown_sentence(text)
    whole = re.compile("\u2068([^\u2066-\u2069]*)\u2069")
    assert not set(whole.sub(r"\1", seen)) & set("\u2066\u2067\u2068\u2069\u202e")
    assert all(isolated(name) != name for name in whole.findall(seen))
    assert shown_sentence(seen) == seen


def test_the_longest_of_the_names_in_a_sentence_is_isolated_whole() -> None:
    names = ["דנה", "דנה-5", "lena-mac"]
    assert isolated_in("דנה-5: 100 % loss; lena-mac: 5; דנה: 6; דנהא", names) == (
        "\u2068דנה-5\u2069: 100 % loss; lena-mac: 5; \u2068דנה\u2069: 6; דנהא"
    )


@pytest.mark.parametrize(
    ("items", "length", "count", "text"),
    [
        ([], 9, 3, ""),
        (["ab", "cd"], 9, 2, "ab, cd"),
        (["ab", "cd", "ef"], 9, 3, "ab, cd and 1 more"),
        (["ab", "cd"], 9, 7, "ab, cd and 5 more"),
        (["a long one", "cd"], 9, 2, "a long one and 1 more"),
    ],
)
def test_of_a_long_list_whole_items_are_told(
    items: list[str], length: int, count: int, text: str
) -> None:
    assert fitted(items, length, count) == text


def test_a_long_text_is_cut_with_a_sign() -> None:
    assert cut("Berlin VPN gateway", 7) == "Berlin…"


def test_blanks_before_a_text_take_nothing_of_its_length() -> None:
    assert cut(" " * 10_000 + "Berlin", 7) == "Berlin"


@pytest.mark.parametrize("text", ["gone.", "right?", "no!", "the path of a laptop…"])
def test_a_sentence_has_one_mark_at_its_end(text: str) -> None:
    assert with_full_stop(text) == text
    assert with_full_stop("gone") == "gone."


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1 s"),
        (0.4, "1 s"),
        (40, "40 s"),
        (119, "119 s"),
        (120, "2 minutes"),
        (3_599, "1 h 0 min"),
        (7_500, "2 h 5 min"),
    ],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        *((0, "0 minutes"), (1, "1 minute"), (1.0, "1 minute"), (0.5, "0.5 minutes")),
        *((5.0, "5 minutes"), (1_234_567, "1234567 minutes")),
    ],
)
def test_one_of_anything_is_no_plural(count: float, text: str) -> None:
    assert counted(count, "minute") == text


def test_a_message_names_the_first_of_many_names_and_shortens_each() -> None:
    assert quoted(["a", "b c"]) == "'a', 'b c'"
    message = quoted(["x" * 1_000_000, *map(str, range(20_000))])
    assert len(message) < 500
    assert message.endswith("'18' and 19981 more")


@pytest.mark.parametrize(
    ("text", "public"),
    [
        (
            "no answer at http://ci:s3cret@10.0.0.1:4200/api",
            "no answer at http://10.0.0.1:4200/api",
        ),
        ("'https://ci:s3@cret@[::1]/api' and ws://t0ken@host", "'https://[::1]/api' and ws://host"),
        ("http://host/path?mail=a@b.example", "http://host/path?mail=a@b.example"),
    ],
)
def test_the_user_and_password_of_an_address_are_not_shown(text: str, public: str) -> None:
    assert without_userinfo(text) == public


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 minutes"),
        (1, "1 minute"),
        (1.0, "1 minute"),
        (0.5, "0.5 minutes"),
        (1_234_567, "1234567 minutes"),
    ],
)
def test_one_is_singular_and_whole_numbers_have_no_fraction(count: float, text: str) -> None:
    assert counted(count, "minute") == text
