"""Lists of test IDs as people write them, for property tests: the IDs, and pieces of text."""

import string

from hypothesis import strategies as st

ALLOWED = string.ascii_letters + string.digits + "-_"
QUOTES = ["", '"', "'", "\u2018", "\u201d"]
BLANKS = [" ", "\t", "\u00a0", "\u2009", "\u3000", "\u200b", "\u2060", "\ufeff", "\u200e"]
LINE_ENDS = ["\n", "\r\n", "\r"]

some = st.text(ALLOWED, max_size=8)
test_ids = st.builds(
    lambda before, digit, after: before + digit + after, some, st.sampled_from("0123456789"), some
)
_comments = st.builds(
    lambda text, end: f"#{text}{end}",
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12),
    st.sampled_from(LINE_ENDS),
)
_between = st.lists(
    st.sampled_from([*BLANKS, *LINE_ENDS, ",", ";", "[", "]"]) | _comments, min_size=1, max_size=4
).map("".join)


@st.composite
def _entries(draw: st.DrawFn) -> tuple[str, str]:
    test_id, quote = draw(test_ids), draw(st.sampled_from(QUOTES))
    return test_id, f"{quote}{test_id}{quote}{draw(_between)}"


@st.composite
def written(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Draw what is meant, each ID once, and the text of it in pieces that each hold whole IDs."""
    drawn = draw(st.lists(_entries(), max_size=8))
    pieces = [draw(st.sampled_from(["", "\ufeff", "# IDs\r\n"]))]
    for _, text in drawn:
        pieces[-1] += text
        if draw(st.booleans()):
            pieces.append("")
    pieces[-1] += draw(st.sampled_from(["", "# the last line has no end"]))
    return list(dict.fromkeys(test_id for test_id, _ in drawn)), pieces
