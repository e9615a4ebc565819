"""Work put off to the cleanest window before its deadline: against brute force, by forecasts that change, and in a replay."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.carbon.ceiling import Ceiling, Deadline
from fleet.carbon.defer import deferred, work_hours
from fleet.carbon.deferrals import Rule
from fleet.carbon.replay import effect
from fleet.carbon.window import Deferral, Forecast, cleanest, every

LEVELS = st.integers(0, 900).map(float)
FORECASTS = st.lists(LEVELS, min_size=1, max_size=12)
HOURS = st.lists(st.floats(1, 1000), min_size=1, max_size=96)


def brute_force(figures: list[float], step: int, first: int, now: int, latest: int, length: int) -> tuple[float, int] | None:
    """The least mean, and its earliest start, over all whole starts and unit by unit."""
    end = first + step * len(figures)

    def at(moment: int) -> float:
        return figures[max(0, (moment - first) // step)]

    windows = [
        (round(sum(at(moment) for moment in range(start, start + length)) / length, 3), start)
        for start in range(now, latest + 1)
        if start + length <= end
    ]
    return min(windows, default=None)


@given(FORECASTS, st.integers(1, 5), st.integers(-4, 6), st.integers(0, 30), st.integers(0, 40), st.integers(1, 20))
def test_the_cleanest_window_is_brute_forces(
    figures: list[float], step: int, first: int, now: int, more: int, length: int
) -> None:
    latest = now + more
    expected = brute_force(figures, step, first, now, latest, length)
    forecast = every(step, figures, first)
    found = cleanest(forecast, now, latest, length)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert now <= found <= latest
        assert (round(forecast.mean(found, length), 3), found) == (pytest.approx(expected[0], abs=2e-3), expected[1])


def test_of_two_windows_as_clean_the_earlier() -> None:
    assert cleanest(every(1, [0.1] * 9, 0), 0, 6, 3) == 0
    assert cleanest(every(1, [5, 1, 5, 1], 0), 0, 3, 1) == 1


@st.composite
def looks(draw: st.DrawFn) -> tuple[float, float, list[tuple[float, Forecast | None]]]:
    """A deadline, its work, and looks at ever other forecasts, or none."""
    deadline = draw(st.integers(2, 30))
    work = draw(st.integers(1, deadline - 1))
    moments, now = [], 0.0
    for pause in draw(st.lists(st.floats(0.01, 1), min_size=1, max_size=80)):
        now += pause
        figures = draw(st.one_of(st.none(), FORECASTS))
        moments.append((now, None if figures is None else every(draw(st.integers(1, 5)), figures, now - 1)))
    return deadline, work, moments


@given(looks())
def test_no_hold_outlasts_the_deadline_and_none_begins_before_the_work_had_its_time(
    given: tuple[float, float, list[tuple[float, Forecast | None]]],
) -> None:
    deadline, work, moments = given
    memory = Deferral(deadline, work, now=0.0)
    held_from: float | None = None
    free_from = 0.0
    for now, forecast in moments:
        if memory.deferred(now, forecast):
            assert forecast is not None, "without a forecast work runs"
            if held_from is None:
                assert now - free_from >= work, "what gathered had its time"
                held_from = now
            assert now - held_from < deadline - work, "and has it again before the deadline"
            assert now < memory.window <= held_from + deadline - work
        elif held_from is not None:
            held_from, free_from = None, now


@given(FORECASTS.filter(lambda f: len(f) > 3), st.integers(2, 12))
def test_a_forecast_that_stands_is_followed_to_its_cleanest_window(figures: list[float], deadline: int) -> None:
    forecast, memory = every(1, figures, 1), Deferral(deadline, 1, now=0)
    expected = cleanest(forecast, 1, deadline, 1)
    free = next(now for now in range(1, deadline + 1) if not memory.deferred(now, forecast))
    assert free == (1 if expected is None else expected)


def test_a_window_lasts_whatever_is_said_later() -> None:
    memory = Deferral(10, 3, now=0)
    better = every(1, [9.0] * 8 + [1.0] * 4, 3)
    assert not memory.deferred(2, better), "one that begins has forgotten, and lets work go first"
    assert memory.deferred(3, every(1, [9.0] * 2 + [1.0] * 8, 3))
    assert not memory.deferred(5, every(1, [1.0] * 3 + [9.0] * 8, 5)), "the window is there"
    assert not memory.deferred(7, every(1, [9.0] * 2 + [1.0] * 8, 7)), "and lasts"
    assert memory.deferred(8, every(1, [9.0] * 2 + [1.0] * 8, 8))


def test_always_cleaner_ahead_is_no_reason_to_wait_for_ever() -> None:
    memory = Deferral(10, 2, now=0)
    held = [memory.deferred(now, every(1, [500.0 - i for i in range(48)], now)) for now in range(40)]
    assert held == ([False] * 2 + [True] * 8) * 4


@given(st.integers(0, 5), st.integers(1, 5), st.floats(0, 1).map(round), st.integers(0, 400))
def test_the_formula_is_the_floor_while_work_is_put_off(least: int, more: int, off: int, waiting: int) -> None:
    bounds = Deadline(Rule(24, 4), least, least + more)
    text = bounds.formula(5).replace("deferred ?? 0.0", "(deferred or 0.0)")
    text = text.replace("waiting ?? (5 * max(1.0, there))", "waiting")
    for told, ceiling in ((off, least if off else least + more), (None, least + more)):
        value = eval(text, {"min": min, "max": max, "deferred": told, "waiting": waiting})
        assert math.ceil(value / 5) == min(math.ceil(waiting / 5), ceiling)


# A replay, by the same rule


@st.composite
def loads(draw: st.DrawFn) -> tuple[float, int, int]:
    """Part of all replicas that work keeps busy, the fewest replicas and the most."""
    most = draw(st.integers(1, 8))
    return draw(st.floats(0, 1)), draw(st.integers(0, most)), most


@given(HOURS, loads(), st.integers(2, 48))
def test_bounds_hold_whatever_the_grid_does(hours: list[float], load: tuple[float, int, int], deadline: int) -> None:
    busy, least, most = load
    work = work_hours(busy, least, most, deadline)
    made = deferred(hours, busy, least, most, 1.0, deadline, work)
    if (busy * most - least) * deadline <= (most - least) * work + 1e-9:
        assert made.longest_h <= deadline
    flat = deferred([1000.0] * len(hours), busy, least, most, 1.0, deadline, work, hours)
    assert flat.kg_saved == pytest.approx(0, abs=1e-6), "no work is lost"
    if busy * most <= least:
        assert made.delayed_replica_hours == pytest.approx(0, abs=1e-6), "the floor's replicas never stand idle"


@given(st.floats(1, 1000), loads(), st.integers(2, 24), st.integers(1, 48))
def test_on_a_grid_that_never_changes_nothing_waits(level: float, load: tuple[float, int, int], deadline: int, n: int) -> None:
    busy, least, most = load
    made = deferred([level] * n, busy, least, most, 1.0, deadline, work_hours(busy, least, most, deadline))
    assert made.hours_held == 0
    assert made.kg_saved == pytest.approx(0, abs=1e-6)


def test_work_goes_to_the_cleanest_hour_that_it_can_wait_for() -> None:
    # The first hour is one that it does not hold, having just begun; then 400 waits for 100, and 300 for 50.
    made = deferred([400, 400, 100, 300, 50, 60], 0.4, 0, 5, 1.0, deadline_h=3, work_h=1)
    assert made.kg_plain == pytest.approx(2 * 1.31)
    assert made.kg_flexible == pytest.approx((2 * 400 + 4 * 100 + 4 * 50 + 2 * 60) / 1000)
    assert (made.hours_held, made.delayed_replica_hours, made.longest_h, made.left_replica_hours) == (2, 4, 1, 0)


def week() -> list[float]:
    """A grid with a sun: 450 at night, 150 at noon."""
    return [300 + 150 * math.cos(2 * math.pi * hour / 24) for hour in range(168)]


def test_a_week_with_a_sun_saves_by_a_deadline_more_than_by_thresholds() -> None:
    by_deadline = deferred(week(), 0.4, 1, 4, 1.0, 24, work_hours(0.4, 1, 4, 24))
    by_threshold = effect(week(), Ceiling(150, 400, 1, 4), 0.4, 1.0)
    assert by_deadline.kg_plain == pytest.approx(by_threshold.kg_plain)
    assert by_deadline.kg_saved > by_threshold.kg_saved > 0
    assert by_deadline.longest_h <= 24


def test_a_forecast_that_was_wrong_is_paid_for() -> None:
    right = deferred(week(), 0.4, 0, 4, 1.0, 24, 10)
    wrong = deferred(week(), 0.4, 0, 4, 1.0, 24, 10, forecast=week()[12:] + week()[:12])
    assert wrong.kg_saved < 0 < right.kg_saved


def test_no_hours_and_a_forecast_of_others_are_no_replay() -> None:
    with pytest.raises(ValueError, match="one hour at least"):
        deferred([], 0.4, 1, 4, 1.0, 6, 2)
    with pytest.raises(ValueError, match="a forecast of 1 hours, for 2"):
        deferred([1, 2], 0.4, 1, 4, 1.0, 6, 2, [1])


def test_a_rule_is_read_as_it_is_written() -> None:
    assert Rule.read(str(Rule(24, 4))) == Rule(24, 4)
    assert Rule(24, 4).key == "24h-4h"
    for wrong in ("24", "24/24", "24/0", "a/b", "4/24"):
        with pytest.raises(ValueError, match=r"^"):
            Rule.read(wrong)
