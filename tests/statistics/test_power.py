"""Mean powers against curves whose integral is known."""

from __future__ import annotations

import math

import pytest

from benchbench.statistics.power import (
    PowerSample,
    counted_watts,
    integrated_watts,
    net_joules,
)

# Uneven, as samples between calls are.
TIMES = [0.0, 0.02, 0.07, 0.1, 0.4, 0.41, 0.9, 1.3, 2.0]


def powers(times: list[float], watts: list[float | None]) -> list[PowerSample]:
    return [PowerSample(t, w, None) for t, w in zip(times, watts, strict=True)]


def counter(times: list[float], joules: list[float | None]) -> list[PowerSample]:
    return [PowerSample(t, None, j) for t, j in zip(times, joules, strict=True)]


def test_a_constant_and_a_ramp_are_exact() -> None:
    """A ramp from 50 W that grows by 30 W a second: 80 W on average over 2 s."""
    assert integrated_watts(powers(TIMES, [250.0] * 9)) == pytest.approx(250, rel=1e-12)
    ramp: list[float | None] = [50 + 30 * t for t in TIMES]
    assert integrated_watts(powers(TIMES, ramp)) == pytest.approx(80, rel=1e-12)


def test_a_sine_within_the_error_of_the_rule() -> None:
    """200 + 100 sin(t) from 0 to pi: 200 + 200/pi W; the error is at most (b-a) h^2/12 max|f''|."""
    times = [math.pi * i / 100 for i in range(101)]
    found = integrated_watts(powers(times, [200 + 100 * math.sin(t) for t in times]))
    step = math.pi / 100
    assert abs(found - (200 + 200 / math.pi)) <= step**2 / 12 * 100
    assert found != pytest.approx(200, rel=0.1)


def test_spacing_is_weighed() -> None:
    """100 W for 1 s and 300 W for 9 s: the plain mean of the samples would say 200 W."""
    found = integrated_watts(powers([0, 1, 1, 10], [100, 100, 300, 300]))
    assert found == pytest.approx(280)


def test_what_was_not_told_is_bridged_and_not_zero() -> None:
    assert integrated_watts(powers([0, 1, 2, 3], [100, None, 100, None])) == pytest.approx(100)


@pytest.mark.parametrize("watts", [[], [100.0], [None, None]])
def test_too_little_power_is_an_error(watts: list[float | None]) -> None:
    times = [float(i) for i in range(len(watts))]
    with pytest.raises(ValueError, match=r"the power was told [01] times"):
        integrated_watts(powers(times, watts))


def test_a_counter_that_steps_every_tenth_of_a_second() -> None:
    """300 W in steps of 30 J, looked at from the middle of a step: only whole steps count.

    Last less first over the whole time would say 19 * 30 J / 1.99 s = 286 W.
    """
    times = [0.05 + 0.01 * i for i in range(200)]
    joules: list[float | None] = [30.0 * math.floor(t / 0.1 + 1e-9) for t in times]
    found = counted_watts(counter(times, joules))
    assert found == pytest.approx(300, rel=1e-9)


def test_a_counter_that_is_always_current() -> None:
    joules: list[float | None] = [1e6 + 120 * t for t in TIMES]
    assert counted_watts(counter(TIMES, joules)) == pytest.approx(120)


def test_a_counter_that_wraps_is_no_energy() -> None:
    with pytest.raises(ValueError, match="ran backwards"):
        counted_watts(counter([0, 1, 2, 3], [1e9, 1e9 + 100, 50, 150]))


@pytest.mark.parametrize(
    ("joules", "steps"), [([5, 5, 5], 0), ([5, 5, 9], 1), ([None, None, None], 0)]
)
def test_a_counter_that_hardly_moves_is_no_energy(joules: list[float | None], steps: int) -> None:
    with pytest.raises(ValueError, match=f"stepped {steps} times"):
        counted_watts(counter([0, 1, 2], joules))


def test_energy_of_a_call_is_what_idle_would_not_have_taken() -> None:
    """(400 - 100) W for 6 s, 1000 calls: 1.8 J."""
    assert net_joules(400, 100, 6, 1000) == pytest.approx(1.8)


@pytest.mark.parametrize("loaded", [99.0, 100.0])
def test_no_more_than_idle_is_no_energy(loaded: float) -> None:
    with pytest.raises(ValueError, match="100 W idle"):
        net_joules(loaded, 100, 6, 1000)
