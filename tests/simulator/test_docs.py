"""docs/simulator.md names each word that a scenario takes."""

import re
from typing import get_args

import pytest

from tests.docs.pages import ROOT
from thousandeyes.simulator.faults import Behaviour, HttpError, Misbehaviour, PathEnd, ResultReply
from thousandeyes.simulator.surroundings import Cause


def words(annotation: object) -> set[str]:
    """Return the words of a Literal, or of those in a union."""
    return {
        word
        for each in get_args(annotation)
        for word in ({each} if isinstance(each, str) else words(each))
    }


@pytest.mark.parametrize(
    "taken",
    [
        words(Misbehaviour),
        words(ResultReply),
        words(PathEnd),
        words(HttpError),
        words(Cause.model_fields["attribute"].annotation),
        words(Behaviour.model_fields["answers"].annotation),
        set(Behaviour.model_fields),
        set(Cause.model_fields) - {"value"},
    ],
    ids=min,
)
def test_the_page_names_every_word(taken: set[str]) -> None:
    page = (ROOT / "docs" / "simulator.md").read_text()
    assert taken
    assert taken <= set(re.findall(r"`(\w+)", page))
