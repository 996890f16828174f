"""Who may emit an event may name tests and groups in it, and nothing more."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from prefect.server.events.actions import RunDeployment
from prefect.utilities.schema_tools.hydration import HydrationContext, hydrate

from deployments.automations import read_automations
from deployments.steps import BootstrapError
from flows.rerun.parameters import Parameters
from flows.rerun.selection import select
from tasks.blocks import is_block_name
from tests.deployments.test_automations import changed
from tests.thousandeyes.as_written import written
from tests.thousandeyes.steady import steady
from thousandeyes.errors import InvalidTestIds

SECRET = "hunter2-4711"
TEMPLATES = {
    action["deployment"]: action["parameters"]
    for entry in read_automations()
    for action in entry.actions
    if "parameters" in action
}
AFTER_CHANGE = TEMPLATES["rerun-endpoint-tests/after-change"]
JINJA = {"__prefect_kind": "jinja", "template": "{{ 7 * 7 }}"}
VARIABLE = {"__prefect_kind": "workspace_variable", "variable_name": "secret"}
IN_JSON = {"__prefect_kind": "json", "value": "[4711]"}
NESTED = {"__prefect_kind": "json", "value": {"__prefect_kind": "none", "value": VARIABLE}}
THOUSAND = [str(765_000_000 + number) for number in range(1_000)]
CARRIED_OUT = [
    *(JINJA, VARIABLE, IN_JSON, NESTED, [JINJA], ["1", VARIABLE], {"a": [IN_JSON]}),
    *("{{ 7 * 7 }}", ["{{ 7 * 7 }}"], "{% for x in range(9) %}4711 {% endfor %}", "{{ event }}"),
    *('{"__prefect_kind": "jinja", "template": "49"}', {"template": "49"}, {"49": None}),
    *([["49"]], [["49 # Berlin", "50"]], [{"49": None}], [None], [["49"] * 9, "50"], [True], False),
]


def carried_out(parameters: dict[str, Any], payload: dict[str, Any]) -> dict[str, Any]:
    """Return a run's parameters as Prefect makes them: by the automation, then for the new run."""
    made = deepcopy(parameters)
    RunDeployment._upgrade_v1_templates(made)
    ids = {"id": "01a21a04-1417-7990-9f31-ca674d58a355"}
    context = {
        "event": SimpleNamespace(payload=payload, **ids),
        "flow_run": SimpleNamespace(**ids),
    }
    for _ in range(2):
        made = hydrate(
            made,
            HydrationContext(
                raise_on_error=True,
                render_jinja=True,
                jinja_context=context,
                render_workspace_variables=True,
                workspace_variables={"secret": SECRET},
            ),
        )
    return made


def refused(parameters: dict[str, Any]) -> bool:
    """Tell whether the flow sends nothing: a list is none of IDs, or names what no group is."""
    try:
        groups = Parameters.read(**parameters).groups
    except InvalidTestIds:
        return True
    return not all(map(is_block_name, groups))


@pytest.mark.parametrize("value", CARRIED_OUT, ids=str)
@pytest.mark.parametrize("name", ["test_ids", "groups"])
def test_what_an_event_says_is_not_carried_out_and_names_no_test(name: str, value: object) -> None:
    made = carried_out(AFTER_CHANGE, {name: value})
    assert [type(one) for one in made[name]] == [str]
    assert SECRET not in str(made)
    assert refused(made)


@pytest.mark.parametrize(
    ("payload", "test_ids", "groups"),
    [
        ({"test_ids": ["765231567", 202701]}, ["765231567", "202701"], []),
        ({"test_ids": "765231567, 202701"}, ["765231567", "202701"], []),
        ({"test_ids": 765231567, "groups": ["branch-offices"]}, ["765231567"], ["branch-offices"]),
        ({}, [], []),
        ({"test_ids": None, "groups": None}, [], []),
        ({"test_ids": [], "groups": ""}, [], []),
        ({"test_ids": THOUSAND}, THOUSAND, []),
        ({"test_ids": ["578396137 # VPN", "100000973 # Pay"]}, ["578396137", "100000973"], []),
        ({"groups": ["branch-offices # Berlin", "vpn"]}, [], ["branch-offices", "vpn"]),
        ({"test_ids": ["578396137\n100000973"]}, ["578396137", "100000973"], []),
        ({"test_ids": ["578396137\t100000973"]}, ["578396137", "100000973"], []),
        ({"test_ids": ["\ufeff578396137", "100000973"]}, ["578396137", "100000973"], []),
    ],
)
def test_tests_and_groups_are_taken(
    payload: dict[str, Any], test_ids: list[str], groups: list[str]
) -> None:
    read = Parameters.read(**carried_out(AFTER_CHANGE, payload))
    assert (read.test_ids, read.groups) == (test_ids, groups)


def test_a_number_that_is_no_id_is_refused_with_its_place() -> None:
    said = "^test_ids, item 1: not a test ID"
    with pytest.raises(InvalidTestIds, match=said):
        Parameters.read(**carried_out(AFTER_CHANGE, {"test_ids": [202701.5]}))


@pytest.mark.parametrize("payload", [{}, {"test_ids": None, "groups": None}, {"test_ids": []}])
def test_without_tests_and_groups_a_run_fails_and_says_so(payload: dict[str, Any]) -> None:
    read = Parameters.read(**carried_out(AFTER_CHANGE, payload))
    assert read.groups == []
    with pytest.raises(InvalidTestIds, match=r"^no tests given"):
        select(read.test_ids, groups={}, credentials=None)


@steady(20)
@given(written())
def test_a_list_names_the_tests_that_it_names_as_a_parameter(
    drawn: tuple[list[str], list[str]],
) -> None:
    meant, pieces = drawn
    read = Parameters.read(**carried_out(AFTER_CHANGE, {"test_ids": pieces}))
    assert list(dict.fromkeys(read.test_ids)) == meant


@pytest.mark.parametrize("name", ["test_ids", "groups"])
@pytest.mark.parametrize(
    "many",
    [[str(n) for n in range(10_000)], "1 " * 10_000, ["1" * 60] * 1_000, ["a-b"] * 5_000],
    ids=["many items", "a long text", "long items", "short items"],
)
def test_too_many_are_refused_as_a_whole(name: str, many: list[str] | str) -> None:
    made = carried_out(AFTER_CHANGE, {name: many})
    assert len(str(made)) < 500
    assert refused(made)


@pytest.mark.parametrize(
    "template",
    [
        "{{ event.payload.test_ids }}",
        "  {{ event.payload.get('a') | tojson }}\n",
        "{{ event.payload\n.a }}",
        "{{ event.payload.a | string | tojson }}",
    ],
)
@pytest.mark.parametrize("wrapped", [lambda t: t, lambda t: [t], lambda t: {"a": [{"b": t}]}])
def test_a_template_that_would_let_it_is_refused(
    template: str, wrapped: Callable[[str], object], tmp_path: Path
) -> None:
    action = {
        "type": "run-deployment",
        "deployment": "rerun-endpoint-tests/after-change",
        "parameters": {"test_ids": wrapped(template)},
    }
    with pytest.raises(BootstrapError, match=r"must end in `\| string }}`"):
        read_automations(changed(tmp_path, 1, actions=[action]))


def test_without_it_an_event_would_be_carried_out() -> None:
    """Else this room would prove nothing."""
    made = carried_out({"test_ids": ["{{ event.payload.a }}"]}, {"a": JINJA})
    assert made["test_ids"] == ["49"]
    made = carried_out({"test_ids": ["{{ event.payload.a }}"]}, {"a": VARIABLE})
    assert made["test_ids"] == [SECRET]
