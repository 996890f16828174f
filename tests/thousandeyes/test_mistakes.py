"""YAML that people wrote is taken as they see it, or refused with the line."""

from pathlib import Path

import pytest

from thousandeyes.mistakes import Unreadable, read_yaml, without_aliases


def refusal(text: str) -> str:
    path = Path("a.yaml")
    path.write_text(text, "utf-8")
    with pytest.raises(Unreadable) as refused:
        read_yaml(path)
    with pytest.raises(Unreadable) as without:
        read_yaml(path, without_aliases)
    assert str(refused.value) == str(without.value)
    return str(refused.value).removeprefix("a.yaml, ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- url: x\n  url: y", "line 2, column 3: a key appears twice, first on line 1: url"),
        ("a: {b: [{c: 1, 'c': 2}]}", "line 1, column 16: a key appears twice, first on line 1: c"),
        ("tag: x\ntag: y", "line 2, column 1: a key appears twice, first on line 1: tag"),
        ("1: x\n2: y\n1: z", "line 3, column 1: a key appears twice, first on line 1"),
        ("s3cret: x\n\ns3cret: y", "line 3, column 1: a key appears twice, first on line 1"),
    ],
)
def test_a_key_that_appears_twice_is_refused_with_its_place(text: str, told: str) -> None:
    assert refusal(text) == told


@pytest.mark.parametrize("written", ["0765", "1_000", "0x1f", "0b1", "1:30", "'7'"])
def test_in_a_definition_an_id_is_taken_as_it_is_written(written: str) -> None:
    assert without_aliases(f"[{written}, 443]") == [written.strip("'"), 443]


def test_a_key_may_come_again_in_another_mapping_and_replace_what_is_merged() -> None:
    path = Path("a.yaml")
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [{x: 1}, {x: 1}]", "utf-8")
    assert read_yaml(path)["b"] == {"x": 1, "y": 3}
