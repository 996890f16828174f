"""Simple ranges of what laptops measure about themselves, in words for people."""

from collections.abc import Sequence
from typing import Final

Ranges = Sequence[tuple[float, str]]
"""Each range with its end, which is not part of it. Anything outside all ranges is not a value."""


def words_of(value: float | None, ranges: Ranges) -> str:
    """Return the words of the first range that ends above the value; empty if there is none."""
    return next((words for end, words in ranges if value is not None and value < end), "")


# dBm
SIGNALS: Final[Ranges] = (
    (-200, ""),
    (-75, "with a weak Wi-Fi signal (below -75 dBm)"),
    (-60, "with a fair Wi-Fi signal (-75 to -60 dBm)"),
    (0, "with a strong Wi-Fi signal (above -60 dBm)"),
)
# Mbit/s
WIFI_RATES: Final[Ranges] = (
    (0, ""),
    (50, "with a Wi-Fi rate below 50 Mbit/s"),
    (300, "with a Wi-Fi rate of 50 to 300 Mbit/s"),
    (1e6, "with a Wi-Fi rate of 300 Mbit/s and more"),
)
# Mbit/s
LINK_SPEEDS: Final[Ranges] = (
    (0, ""),
    (100, "with a link below 100 Mbit/s"),
    (1000, "with a link of 100 to 1000 Mbit/s"),
    (1e7, "with a link of 1000 Mbit/s and more"),
)
# shares of 1
BATTERIES: Final[Ranges] = (
    (0, ""),
    (0.2, "with a battery below 20 %"),
    (0.8, "with a battery of 20 to 80 %"),
    (1.01, "with a battery of 80 % and more"),
)
# shares of 1
LOADS: Final[Ranges] = (
    (0, ""),
    (0.5, "with a CPU load below 50 %"),
    (0.9, "with a CPU load of 50 to 90 %"),
    (1.01, "with a CPU load of 90 % and more"),
)
