"""Clocks that nobody steps."""

import time

import pytest

from thousandeyes.clock import elapsed, unstepped


def test_epoch_seconds_begin_as_the_wall_clock_has_them() -> None:
    assert unstepped()() == pytest.approx(time.time(), abs=5)


def test_and_go_on_whatever_the_wall_clock_is_set_to(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, since = unstepped(), elapsed()
    before = clock()
    monkeypatch.setattr(time, "time", lambda: before + 3600)
    assert clock() - before == pytest.approx(elapsed() - since, abs=5)
