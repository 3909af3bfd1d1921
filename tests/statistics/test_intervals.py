"""Intervals of a median and a proportion: known values, and coverage of a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from benchbench.statistics.intervals import median_interval, proportion_interval


@pytest.mark.parametrize(
    ("n", "first", "attained"),
    [  # order statistics (first from either end) and coverage, from tables of the sign test
        (6, 1, 0.96875),
        (8, 1, 0.9921875),
        (9, 2, 0.9609375),
        (10, 2, 0.978515625),
        (20, 6, 0.958610535),
    ],
)
def test_known_order_statistics(n: int, first: int, attained: float) -> None:
    interval = median_interval(list(range(1, n + 1))[::-1])
    assert interval is not None
    assert (interval.low, interval.high) == (first, n + 1 - first)
    assert interval.confidence == pytest.approx(attained)


def test_five_samples_cannot_reach_95_percent() -> None:
    """1 - 2 / 2^5 = 0.9375."""
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None
    assert median_interval([]) is None


@pytest.mark.parametrize("draw", ["normal", "lognormal", "exponential"])
@pytest.mark.parametrize("n", [10, 50])
def test_coverage_of_the_true_median(draw: str, n: int) -> None:
    """4,000 simulated runs; the true medians are 0, 1 and ln 2."""
    truth = {"normal": 0.0, "lognormal": 1.0, "exponential": np.log(2)}[draw]
    samples = getattr(np.random.default_rng(7), draw)(size=(4000, n))
    intervals = [median_interval(row.tolist()) for row in samples]
    covered = np.mean([i is not None and i.low <= truth <= i.high for i in intervals])
    expected = median_interval(list(range(n)))
    assert expected is not None
    assert covered == pytest.approx(expected.confidence, abs=0.012)  # 3.5 standard errors
    assert covered > 0.94


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17:857, Table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_in_newcombes_examples(
    right: int, n: int, low: float, high: float
) -> None:
    interval = proportion_interval([1] * right + [0] * (n - right))
    assert interval is not None
    assert interval[:2] == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(
    ("right", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (3, 7), (38555, 50000)]
)
def test_wilsons_interval_is_scipys(right: int, n: int, confidence: float) -> None:
    interval = proportion_interval([1] * right + [0] * (n - right), confidence)
    theirs = binomtest(right, n).proportion_ci(confidence, method="wilson")
    assert interval is not None
    assert interval[:2] == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_no_proportion_of_nothing() -> None:
    assert proportion_interval([]) is None
