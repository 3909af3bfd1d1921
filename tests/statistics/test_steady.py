"""Warm-up and stopping: hand-made windows, and simulated samples."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile

import numpy as np
import pytest
from numpy.typing import NDArray

from benchbench.statistics.steady import NO_LONGER_SHRINKING, PRECISE, steady, stop_reason

Array = NDArray[np.float64]

# Median 100, quartiles (of the halves) 98 and 102, median absolute deviation 2.
WINDOW = [float(100 + offset) for offset in (1, 0, -1, 2, -2, 3, -3, 4, -4, 2, -2, 1, -1, 0)] + [
    *(102.0, 98.0, 100.0, 100.0, 103.0, 97.0)
]


def moved(middle: float = 100.0, scale: float = 1.0) -> list[float]:
    return [middle + scale * (value - 100) for value in WINDOW]


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (moved(), True),
        (moved(middle=104.5), True),
        (moved(middle=106.0), False),  # the median by 6 %
        (moved(scale=1.1), True),
        (moved(scale=1.2), False),  # the deviation by a fifth, of 2 %
        (moved(scale=4.0), False),  # the quartiles by 6 %
    ],
)
def test_two_windows_agree(second: list[float], expected: bool) -> None:
    assert steady(WINDOW + second) is expected
    assert steady([500.0, *WINDOW, *second]) is expected  # what came earlier does not count
    assert steady(second + WINDOW) is expected


def test_deviations_below_a_hundredth_need_not_agree() -> None:
    assert steady(moved(scale=0.1) + moved(scale=0.4))  # 0.2 % and 0.8 %
    assert not steady(moved(scale=0.1) + moved(scale=0.6))


@pytest.mark.parametrize(("first", "expected"), [(107.0, True), (109.0, False), (91.0, False)])
def test_the_first_value_is_no_outlier(first: float, expected: bool) -> None:
    """Tukey's fences are 98 - 1.5 * 4 = 92 and 102 + 1.5 * 4 = 108."""
    assert steady([first, *sorted(WINDOW)[1:-1], 100.0, *WINDOW]) is expected
    assert steady([100.0, first, *sorted(WINDOW)[1:-1], *WINDOW])


def test_fewer_than_two_windows_are_not_steady() -> None:
    assert steady([1.0] * 40)
    assert not steady([1.0] * 39)
    assert not steady([])


def test_a_warm_up_is_waited_for() -> None:
    """From 2 down to 1 within 10 blocks or so: half of exp(-3) is 2.5 %, from block 30 on."""
    random = np.random.default_rng(4)
    samples = (1 + np.exp(-np.arange(200) / 10)) * random.lognormal(0, 0.003, 200)
    cold = list(takewhile(lambda n: not steady(samples[:n].tolist()), range(1, 201)))
    assert 50 < len(cold) < 90


def asked_at_every_tenth(samples: Array, start: int = 20) -> str | None:
    count = float(start)
    while count <= len(samples):
        reason = stop_reason(samples[: int(count)].tolist())
        if reason:
            return reason
        count *= 1.1
    return None


def test_precise_is_the_interval_within_one_per_cent() -> None:
    """Nine samples: the interval is from the 2nd to the 8th."""
    assert stop_reason([90, 99, 100, 100, 100, 100, 100, 101, 110]) == PRECISE
    assert stop_reason([90, 98.9, 100, 100, 100, 100, 100, 101, 110]) is None
    assert stop_reason([90, 99, 100, 100, 100, 100, 100, 101.1, 110]) is None
    assert stop_reason([100.0] * 5) is None  # no interval


def test_independent_samples_end_precise() -> None:
    """5 % noise: 1.96 * 1.253 * 5 % / sqrt(n) is 1 % at n = 151."""
    random = np.random.default_rng(6)
    rows = random.lognormal(0, 0.05, (100, 1000))
    assert {asked_at_every_tenth(row) for row in rows} == {PRECISE}


def test_independent_samples_go_on_shrinking() -> None:
    """30 % noise wants 5,400 samples; no more than a few in a hundred end earlier than 2,000."""
    rows = np.random.default_rng(7).lognormal(0, 0.3, (80, 2000))
    early = [asked_at_every_tenth(row, 200) for row in rows]
    assert early.count(NO_LONGER_SHRINKING) <= 4
    assert PRECISE not in early


def wandering(random: np.random.Generator) -> Array:
    samples: Array = np.exp(0.1 * np.cumsum(random.standard_normal(4000)))
    return samples


def two_equal_modes(random: np.random.Generator) -> Array:
    """The median lies in the gap: the interval is the gap, however many samples."""
    return 1 + 0.3 * (np.arange(4000) % 2) + random.normal(0, 0.01, 4000)


@pytest.mark.parametrize("draw", [wandering, two_equal_modes])
def test_what_no_sample_mends_is_stopped(draw: Callable[[np.random.Generator], Array]) -> None:
    random = np.random.default_rng(8)
    reasons = [asked_at_every_tenth(draw(random), 200) for _ in range(50)]
    # The rest lingered: precise for the moment.
    assert reasons.count(NO_LONGER_SHRINKING) >= 40
