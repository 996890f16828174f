"""What Markdown makes of texts from anywhere: nothing."""

import re
from html import unescape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tasks.markdown import cell, code, from_cell, plain
from thousandeyes.text import shown

HOSTILE = [
    *("VPN *primary* DE", "__init__ check", "# Berlin", "1. Floor", "12) Floor", "- dash"),
    *("+ plus", "* star", "a|b", "<b>x</b>", "[a](b)", "![x](http://127.0.0.1:9/x.png)"),
    *("~~x~~", "H~2~O", "\\\\server\\share", "`code`", "``a`", "&lt;b&gt;", "> quote", "---"),
    *("***", "___ ___", "<!-- c -->", "[x]: http://e.com", "[^1]", "- [ ] task", "| a | b |"),
    *("a_b@example.com", "2024. review", "10115) Berlin", "123456789. x", "2024."),
    *("<http://e.com>", "a_b_ _c", "2*3*4", "http://e.com/_a_*b*", "www.e.com/*b*", "Büro_東京_"),
]
OF_MANY_LINES = ["a\n\n![x](//e.com/x.png)", "a\r\r\t# b\r\n\r\n<b>x</b>", "\n# a", "<b>\n\t"]
AS_THEY_ARE = [
    *("Berlin VPN (Oslo)", "404: Not Found", "a_b_c", "3.5 s", "100 %", "R&D", "x - y", "Nr. 1"),
    *("not_found, 2 unknown", "latency 7 > 5 ms", "C++", "a = b", "$5", "Büro 東京 \U0001f600"),
    *("a @b", ":smile:", "2026-11-26", "(c)", "no. 7)"),
    *("1234567890. x", "2024.5 x", "x 2024. y"),
]
texts = (
    st.text()
    | st.text("\\`*_~[]()<>|#&;!+-.:/1a@w \t\r\n")
    | st.sampled_from(HOSTILE + OF_MANY_LINES)
)

_markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
# As remark-gfm's, which looks for them in what has been unescaped.
_LINKS = re.compile(r"https?://[-.\w]+|www\.[-.\w]+|[-.\w+]+@[-\w]+", re.IGNORECASE)


def rendered(markdown: str) -> str:
    html = str(_markdown.render(markdown)).replace("\u2060", "")
    return unescape(html.removeprefix("<p>").removesuffix("</p>\n"))


@given(texts)
def test_a_text_is_shown_as_it_is(text: str) -> None:
    assert rendered(plain(text)) == shown(text)


@given(texts)
@example("a@_b.example.com")
def test_no_address_becomes_a_link(text: str) -> None:
    assert not _LINKS.search(unescape(str(_markdown.render(plain(text)))))


@given(texts)
def test_a_description_is_shown_as_it_is_and_holds_the_text_unaltered(text: str) -> None:
    description = code(text)
    assert shown(text) in description
    html = rendered(f"{description}: accepted")
    assert html.replace("<code>", "").replace("</code>", "") == f"{shown(text)}: accepted"


@given(texts)
def test_a_cell_is_read_back_as_it_was(text: str) -> None:
    assert from_cell(cell(text)) == text


@given(texts)
def test_a_cell_of_version_0_1_0_is_read_as_it_stands(text: str) -> None:
    """It was cut for a log, and began with no tab."""
    assert from_cell(shown(text)) == shown(text)
    assert from_cell("\tBerlin") == "\tBerlin", "nothing of it would have been altered"


@pytest.mark.parametrize("text", HOSTILE + OF_MANY_LINES)
def test_what_markdown_would_alter_is_code_in_a_cell_and_in_a_description(text: str) -> None:
    assert [line[:1] for line in cell(text).splitlines()] == ["\t"] * len(text.splitlines())
    html = rendered(cell(text))
    assert html.startswith("<pre><code>")
    assert html.rstrip().endswith("</code></pre>")
    assert html.count("<code>") == 1 + text.count("<code>")
    assert code(text).startswith("`")


@pytest.mark.parametrize("text", AS_THEY_ARE)
def test_what_it_leaves_alone_stays_clean(text: str) -> None:
    assert plain(text) == code(text) == cell(text) == text
