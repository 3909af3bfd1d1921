"""Steps of a history: located in simulated series, and none where there is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from benchbench.statistics.change_points import Segment, segments

Array = NDArray[np.float64]
TRIALS = 300


def series(random: np.random.Generator, length: int, *steps: int, size: float = 0.05) -> Array:
    """2 % noise about 1, and `size` slower from each step on."""
    level = sum(((np.arange(length) >= step) for step in steps), start=np.zeros(length))
    values: Array = random.lognormal(0, 0.02, length) * (1 + size) ** level
    return values


def boundaries(values: Array) -> list[int]:
    return [segment.start for segment in segments(values.tolist())][1:]


@pytest.mark.parametrize(("length", "step"), [(40, 20), (60, 40), (100, 50), (100, 85)])
def test_a_step_of_five_per_cent_is_located_within_two(length: int, step: int) -> None:
    """At the true place is best: 5 % is 2.5 standard deviations, so 96 % within 2 is what the
    likelihood of the place itself allows; one boundary and no other in nearly all of them.
    """
    random = np.random.default_rng(12)
    found = [boundaries(series(random, length, step)) for _ in range(TRIALS)]
    assert np.mean([any(abs(at - step) <= 2 for at in one) for one in found]) >= 0.95
    assert np.mean([len(one) == 1 for one in found]) >= 0.97


def test_two_steps_are_both_found() -> None:
    random = np.random.default_rng(13)
    found = [boundaries(series(random, 120, 40, 80)) for _ in range(TRIALS)]
    near = [len(at) == 2 and abs(at[0] - 40) <= 3 and abs(at[1] - 80) <= 3 for at in found]
    assert np.mean(near) >= 0.93


def normal(random: np.random.Generator, length: int) -> Array:
    return random.standard_normal(length)


def heavy_tailed(random: np.random.Generator, length: int) -> Array:
    return random.standard_t(3, length)


def disturbed(random: np.random.Generator, length: int) -> Array:
    """One value in twenty 20 % slower."""
    return random.standard_normal(length) + 10 * (random.random(length) < 0.05)


@pytest.mark.parametrize(
    ("noise", "most"), [(normal, 0.02), (heavy_tailed, 0.03), (disturbed, 0.06)]
)
@pytest.mark.parametrize("length", [15, 50, 200])
def test_no_step_is_seldom_seen(
    noise: Callable[[np.random.Generator, int], Array], most: float, length: int
) -> None:
    """Three disturbed values in a row are a step to anyone: one in 40 histories of 200 has them."""
    random = np.random.default_rng(14)
    found = [boundaries(np.exp(0.02 * noise(random, length))) for _ in range(TRIALS)]
    assert np.mean([bool(one) for one in found]) <= most


def test_a_step_among_disturbed_values_is_located() -> None:
    """It takes the clipping: without, a pair of values 20 % slower outweighs a step of 5 %."""
    random = np.random.default_rng(16)
    rows = [np.exp(0.02 * disturbed(random, 60)) for _ in range(TRIALS)]
    found = [boundaries(row * np.where(np.arange(60) < 30, 1, 1.05)) for row in rows]
    assert np.mean([any(abs(at - 30) <= 2 for at in one) for one in found]) >= 0.85


def test_a_step_below_the_minimum_is_none() -> None:
    """1 % under 0.1 % noise is as certain as can be, and still too small to speak of."""
    random = np.random.default_rng(15)
    values = (random.lognormal(0, 0.001, 60) * np.where(np.arange(60) < 30, 1, 1.01)).tolist()
    assert len(segments(values)) == 1
    assert [one.start for one in segments(values, minimum_change=0.005)] == [0, 30]


def test_segments_carry_their_medians_and_join() -> None:
    values = [1.0, 1.01, 0.99, 1.0, 1.0, 1.0, 1.01, 0.99, 1.0] + [2.0, 2.02, 1.98] * 3
    assert segments(values) == [Segment(0, 9, 1.0), Segment(9, 18, 2.0)]
    assert segments(values[::-1]) == [Segment(0, 9, 2.0), Segment(9, 18, 1.0)]


@pytest.mark.parametrize("length", [1, 2, 5, 6, 12])
def test_a_short_history_is_one_segment(length: int) -> None:
    values = [1.0] * (length // 2) + [2.0] * (length - length // 2)
    (only,) = segments(values)
    assert only[:2] == (0, length)


def test_one_slow_last_value_is_no_step() -> None:
    assert len(segments([1.0, 1.01, 0.99] * 10 + [1.5])) == 1


def test_nothing_and_what_has_no_log() -> None:
    assert segments([]) == []
    with pytest.raises(ValueError, match=r"0\.0 in a history"):
        segments([1.0, 0.0])
