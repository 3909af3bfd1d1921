"""Intervals: known values, and coverage of a known truth."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, sqrt
from statistics import median

import numpy as np
import pytest
from scipy.stats import binom, binomtest, t
from simulated import WITHIN, Array, Draw, gaussian, log_samples, lognormal, two_modes

from benchbench.statistics.intervals import (
    geometric_mean,
    mean_interval,
    median_interval,
    percentiles,
    process_interval,
    proportion_interval,
)

SECONDS = 0.02  # the true latency


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


def test_student_s_own_example() -> None:
    """Student 1908, section IX: ten patients' hours of sleep gained, mean 1.58, s 1.23 (n - 1).

    t(0.975, 9) is 2.262 in any table: 1.58 -+ 2.262 * 1.23 / sqrt(10) = 0.70 and 2.46.
    """
    gained = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    interval = mean_interval(gained)
    assert interval is not None
    assert interval == pytest.approx((0.70, 2.46, 0.95), abs=0.005)


def test_process_interval_is_student_s_on_the_logs() -> None:
    """Logs 0 and 2: mean 1, standard error 1, and t(0.975, 1) is 12.706 in any table."""
    interval = process_interval([1.0, exp(2)])
    assert interval is not None
    assert np.log(interval[:2]) == pytest.approx((1 - 12.706, 1 + 12.706), abs=1e-3)
    assert geometric_mean([1.0, exp(2)]) == pytest.approx(exp(1))


@pytest.mark.parametrize("medians", [[], [0.02], [0.0]])
def test_one_process_has_no_interval(medians: list[float]) -> None:
    assert process_interval(medians) is None


def test_a_figure_of_zero_is_judged_on_the_linear_scale() -> None:
    """0 and 4096 bytes: mean 2048, standard error 2048; the lower end would be negative."""
    interval = process_interval([0.0, 4096.0])
    assert interval is not None
    assert interval[:2] == pytest.approx((0.0, 2048 * 13.706), rel=1e-4)
    assert geometric_mean([0.0, 4096.0]) == 2048
    assert process_interval([0.0, 0.0, 0.0]) == (0.0, 0.0, 0.95)


@pytest.mark.parametrize("judge", [process_interval, geometric_mean])
def test_a_negative_figure_is_refused(judge: object) -> None:
    assert callable(judge)
    with pytest.raises(ValueError, match=r"-1\.0 is negative"):
        judge([1.0, -1.0, 0.0])


def covered(logs: Array) -> Array:
    """Whether the interval of each trial (a row of log medians) holds the truth, a log of 0."""
    n = logs.shape[1]
    half = t.ppf(0.975, n - 1) * logs.std(axis=1, ddof=1) / sqrt(n)
    holds: Array = np.abs(logs.mean(axis=1)) <= half
    return holds


def same_by_our_own_code(samples: Array, found: Sequence[bool]) -> None:
    """The vectorised formula and the product agree, trial by trial."""
    for trial, expected in zip(samples, found, strict=True):
        interval = process_interval([median(process.tolist()) for process in trial])
        assert interval is not None
        assert (interval.low <= SECONDS <= interval.high) == expected


@pytest.mark.parametrize("within", WITHIN.values(), ids=WITHIN)
@pytest.mark.parametrize("effect", [gaussian, lognormal])
def test_process_interval_covers_as_often_as_it_says(effect: Draw, within: Draw) -> None:
    """4,000 simulated experiments; the standard error of a coverage is 0.35 %."""
    logs = log_samples(effect, within, trials=4000, processes=10, seed=3)
    for processes in (3, 5, 10):
        few = logs[:, :processes]
        found = covered(np.median(few, axis=-1))
        assert 0.93 <= found.mean() <= 0.97, processes
        same_by_our_own_code(SECONDS * np.exp(few[:40]), found[:40].tolist())


@pytest.mark.parametrize(("processes", "coverage"), [(3, 0.84), (5, 0.93), (10, 0.945)])
def test_two_modes_of_processes_are_covered_less_often(processes: int, coverage: float) -> None:
    """Reported, not promised: where all fall into one mode, nothing tells of the other."""
    logs = log_samples(two_modes, WITHIN["quiet"], trials=4000, processes=processes, seed=3)
    assert covered(np.median(logs, axis=-1)).mean() == pytest.approx(coverage, abs=0.012)


@pytest.mark.parametrize(("percent", "fewest"), [(90, 64), (95, 130), (99, 662)])
def test_a_percentile_has_two_samples_above_it(percent: int, fewest: int) -> None:
    """At 99 %; 64, 130 and 662 are also Wilks's sizes for two-sided limits of tolerance."""
    assert (
        binom.cdf(1, fewest, 1 - percent / 100)
        <= 0.01
        < binom.cdf(1, fewest - 1, 1 - percent / 100)
    )
    samples = np.random.default_rng(5).lognormal(size=fewest)
    found = percentiles(samples.tolist())
    assert found[f"p{percent}"] == pytest.approx(np.percentile(samples, percent))
    assert f"p{percent}" not in percentiles(samples[1:].tolist())


def test_few_samples_have_no_percentiles() -> None:
    assert percentiles([]) == percentiles([1.0] * 63) == {}
    assert list(percentiles([1.0] * 662)) == ["p90", "p95", "p99"]
