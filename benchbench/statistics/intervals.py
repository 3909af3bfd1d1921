"""Intervals from one process's samples: of a median and of a proportion.

That of a median covers what varies within that process alone. Between processes the same
network's median moves tenfold more, so it must not be read as the uncertainty of the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist, fmean
from typing import NamedTuple


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
