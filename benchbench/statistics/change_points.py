"""Where did a history step? Segments of one series, pure and repeatable."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import inf, log, log1p, sqrt
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHORTEST = 3  # values: what came once or twice is no new level yet
PENALTY = 3.0  # variances times log n, for each further segment: a Bayesian criterion's order
LARGEST_EXACT = 8  # values on the shorter side of a step
CLIPPED = 2.0  # standard deviations from the running median


class Segment(NamedTuple):
    """`values[start:stop]` and their median."""

    start: int
    stop: int
    median: float


def segments(
    values: Sequence[float], *, minimum_change: float = 0.02, level: float = 0.02
) -> list[Segment]:
    """The stretches between which a history of positive figures stepped; none for no values.

    Three sieves. PELT under a squared-error cost proposes boundaries in the logs, which are first
    clipped to a running median of five so that no lone disturbance buys its own segment. Then the
    least certain boundary goes, again and again, until each one left (a) moves the median by at
    least `minimum_change`, a fraction, and (b) passes Mann and Whitney's test of its two sides at
    `level` divided by the number of values, as it was chosen among that many. So no step shows in
    fewer than 13 values, nor in the last 3 before there are 26. Noise that lasts for several
    values, and so is hard to tell from a step, raises more false alarms than `level`.

    Source: Killick, Fearnhead and Eckley 2012, Journal of the American Statistical Association
    107:1590, as in ruptures.

    Raises:
        ValueError: a value that is not positive.
    """
    for value in values:
        if not 0 < value < inf:
            raise ValueError(f"{value} in a history: only positive figures have steps")
    smallest = log1p(minimum_change)
    logs = _clipped([log(value) for value in values], smallest)
    bounds = _proposed(logs, smallest)
    while len(bounds) > 2:
        triples = zip(bounds, bounds[1:], bounds[2:], strict=False)
        doubts = [_doubt(logs, *triple, smallest) for triple in triples]
        worst = max(range(len(doubts)), key=doubts.__getitem__)
        if doubts[worst] <= level:
            break
        del bounds[worst + 1]
    return [Segment(start, stop, median(values[start:stop])) for start, stop in pairwise(bounds)]


def _clipped(logs: Sequence[float], smallest: float) -> NDArray[np.float64]:
    import numpy as np
    from scipy.ndimage import median_filter

    series = np.asarray(logs, dtype=np.float64)
    if len(series) < 2:
        return series
    middle = median_filter(series, size=5, mode="mirror")
    reach = CLIPPED * _noise(series, smallest)
    clipped: NDArray[np.float64] = np.clip(series, middle - reach, middle + reach)
    return clipped


def _noise(series: NDArray[np.float64], smallest: float) -> float:
    """The standard deviation about the level, from differences, which a step hardly touches.

    At least a tenth of the smallest change: what is quieter need not be told apart.
    """
    import numpy as np

    steps = np.diff(series)
    deviation = float(np.median(np.abs(steps - np.median(steps))))
    return max(1.4826 * deviation / sqrt(2), smallest / 10)


def _proposed(series: NDArray[np.float64], smallest: float) -> list[int]:
    """The boundaries, both ends included."""
    n = len(series)
    if n < 2 * SHORTEST:
        return [0, n] if n else []
    import ruptures

    penalty = PENALTY * _noise(series, smallest) ** 2 * log(n)
    search = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST).fit(series[:, None])
    return [0, *map(int, search.predict(pen=penalty))]


def _doubt(
    series: NDArray[np.float64], start: int, boundary: int, stop: int, smallest: float
) -> float:
    """The p value of a step at the boundary, times the places it could have been at."""
    import numpy as np
    from scipy.stats import mannwhitneyu

    before, after = series[start:boundary], series[boundary:stop]
    if abs(np.median(after) - np.median(before)) < smallest:
        return inf
    # Exact where the other is a bad approximation, ties or no ties.
    method = "exact" if min(len(before), len(after)) <= LARGEST_EXACT else "asymptotic"
    return len(series) * float(mannwhitneyu(before, after, method=method).pvalue)
