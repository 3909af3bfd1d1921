"""Intervals of a median from one process's samples.

Such an interval covers what varies within that process alone. Between processes the same
network's median moves tenfold more, so it must not be read as the uncertainty of the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    low: float
    high: float
    confidence: float  # attained, at least what was asked for


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
