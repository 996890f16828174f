"""What the failing laptops have in common: planted causes are found, and chance names nothing."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thousandeyes.laptops import SSIDS, Fails, a_run, on
from tests.thousandeyes.steady import steady
from thousandeyes.causes import Shared
from thousandeyes.laptop import UNTOLD, Attribute, Fact, Laptop
from thousandeyes.shared import LARGEST_CHANCE, in_common
from thousandeyes.verdict import Sighting

GUEST = on("Guest-7F")
WIFI, CABLE = Fact(Attribute.INTERFACE, "on Wi-Fi"), Fact(Attribute.INTERFACE, "on cable")
SEEDS = range(100)


def group(name: str, failed: int, laptops: int, *facts: Fact) -> list[Sighting]:
    laptop = Laptop(tuple(facts))
    return [Sighting(f"{name}-{n}", n < failed, laptop) for n in range(laptops)]


def named(shared: Shared) -> list[Fact]:
    return [cause.fact for cause in shared.causes]


def has(fact: Fact, in_tests: Sequence[str] | None = None) -> Fails:
    return lambda test, laptop: (in_tests is None or test in in_tests) and fact in laptop.facts


class TestTheScene:
    """One Wi-Fi of six, 12 tests, 200 laptops, and 3 % that fail by chance."""

    def test_the_planted_network_and_nothing_else_is_named_for_99_of_100_seeds(self) -> None:
        found = [named(in_common(a_run(seed, fails=has(GUEST)))) for seed in SEEDS]
        assert sum(each == [GUEST] for each in found) >= 99

    def test_with_noise_alone_at_most_5_of_100_seeds_name_anything(self) -> None:
        found = [named(in_common(a_run(seed))) for seed in SEEDS]
        assert sum(bool(each) for each in found) <= 5

    @pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
    def test_more_noise_names_no_more(self, noise: float) -> None:
        found = [named(in_common(a_run(seed, noise=noise, tests=3))) for seed in SEEDS]
        assert sum(bool(each) for each in found) <= 3

    def test_a_network_that_keeps_from_one_service_of_twelve_is_named(self) -> None:
        fails = has(GUEST, in_tests=["7"])
        found = [in_common(a_run(seed, fails=fails)) for seed in range(20)]
        assert [named(each) for each in found] == 20 * [[GUEST]]
        assert not any(each.causes[0].mostly for each in found)
        assert "as failed if it failed in any of its tests" in found[0].sentence()

    def test_a_broken_service_takes_nothing_from_a_cause(self) -> None:
        def fails(test: str, laptop: Laptop) -> bool:
            return test == "3" or GUEST in laptop.facts

        found = [in_common(a_run(seed, fails=fails)) for seed in range(20)]
        assert [named(each) for each in found] == 20 * [[GUEST]]
        assert found[0].tests_all_failed == 1
        assert "A test in which every laptop failed says nothing" in found[0].sentence()

    def test_two_causes_are_both_named_the_stronger_first(self) -> None:
        gateway = Fact(Attribute.VPN_GATEWAY, "with VPN gateway a")

        def fails(_test: str, laptop: Laptop) -> bool:
            return GUEST in laptop.facts or gateway in laptop.facts

        for seed in range(20):
            assert set(named(in_common(a_run(seed, fails=fails)))) == {GUEST, gateway}

    def test_an_access_point_is_named_and_not_its_network(self) -> None:
        point = Fact(Attribute.BSSID, "at access point 5-2")
        runs = [a_run(seed, laptops=400, tests=6, fails=has(point)) for seed in range(20)]
        assert [named(in_common(run)) for run in runs] == 20 * [[point]]


def test_it_is_said_in_plain_words() -> None:
    test = group("guest", 9, 10, GUEST, WIFI) + group("other", 2, 143, on("Lab"), WIFI)
    shared = in_common([test])
    assert shared.sentence() == (
        "9 of the 10 laptops on Wi-Fi Guest-7F failed, 2 of 143 elsewhere."
    )
    assert shared.sentence(with_names=False) == (
        "9 of the 10 laptops on one Wi-Fi network failed, 2 of 143 elsewhere."
    )
    assert (shared.laptops, shared.failed) == (153, 11)
    assert shared.causes[0].chance < LARGEST_CHANCE


def test_where_nothing_separates_them_that_is_said() -> None:
    test = group("guest", 1, 10, GUEST) + group("other", 12, 143, on("Lab"))
    assert in_common([test]).sentence() == (
        "Nothing that the laptops report differs between the 13 that failed and the 140 that "
        "passed by more than chance would explain."
    )


def test_laptops_that_tell_nothing_have_nothing_in_common() -> None:
    assert "Nothing that the laptops report differs" in in_common([group("a", 9, 20)]).sentence()


@pytest.mark.parametrize("tests", [[], [[]], [group("a", 0, 20, GUEST)]])
def test_where_no_laptop_failed_nothing_is_said(tests: list[list[Sighting]]) -> None:
    assert in_common(tests).sentence() == ""


def test_where_every_laptop_failed_that_is_said() -> None:
    assert in_common([group("a", 9, 9, GUEST)]).sentence() == (
        "Every laptop failed, which says nothing about what the failing ones share."
    )


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        (1, "In one test every laptop failed: check the service or the path there"),
        (2, "In 2 tests every laptop failed: check the services or the path there"),
    ],
)
def test_where_every_laptop_failed_in_some_tests_alone_these_are_what_to_look_at(
    tests: int, words: str
) -> None:
    down, fine = group("a", 9, 9, GUEST), group("a", 0, 9, GUEST)
    told = in_common([*[down] * tests, fine, fine]).sentence()
    assert told == f"{words}, not single laptops."


def test_one_broken_laptop_does_not_pass_for_many() -> None:
    point = Fact(Attribute.BSSID, "at access point 1")
    test = group("broken", 1, 3, point) + group("other", 0, 30)
    assert named(in_common(12 * [test])) == []


def test_a_broken_service_is_no_fault_of_the_site_that_alone_uses_it() -> None:
    site, elsewhere = (Fact(Attribute.PUBLIC_RANGE, f"from {name}") for name in "ab")
    broken = group("site", 24, 25, site)
    fine = group("elsewhere", 0, 25, elsewhere)
    assert named(in_common([broken, fine])) == []
    # Where both use it, and one fails, it is the site.
    assert named(in_common([[*broken, *fine]])) == [site]


def test_a_service_that_hardly_anybody_reaches_is_no_fault_of_those_that_use_it() -> None:
    site, elsewhere = (Fact(Attribute.PUBLIC_RANGE, f"from {name}") for name in "ab")
    broken = group("site", 24, 25, site) + group("elsewhere", 4, 5, elsewhere)
    assert named(in_common([broken, group("more", 0, 60, elsewhere)])) == []


def test_laptops_that_take_part_in_more_tests_are_not_blamed_for_failing_more_often() -> None:
    for seed in range(50):
        rng = random.Random(seed)
        busy, quiet = (Fact(Attribute.PUBLIC_RANGE, f"from {name}") for name in "ab")

        def by_chance(name: str, fact: Fact, rng: random.Random = rng) -> list[Sighting]:
            laptop = Laptop((fact,))
            return [Sighting(f"{name}-{n}", rng.random() < 0.03, laptop) for n in range(50)]

        run = [by_chance("busy", busy) for _ in range(30)]
        run[0] = run[0] + by_chance("quiet", quiet)
        assert named(in_common(run)) == []


def test_a_difference_that_is_certain_and_small_is_not_told() -> None:
    test = group("guest", 400, 5000, GUEST) + group("other", 100, 5000, on("Lab"))
    assert named(in_common([test])) == []


def test_of_two_facts_about_the_same_laptops_the_network_is_told() -> None:
    gateway = Fact(Attribute.GATEWAY, "behind gateway 10.7.0.1")
    test = group("guest", 9, 10, gateway, GUEST) + group("other", 2, 143)
    assert named(in_common([test])) == [GUEST]


def test_what_holds_for_all_wireless_laptops_is_told_as_that() -> None:
    test = [
        *group("guest", 10, 10, GUEST, WIFI),
        *group("lab", 10, 10, on("Lab"), WIFI),
        *group("desk", 0, 10, CABLE),
    ]
    assert named(in_common([test])) == [WIFI]
    assert in_common([test]).sentence() == ("All 20 laptops on Wi-Fi failed, none of 10 elsewhere.")


def test_a_laptop_that_moved_belongs_to_both_places() -> None:
    home = on("Home")
    before = group("moved", 0, 8, home) + group("other", 0, 60, home)
    after = group("moved", 8, 8, GUEST) + group("other", 0, 60, home)
    for tests in ([before, after], [after, before]):
        assert named(in_common(tests)) == [GUEST]


facts = st.sampled_from(
    [*map(on, SSIDS), WIFI, CABLE, *(Fact(Attribute.GATEWAY, f"behind {n}") for n in range(4))]
)
sightings = st.lists(
    st.builds(
        Sighting,
        st.integers(0, 30).map("laptop-{}".format),
        st.booleans(),
        st.lists(facts, max_size=4, unique=True).map(sorted).map(tuple).map(Laptop)
        | st.just(UNTOLD),
    ),
    max_size=31,
    unique_by=lambda sighting: sighting.agent_id,
)


@given(st.lists(sightings, max_size=5), st.randoms(use_true_random=False))
@steady(100)
def test_whatever_comes_is_told_the_same_in_any_order(
    tests: list[list[Sighting]], rng: random.Random
) -> None:
    shared = in_common(tests)
    shuffled = [rng.sample(test, len(test)) for test in rng.sample(tests, len(tests))]
    assert in_common(shuffled) == shared
    agents = {sighting.agent_id for test in tests for sighting in test}
    assert shared.laptops <= len(agents)
    for cause in shared.causes:
        assert cause.chance <= LARGEST_CHANCE
        assert 3 <= cause.failed <= cause.laptops
        assert 0 <= cause.failed_elsewhere <= cause.elsewhere
        assert cause.laptops + cause.elsewhere <= shared.laptops
        assert cause.failed / cause.laptops > cause.failed_elsewhere / cause.elsewhere
    for text in (shared.sentence(), shared.sentence(with_names=False)):
        assert bool(text) == any(sighting.failed for test in tests for sighting in test)
        assert text == "" or (text[0] == text[0].upper() and text.endswith("."))


@given(
    ssid=st.sampled_from(SSIDS),
    seed=st.integers(0, 10_000),
    laptops=st.integers(100, 300),
    tests=st.integers(1, 6),
    noise=st.sampled_from([0.0, 0.02, 0.05]),
)
@steady(40)
def test_a_planted_network_stands_first(
    ssid: str, seed: int, laptops: int, tests: int, noise: float
) -> None:
    run = a_run(seed, laptops=laptops, tests=tests, noise=noise, fails=has(on(ssid)))
    shared = in_common(run)
    assert named(shared)[:1] == [on(ssid)]
    assert shared.causes[0].failed == shared.causes[0].laptops
    assert f"laptops on Wi-Fi {ssid} failed" in shared.sentence()
    assert ssid not in shared.sentence(with_names=False)
