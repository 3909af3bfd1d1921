"""Intervals: of a median and a proportion within one process, of a figure over processes.

That of a median covers what varies within its process alone. Between processes the same
network's median moves tenfold more, so it must not be read as the uncertainty of the figure:
`process_interval` is that.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt
from statistics import NormalDist, fmean, quantiles, stdev
from typing import NamedTuple

FEWEST_SAMPLES = {90: 64, 95: 130, 99: 662}  # before a percentile is worth a number


class Interval(NamedTuple):
    low: float
    high: float
    confidence: float  # of a median: attained, at least what was asked for


def median_interval(samples: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """The narrowest symmetric pair of order statistics that covers the median; None below 6.

    Free of any assumption on the distribution: the number of independent samples below the
    median is Binomial(n, 1/2). Source: David and Nagaraja, Order Statistics, section 7.1.
    """
    from scipy.stats import binom

    ordered = sorted(samples)
    n = len(ordered)
    # P(fewer than k of n below the median) <= (1 - confidence) / 2, for the largest such k.
    k = int(binom.ppf((1 - confidence) / 2, n, 0.5))
    if k < 1:
        return None
    attained = 1 - 2 * float(binom.cdf(k - 1, n, 0.5))
    return Interval(ordered[k - 1], ordered[n - k], attained)


def proportion_interval(samples: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Wilson's score interval of a proportion from samples that are 0 or 1; None without any.

    The proportions that a normal test would not reject; it stays within 0 and 1, and is no
    point where all samples agree. Source: Wilson 1927, as method 3 of Newcombe 1998.
    """
    n = len(samples)
    if not n:
        return None
    p = fmean(samples)
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Interval(max(0.0, middle - half), min(1.0, middle + half), confidence)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Student's interval of a mean; None below 2 values. Source: Student 1908, Biometrika 6:1."""
    from scipy.special import stdtrit

    n = len(values)
    if n < 2:
        return None
    centre = fmean(values)
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * stdev(values) / sqrt(n)
    return Interval(centre - half, centre + half, confidence)


def process_interval(medians: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """The interval of a figure from its medians in several processes; None below 2 processes.

    Student's t over their logs, because a process slows a network by a factor. It covers as
    often as it says with few processes, where a percentile bootstrap does not. A median of 0 (a
    peak memory below one page) has no log: that figure moves by steps, not by factors, so its
    interval is on the linear scale, and ends at 0.

    Raises:
        ValueError: a negative median.
    """
    if not _has_logs(medians):
        linear = mean_interval(medians, confidence)
        return linear and linear._replace(low=max(0.0, linear.low))
    logs = mean_interval([log(value) for value in medians], confidence)
    return logs and logs._replace(low=exp(logs.low), high=exp(logs.high))


def geometric_mean(values: Sequence[float]) -> float:
    """The centre of `process_interval`: the arithmetic mean where one value is 0, as there.

    Raises:
        ValueError: a negative value, or no values.
    """
    if not _has_logs(values):
        return fmean(values)
    return exp(fmean(map(log, values)))


def percentiles(samples: Sequence[float]) -> dict[str, float]:
    """p90, p95 and p99, each only with enough samples: 64, 130 and 662. Time O(n log n).

    A percentile must not be the largest sample under another name, so two samples should lie
    above the true one. Of n independent samples Binomial(n, 1 - p) do; 64, 130 and 662 are the
    smallest n for which fewer than two do in at most 1 % of runs. (The same n make the range of
    the samples hold the share p with 99 % confidence: Wilks 1941, Annals of Mathematical
    Statistics 12:91.) Between two samples it is linear: type 7 of Hyndman and Fan 1996.
    """
    enough = [percent for percent, fewest in FEWEST_SAMPLES.items() if len(samples) >= fewest]
    cuts = quantiles(samples, n=100, method="inclusive") if enough else []
    return {f"p{percent}": cuts[percent - 1] for percent in enough}


def _has_logs(values: Sequence[float]) -> bool:
    smallest = min(values, default=1.0)
    if smallest < 0:
        raise ValueError(f"{smallest} is negative: only figures from 0 on have an interval")
    return smallest > 0
