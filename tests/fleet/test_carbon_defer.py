"""Work that waits for the cleanest hours before its deadline: never past it, never below the floor, never above the most."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.carbon.ceiling import Ceiling
from fleet.carbon.defer import deferred, plan
from fleet.carbon.replay import effect

HOURS = st.lists(st.floats(1, 1000), min_size=1, max_size=72)


@st.composite
def loads(draw: st.DrawFn) -> tuple[float, int, int]:
    """Work an hour, the fewest replicas and the most."""
    most = draw(st.integers(1, 8))
    return draw(st.floats(0, most)), draw(st.integers(0, most)), most


@given(HOURS, loads(), st.integers(0, 24))
def test_bounds_hold_whatever_the_grid_does(forecast: list[float], load: tuple[float, int, int], deadline: int) -> None:
    arriving, least, most = load
    moved = plan(forecast, arriving, least, most, deadline)
    for one in moved:
        assert 0 <= one.done - one.came <= deadline, "never before it came, never past the deadline"
    for hour in range(len(forecast) + deadline):
        done = sum(m.work for m in moved if m.done == hour)
        assert done <= most + 1e-6
        if hour < len(forecast):
            assert done >= min(least, arriving) - 1e-6, "the floor's replicas never stand idle while there is work"
            assert sum(m.work for m in moved if m.came == hour) == pytest.approx(arriving, abs=1e-6), "no work is lost"


@given(HOURS, loads())
def test_without_time_to_wait_nothing_is_saved(intensities: list[float], load: tuple[float, int, int]) -> None:
    arriving, least, most = load
    made = deferred(intensities, arriving, least, most, 1.0, 0)
    assert made.kg_saved == pytest.approx(0, abs=1e-6)
    assert made.delayed_replica_hours == 0


@given(st.floats(1, 1000), loads(), st.integers(0, 24), st.integers(1, 48))
def test_on_a_grid_that_never_changes_nothing_waits(level: float, load: tuple[float, int, int], deadline: int, n: int) -> None:
    arriving, least, most = load
    assert deferred([level] * n, arriving, least, most, 1.0, deadline).kg_saved == pytest.approx(0, abs=1e-6)


def test_work_goes_to_the_cleanest_hour_that_it_can_wait_for() -> None:
    moved = plan([400, 300, 100, 200], arriving=1, least=0, most=2, deadline_h=2)
    assert [(m.came, m.done) for m in moved] == [(0, 2), (1, 2), (2, 3), (3, 3)]
    made = deferred([400, 300, 100, 200], 1, 0, 2, 1.0, 2)
    assert made.kg_plain == pytest.approx(1.0)
    assert made.kg_flexible == pytest.approx((100 + 100 + 200 + 200) / 1000)
    assert (made.delayed_replica_hours, made.longest_h, made.left_replica_hours) == (3, 2, 0)


def test_the_floor_works_on_through_a_dirty_hour() -> None:
    moved = plan([500, 100], arriving=2, least=1, most=4, deadline_h=1)
    assert [(m.came, m.done, m.work) for m in moved if m.came == 0] == [(0, 0, 1.0), (0, 1, 1.0)]


def week() -> list[float]:
    """A grid with a sun: 450 at night, 150 at noon."""
    return [300 + 150 * math.cos(2 * math.pi * hour / 24) for hour in range(168)]


def test_a_week_with_a_sun_saves_by_a_deadline_more_than_by_thresholds() -> None:
    by_deadline = deferred(week(), 1.6, 1, 4, 1.0, 24)
    by_threshold = effect(week(), Ceiling(150, 400, 1, 4), 0.4, 1.0)
    assert by_deadline.kg_plain == pytest.approx(by_threshold.kg_plain)
    assert by_deadline.kg_saved > by_threshold.kg_saved > 0
    assert by_deadline.longest_h <= 24


def test_a_forecast_that_was_wrong_is_paid_for() -> None:
    right = deferred(week(), 1.6, 1, 4, 1.0, 24)
    wrong = deferred(week(), 1.6, 1, 4, 1.0, 24, forecast=week()[12:] + week()[:12])
    assert wrong.kg_saved < 0 < right.kg_saved


@pytest.mark.parametrize(("forecast", "arriving"), [([], 1.0), ([100.0], 4.5), ([100.0], -1.0)])
def test_more_work_than_all_replicas_do_is_no_plan(forecast: list[float], arriving: float) -> None:
    with pytest.raises(ValueError, match="replicas do 4 at most"):
        plan(forecast, arriving, 1, 4, 6)
    with pytest.raises(ValueError, match="a forecast of 1 hours, for 2"):
        deferred([1, 2], 1, 1, 4, 1.0, 6, [1])
