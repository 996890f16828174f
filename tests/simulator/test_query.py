from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.datastructures import QueryParams

from thousandeyes.simulator.query import (
    HttpSearch,
    NetworkSearch,
    TimeFrame,
    parse_search,
    time_frame,
)
from thousandeyes.simulator.replies import InvalidFieldsError

NOW = 1_800_000_000.0
DAY_START = "2027-01-14T00:00:00Z"


@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        ("window=300", NOW - 300, NOW),
        ("window=300s", NOW - 300, NOW),
        ("window=12h", NOW - 43_200, NOW),
        ("window=2w", NOW - 1_209_600, NOW),
        (f"window={'9' * 5000}w", 0, NOW),
        (f"startDate={DAY_START}", 1_799_884_800, NOW),
        (f"startDate={DAY_START}&endDate=2027-01-14T01:00:00", 1_799_884_800, 1_799_888_400),
        ("startDate=2027-01-14T01:00:00%2B01:00", 1_799_884_800, NOW),
    ],
)
def test_a_time_frame_is_a_window_or_two_dates(query: str, start: float, end: float) -> None:
    assert time_frame(QueryParams(query), NOW) == TimeFrame(start, end, is_told=True)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (f"window=1h&startDate={DAY_START}", "window"),
        (f"window=1h&endDate={DAY_START}", "window"),
        (f"endDate={DAY_START}", "endDate"),
        ("window=1.5h", "window"),
        ("window=", "window"),
        ("window=1y", "window"),
        ("startDate=yesterday", "startDate"),
        (f"startDate={DAY_START}&endDate=", "endDate"),
    ],
)
def test_a_wrong_time_frame_is_refused_by_its_field(query: str, field: str) -> None:
    with pytest.raises(InvalidFieldsError) as error:
        time_frame(QueryParams(query), NOW)
    assert [e["field"] for e in error.value.errors] == [field]


def test_dates_of_old_years_are_told_with_four_digits() -> None:
    frame = TimeFrame(-57_000_000_000, 0, is_told=True)
    assert frame.as_fields() == {
        "startDate": "0163-09-28T18:40:00Z",
        "endDate": "1970-01-01T00:00:00Z",
    }


ROWS: list[dict[str, Any]] = [
    {"roundId": 60, "avgLatency": 30.0, "loss": 0.0},
    {"roundId": 60, "avgLatency": 10.0, "loss": 10.0},
    {"roundId": 120, "avgLatency": 20.0, "loss": 0.0},
    {"roundId": 120, "isIcmpBlocked": True},
]


@pytest.mark.parametrize(
    ("body", "order"),
    [
        (b"", [0, 1, 2, 3]),
        (b'{"searchSort": [{"sort": "latency", "order": "asc"}]}', [1, 2, 0, 3]),
        (b'{"searchSort": [{"sort": "latency", "order": "desc"}]}', [0, 2, 1, 3]),
        (
            b'{"searchSort": [{"sort": "round-id", "order": "desc"}, {"sort": "latency"}]}',
            [2, 3, 1, 0],
        ),
        (
            b'{"thresholdFilter": {"filters": [{"name": "loss", "operator": "gte", "value": 5}]}}',
            [1],
        ),
        (
            b"""{"thresholdFilter": {"conditionalOperator": "or", "filters": [
                {"name": "loss", "operator": "gte", "value": 5},
                {"name": "latency", "operator": "gte", "value": 25}]}}""",
            [0, 1],
        ),
        (
            b"""{"thresholdFilter": {"filters": [
                {"name": "loss", "operator": "lte", "value": 5},
                {"name": "latency", "operator": "lte", "value": 25}]}}""",
            [2],
        ),
    ],
)
def test_a_search_sorts_and_keeps_the_rows_within_its_thresholds(
    body: bytes, order: list[int]
) -> None:
    assert parse_search(NetworkSearch, body).apply(ROWS) == [ROWS[index] for index in order]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"searchSort": [{"sort": "loss"}]}', "searchSort.0.sort"),
        (b'{"searchSort": [{"sort": "dns-time", "order": "up"}]}', "searchSort.0.order"),
        (b'{"searchFilters": {"agentId": ["me"]}}', "searchFilters.agentId.0"),
        (b'{"searchFilters": null}', "searchFilters"),
        (b"{", ""),
    ],
)
def test_a_wrong_search_is_refused_by_its_field(body: bytes, field: str) -> None:
    with pytest.raises(InvalidFieldsError) as error:
        parse_search(HttpSearch, body)
    assert [e["field"] for e in error.value.errors] == [field]


@pytest.mark.parametrize("path", ["network/filter", "http-server/filter"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        (f"window=1h&startDate={DAY_START}", "window"),
        ("expand=everything", "expand"),
        ("useAllPermittedAids=maybe", "useAllPermittedAids"),
    ],
)
async def test_a_wrong_query_is_answered_with_400(
    make: Callable[..., Starlette],
    connect: Callable[[Starlette], httpx.AsyncClient],
    path: str,
    query: str,
    field: str,
) -> None:
    url = f"/endpoint/test-results/scheduled-tests/{path}?{query}"
    reply = await connect(make()).post(url)
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["field"] == field
