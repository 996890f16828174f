"""The file of groups, read strictly: every mistake is told at once, with its line."""

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deployments.groups import _NAME, FILE, GroupsError, read_groups
from tasks.blocks import EndpointTestGroup
from tests.thousandeyes.steady import steady
from thousandeyes.thresholds import Thresholds

AN_ID = "an ID is up to 64 letters, digits, '-' and '_', with at least one digit, such as 765231567"


def read(text: str) -> dict[str, EndpointTestGroup]:
    path = Path("groups.yaml")
    path.write_text(text, "utf-8")
    return read_groups(path)


def mistakes(text: str) -> list[str]:
    with pytest.raises(GroupsError) as caught:
        read(text)
    heading, *lines = str(caught.value).splitlines()
    assert heading == "groups.yaml has mistakes:"
    return [line.strip() for line in lines]


def test_groups_come_by_name_in_the_files_order() -> None:
    groups = read(
        "night: {test_ids: [1]}\n"
        "morning:\n"
        "  test_ids: [765231568, '765231567', 765231568]\n"
        "  names: {765231567: Berlin VPN}\n"
        "  thresholds: {max_loss_percent: 2.5, min_agents: 3}\n"
        "  aid: 1234\n"
        "  credentials: production\n"
    )
    assert list(groups) == ["night", "morning"]
    assert groups["morning"] == EndpointTestGroup(
        test_ids=["765231568", "765231567"],
        names={"765231567": "Berlin VPN"},
        thresholds=Thresholds(max_loss_percent=2.5, min_agents=3),
        aid="1234",
        credentials="production",
    )


@pytest.mark.parametrize("nothing", ["", "\n", "# all of it\n# commented out\n", "---\n", "{}\n"])
def test_an_empty_file_has_no_groups(nothing: str) -> None:
    assert read(nothing) == {}


def test_the_file_of_the_project_makes_nothing_as_it_is_and_a_group_without_its_signs() -> None:
    assert read_groups() == {}
    example = FILE.read_text("utf-8").partition("put in your own:\n#\n")[2]
    groups = read("\n".join(line.removeprefix("# ") for line in example.splitlines()))
    assert groups["morning-checks"].names == {"765231567": "Berlin VPN gateway"}
    assert groups["morning-checks"].credentials == "production"


@pytest.mark.parametrize("written", ["0765", "1_000", "0x1f", "1e5", "0o17", "2026-11-24"])
def test_an_id_is_taken_as_it_is_written(written: str) -> None:
    assert read(f"a: {{test_ids: [{written}]}}")["a"].test_ids == [written]


def test_a_list_in_one_item_is_taken_apart_and_its_mistakes_told_by_the_items_line() -> None:
    file = "a:\n  test_ids:\n    - 1, 2\n    - |\n      3 # Berlin\n      {}\n    - 4\n"
    assert read(file.format("'5'"))["a"].test_ids == ["1", "2", "3", "5", "4"]
    assert mistakes(file.format("TE_TOKEN=5ecret")) == [
        f"line 4: a.test_ids.1: line 2, column 1 is not a test ID: {AN_ID}"
    ]


def test_an_anchor_may_say_once_what_holds_for_several_groups() -> None:
    groups = read(
        "a: {test_ids: [1], thresholds: &strict {max_loss_percent: 1}}\n"
        "b: {test_ids: [2], thresholds: *strict}\n"
    )
    assert groups["b"].thresholds == Thresholds(max_loss_percent=1)


def test_all_mistakes_are_told_at_once_with_their_lines() -> None:
    integer = "Input should be a valid integer"
    assert mistakes(
        "Morning Checks:\n"
        "  test_ids: [1]\n"
        "evening:\n"
        "  test_ids:\n"
        "    - 1\n"
        "    - ../2\n"
        "  thresholds:\n"
        "    max_loss: 1\n"
        "    min_agents: some\n"
        "  threshold: {}\n"
        "  names:\n"
        "    3: stranger\n"
        "empty:\n"
        "night:\n"
        "  names: {}\n"
        "  aid: [1]\n"
    ) == [
        f"line 1: Morning Checks: {_NAME}",
        f"line 6: evening.test_ids.1: not a test ID: {AN_ID}",
        "line 8: evening.thresholds.max_loss: Extra inputs are not permitted",
        f"line 9: evening.thresholds.min_agents: {integer}, unable to parse string as an integer",
        "line 10: evening.threshold: Extra inputs are not permitted",
        "line 13: empty: a group needs test_ids",
        "line 16: night.aid: neither text nor a whole number",
    ]


def test_a_name_for_a_test_of_no_group_is_told() -> None:
    [line] = mistakes("a:\n  test_ids: [1]\n  names:\n    2: b\n")
    assert line == "line 3: a.names: test_ids does not hold 2"


def test_a_group_may_begin_empty_for_its_tests_to_be_created() -> None:
    assert read("new:\n  credentials: emea\n")["new"].test_ids == []


@pytest.mark.parametrize("text", ["[1, 2]", "morning", "- a\n- b"])
def test_what_holds_no_names_is_told(text: str) -> None:
    assert mistakes(text) == ["line 1: must be groups by name"]


def test_a_group_that_holds_itself_is_told() -> None:
    assert "line 1: a.names.1: refers to itself" in mistakes(
        "a: &a {test_ids: [1], names: {1: *a}}"
    )


def test_a_key_that_is_no_text_is_told() -> None:
    assert mistakes("a:\n  test_ids: [1]\n  ? [x]\n  : y") == [
        "line 1: a: has a key that is not text"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a:\n\ttest_ids: [1]", "line 2, column 1: found character that cannot start any token"),
        ("a: [1\n", "line 2, column 1: expected ',' or ']', but got '<stream end>'"),
        ("a: *nothing\n", "line 1, column 4: found undefined alias"),
        ("a: {}\n---\nb: {}\n", "line 2, column 1: but found another document"),
        ("a: {}\nb: {}\na: {}\n", "line 3, column 1: a key appears twice, first on line 1: a"),
        ("a:\n  aid: 1\n  aid: 2\n", "line 3, column 3: a key appears twice, first on line 2: aid"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(GroupsError) as caught:
        read(text)
    assert str(caught.value) == f"groups.yaml, {told}"


def test_what_is_no_text_is_told() -> None:
    path = Path("groups.yaml")
    for content in (b"a: \xff", b"a: \x00"):
        path.write_bytes(content)
        with pytest.raises(GroupsError, match="is not text in UTF-8"):
            read_groups(path)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(EndpointTestGroup.model_fields, ANYTHING | st.just(["1"]))
)


@given(st.dictionaries(st.sampled_from(["a", "B"]), FIELDS | ANYTHING))
@steady(100)
def test_whatever_stands_there_is_read_or_told(content: object) -> None:
    with suppress(GroupsError):
        for group in read(yaml.safe_dump(content)).values():
            assert isinstance(group, EndpointTestGroup)
