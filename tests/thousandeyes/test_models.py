"""What is read of the API's listings."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from thousandeyes.models import AccountGroup, Agent, EndpointTest, Listed
from thousandeyes.replies import Reply, read

_MODELS = (EndpointTest, Agent, AccountGroup)
_MEMBERS = sorted(frozenset().union(*(model.members() for model in _MODELS)))


def _objects(values: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.sampled_from(_MEMBERS) | st.text(max_size=3), values, max_size=6)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | _objects(values),
    max_leaves=8,
)


def _validated(model: type[Listed], item: object) -> Listed | None:
    try:
        return model.model_validate(item)
    except ValidationError:
        return None


@pytest.mark.parametrize("model", _MODELS)
@given(item=_objects(_VALUES))
def test_members_that_are_left_out_while_reading_change_no_item(
    model: type[Listed], item: dict[str, object]
) -> None:
    reply = Reply(200, {}, json.dumps(item), 0.0)
    assert _validated(model, read(reply, model.members())) == _validated(model, read(reply))


def test_what_no_field_reads_is_left_out_at_any_depth() -> None:
    selector = {"maxMachines": 25, "agents": ["a"], "agentSelectorType": "specific-agents"}
    test = {"testId": "1", "server": "intranet", "agentSelectorConfig": selector}
    reply = Reply(200, {}, json.dumps({"tests": [test], "_links": {}}), 0.0)
    del selector["agentSelectorType"], test["server"]
    assert read(reply, EndpointTest.members() | {"tests"}) == {"tests": [test]}
