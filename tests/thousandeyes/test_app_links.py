from urllib.parse import parse_qs, urlsplit

import pytest

from thousandeyes.app_links import app_link, is_app_link
from thousandeyes.results import Kind


def test_a_link_names_account_group_kind_test_and_round() -> None:
    link = app_link("765231567", kind=Kind.HTTP_SERVER, aid="1234", round_id=1_800_000_000)
    assert link.startswith("https://app.thousandeyes.com/view/endpoint-agent?")
    assert parse_qs(urlsplit(link).query) == {
        "__a": ["1234"],
        "scenarioId": ["eyebrowHttp"],
        "testId": ["765231567"],
        "roundId": ["1800000000"],
    }


def test_a_link_leads_to_the_app_of_its_region() -> None:
    link = app_link("1", app="https://app.thousandeyes.us")
    assert link.startswith("https://app.thousandeyes.us/view/endpoint-agent?")


def test_what_is_not_known_is_left_out() -> None:
    query = parse_qs(urlsplit(app_link("1")).query)
    assert query == {"scenarioId": ["eyebrowNetworkTest"], "testId": ["1"]}


def test_nothing_told_can_change_where_it_leads() -> None:
    link = app_link("1", aid="1&testId=2#x")
    assert parse_qs(urlsplit(link).query)["testId"] == ["1"]
    assert urlsplit(link).fragment == ""


@pytest.mark.parametrize("app", ["https://app.thousandeyes.us", "http://localhost:8080"])
def test_a_link_is_known_by_its_shape(app: str) -> None:
    assert is_app_link(app_link("1", app=app, aid="2"))


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/results",
        "javascript:alert(1)//view/endpoint-agent?a=1",
        "https://a.example/x](https://b.example)/view/endpoint-agent?a=1",
        "https://user@a.example/view/endpoint-agent?a=1",
        "https://a.example/view/endpoint-agent?a=1)[x](https://b.example",
        "https://a.example/view/endpoint-agent?a=1\n",
    ],
)
def test_what_only_passes_for_a_link_is_none(text: str) -> None:
    assert not is_app_link(text)
