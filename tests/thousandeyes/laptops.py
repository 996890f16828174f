"""Made-up laptops, and what becomes of them in made-up tests, with a cause or without."""

import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from thousandeyes.laptop import Attribute, Fact, Laptop
from thousandeyes.verdict import Sighting

SSIDS = ["Office-1F", "Office-2F", "Office-3F", "Lab", "Warehouse", "Guest-7F"]
Fails = Callable[[str, Laptop], bool]


def on(ssid: str) -> Fact:
    return Fact(Attribute.SSID, f"on Wi-Fi {ssid}")


def a_laptop(rng: random.Random) -> dict[Attribute, str]:
    """Return what stays the same about a laptop, as an office with six networks has them."""
    ssid = rng.choice(SSIDS)
    place = SSIDS.index(ssid)
    vpn = rng.choice(["a", "b", "c", None])
    return {
        Attribute.SSID: f"on Wi-Fi {ssid}",
        Attribute.BSSID: f"at access point {place}-{rng.randrange(4)}",
        Attribute.VPN_GATEWAY: f"with VPN gateway {vpn}" if vpn else "",
        Attribute.VPN: "with VPN cisco-anyconnect" if vpn else "without a VPN",
        Attribute.DNS_SERVER: f"with DNS server {rng.choice('xyz')}",
        Attribute.GATEWAY: f"behind gateway {place}",
        Attribute.PUBLIC_RANGE: f"from range {place // 2}",
        Attribute.SIGNAL: f"with a {rng.choice(['weak', 'fair', 'strong'])} Wi-Fi signal",
        Attribute.PLATFORM: f"on {rng.choice(['windows', 'windows', 'mac'])}",
        Attribute.BATTERY: f"with a battery of {rng.choice(['little', 'some', 'much'])}",
    }


def as_told(facts: Mapping[Attribute, str]) -> list[Laptop]:
    """Return what a laptop may tell with a row: its load is another each time."""
    same = tuple(Fact(attribute, words) for attribute, words in facts.items() if words)
    loads = (Fact(Attribute.CPU, f"with a CPU load of {load} %") for load in ("50", "70", "90"))
    return [Laptop((*same, load)) for load in loads]


@cache
def an_office(seed: int, laptops: int) -> dict[str, list[Laptop]]:
    """Return what each laptop of an office may tell; the same office is asked for many times."""
    rng = random.Random(seed)
    return {f"laptop-{number}": as_told(a_laptop(rng)) for number in range(laptops)}


def a_run(
    seed: int,
    *,
    laptops: int = 200,
    tests: int = 12,
    noise: float = 0.03,
    fails: Fails = lambda _test, _laptop: False,
) -> list[Sequence[Sighting]]:
    """Return what each laptop did in each test: it fails by chance, and where `fails` says so."""
    chance, office = random.Random(f"the run of {seed}").random, an_office(seed, laptops)
    run: list[Sequence[Sighting]] = []
    for test in map(str, range(tests)):
        sightings = []
        for agent, told in office.items():
            laptop = told[int(chance() * len(told))]
            failed = chance() < noise or fails(test, laptop)
            sightings.append(Sighting(agent, failed, laptop))
        run.append(sightings)
    return run
