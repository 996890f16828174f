"""Where a path is said to end, and where loss or delay is said to begin."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thousandeyes.steady import steady
from thousandeyes.path_words import SUDDEN_MS, words
from thousandeyes.paths import Hop, Path, Trace

GATEWAY, VPN, TARGET = "10.20.0.1", "192.0.2.11", "203.0.113.9"
ADDRESSES = [GATEWAY, "198.51.100.7", VPN, "192.0.2.131", TARGET]


def trace(*times: float | None, length: int = 0) -> Trace:
    """Return a trace along `ADDRESSES` in these times; None: no answer."""
    hops = [
        Hop(number, ADDRESSES[number - 1], time) for number, time in enumerate(times, 1) if time
    ]
    return Trace(tuple(hops), max(length, len(times)))


def path(*traces: Trace, **known: object) -> Path:
    usual = Path(traces, target=TARGET, gateway=GATEWAY, vpn_gateway=VPN)
    return replace(usual, **known)  # type: ignore[arg-type]


WHOLE = trace(3, 9, 12, 20, 23)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (path(WHOLE), "reaches the target at hop 5 in 23 ms, without loss or a sudden delay"),
        (
            path(WHOLE, target=""),
            ("answers up to its last hop 5 (203.0.113.9) in 23 ms, without loss or a sudden delay; "
            "whether that is the target is not known"),
        ),
        (
            path(trace(3, length=9)),
            "ends after hop 1 of 9 (10.20.0.1, the gateway): nothing beyond it answered",
        ),
        (
            path(trace(3, None, 12)),
            "ends after hop 3 (192.0.2.11, the VPN gateway): nothing beyond it answered",
        ),
        (
            path(trace(3, 9, length=5), target=""),
            "ends after hop 2 of 5 (198.51.100.7): nothing beyond it answered",
        ),
        (path(trace(length=5)), "ends before the first hop: nothing answered"),
        (
            path(trace(3, length=5), vpn_traces=(trace(3, length=3),)),
            "ends after hop 1 of 5 (10.20.0.1, the gateway): nothing beyond it answered",
        ),
        (
            path(trace(length=5), vpn_traces=(trace(3, length=3),)),
            ("to its VPN gateway ends after hop 1 of 3 (10.20.0.1, the gateway): nothing beyond it "
            "answered"),
        ),
        (
            path(trace(3, 9, 12, length=5), vpn_traces=(trace(3, 9, 12),)),
            "ends after hop 3 of 5 (192.0.2.11, the VPN gateway): nothing beyond it answered",
        ),
        (
            path(*[WHOLE] * 6, *[trace(3, 9, length=5)] * 3, trace(3, 9, 12, length=5)),
            ("loses packets: loss begins after hop 2 of 5 (198.51.100.7), 4 of 10 traces end on "
            "the way"),
        ),
        (
            path(WHOLE, trace(length=5)),
            "loses packets: loss begins before the first hop, 1 of 2 traces end on the way",
        ),
        (
            path(trace(3, 280, 285, 281, 290)),
            "is slow: delay begins at hop 2 (198.51.100.7), 3 ms before, 280 ms from there",
        ),
        (
            path(trace(250, 260, 255, 270, 300)),
            "is slow: delay begins at hop 1 (10.20.0.1, the gateway), 250 ms from there",
        ),
        (
            path(trace(3, None, 12, 20, 320), trace(3, 9, length=5)),
            ("loses packets: loss begins after hop 2 of 5 (198.51.100.7), 1 of 2 traces end on "
            "the way, and is slow: delay begins at hop 5 (203.0.113.9, the target), 20 ms before, "
            "320 ms from there"),
        ),
        (
            path(trace(3, 900, 12, 20, 23)),
            "reaches the target at hop 5 in 23 ms, without loss or a sudden delay",
        ),
    ],
)  # fmt: skip
def test_one_sentence_says_where_it_ends_or_where_loss_or_delay_begins(
    found: Path, said: str
) -> None:
    assert words(found) == said


def test_a_vpn_gateway_that_answers_nobody_is_not_to_blame_for_a_path_that_gets_through() -> None:
    assert words(path(WHOLE, vpn_traces=(trace(3, length=3),))).startswith("reaches the target")


times = st.floats(0, 1_000, allow_nan=False)
hops = st.lists(st.none() | times, min_size=1, max_size=8)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    told = draw(hops)
    found = [Hop(number, f"192.0.2.{number}", time) for number, time in enumerate(told, 1) if time]
    return Trace(tuple(found), len(told))


paths = st.builds(
    Path,
    st.lists(traces(), min_size=1, max_size=4).map(tuple),
    target=st.sampled_from(["", TARGET, *(f"192.0.2.{number}" for number in range(1, 9))]),
    gateway=st.just("192.0.2.1"),
    vpn_gateway=st.sampled_from(["", "192.0.2.4"]),
    vpn_traces=st.lists(traces(), max_size=2).map(tuple),
)


@given(paths)
@steady(150)
def test_a_hop_that_is_named_has_answered(found: Path) -> None:
    answered = {
        (hop.number, hop.address)
        for trace in (*found.traces, *found.vpn_traces)
        for hop in trace.hops
    }
    named = re.findall(r"hop (\d+)(?: of \d+)? \(([\d.]+)", words(found))
    assert {(int(number), address) for number, address in named} <= answered


@given(paths)
@steady(100)
def test_without_addresses_none_is_told_and_the_hops_are_the_same(found: Path) -> None:
    without, full = words(found, with_addresses=False), words(found)
    assert not re.search(r"\d+\.\d+\.\d+", without)
    assert re.findall(r"hop \d+", without) == re.findall(r"hop \d+", full)


@given(st.lists(st.floats(0, SUDDEN_MS - 1), min_size=1, max_size=40))
@steady(300)
def test_response_times_that_rise_gradually_name_nothing(rises: list[float]) -> None:
    total, found = 0.0, []
    for number, rise in enumerate(rises, 1):
        total += rise
        found.append(Hop(number, f"192.0.2.{number}", total))
    whole = Path((Trace(tuple(found), len(found)),), target=found[-1].address)
    assert words(whole).startswith(f"reaches the target at hop {len(rises)} in ")
    assert words(whole).endswith(" ms, without loss or a sudden delay")


@given(
    near=st.lists(st.floats(1, 20), min_size=1, max_size=10),
    far=st.lists(st.floats(250, 900), min_size=1, max_size=10),
    late=st.dictionaries(st.integers(0, 9), st.floats(1_000, 9_000)),
)
@steady(300)
def test_a_delay_is_found_where_it_begins_whatever_some_routers_take_to_answer(
    near: list[float], far: list[float], late: dict[int, float]
) -> None:
    told = [late.get(place, time) for place, time in enumerate(near[:-1])] + [near[-1], *far]
    found = [Hop(number, f"192.0.2.{number}", time) for number, time in enumerate(told, 1)]
    slow = Path((Trace(tuple(found), len(found)),), target=found[-1].address)
    at = words(slow)
    # Behind the first slow hop the least may rise again, and by more.
    [number] = re.findall(r"delay begins at hop (\d+)", at)
    assert int(number) > len(near)


@given(paths.filter(lambda found: len(found.traces) > 1))
@steady(300)
def test_loss_is_told_if_and_only_if_some_traces_get_to_the_target_and_some_do_not(
    found: Path,
) -> None:
    def arrives(trace: Trace) -> bool:
        if found.target:
            return found.target in [hop.address for hop in trace.hops]
        return bool(trace.hops) and trace.hops[-1].number == trace.length

    arrived = {arrives(trace) for trace in found.traces}
    assert ("loss begins" in words(found)) is (arrived == {True, False})
    assert ("ends " in words(found)) is (arrived == {False})
