"""Which of many networks is fastest, and how well a metric predicts it.

The input is `logs[process][network]`: the log of a latency, or of its ratio to the round's mean.
Networks are paired within a process, so what a process does to all of them cancels. Everything
holds for these networks, whatever processes come; not for networks that are not among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIDENCE = 0.95
DRAWS = 2000


class Rank(NamedTuple):
    """1 is the fastest; `low` and `high` are None with fewer than 2 processes."""

    rank: int
    low: int | None
    high: int | None


class Tau(NamedTuple):
    """Kendall's tau-b; `low` and `high` are None with fewer than 2 processes."""

    value: float
    low: float | None
    high: float | None


def draws(logs: Sequence[Sequence[float]], count: int, seed: int) -> NDArray[np.float64]:
    """`count` mean vectors as other processes might have given them: (count, networks).

    Mean + sum over processes of z * (process - mean) / sqrt(n (n - 1)), z standard normal, over
    the root of chi-square / df with df = n - 1: a multivariate t. Each network's draws, and those
    of each difference, have Student's quantiles, where resampled processes would be too narrow.

    Raises:
        ValueError: fewer than 2 processes, or processes with unlike numbers of networks.
    """
    import numpy as np

    table = np.asarray(logs, dtype=np.float64)  # (processes, networks)
    n = len(table)
    if n < 2:
        raise ValueError(f"{n} process: draws need at least 2")
    random = np.random.default_rng(seed)
    centre = table.mean(axis=0)
    moves = random.standard_normal((count, n)) @ (table - centre) / sqrt(n * (n - 1))
    scale = np.sqrt(random.chisquare(n - 1, (count, 1)) / (n - 1))
    drawn: NDArray[np.float64] = centre + moves / scale
    return drawn


def rank_intervals(logs: Sequence[Sequence[float]]) -> list[Rank]:
    """Each network's rank by its mean log, with a 95 % interval; equals share the better rank.

    It stands surely behind the rivals that are faster and surely before those that are slower, by
    Student's t on its paired differences to each, the error shared among them (Bonferroni). The
    ranks of resampled means would not do: among near-equals their interval holds the fastest
    network's true rank in under half of the runs, because every draw puts the extremes nearer to
    the middle. Source: Mogstad, Romano, Shaikh and Wilhelm 2024, Review of Economic Studies 91:476.

    Raises:
        ValueError: no processes, or processes with unlike numbers of networks.
    """
    import numpy as np

    table = np.asarray(logs, dtype=np.float64)  # (processes, networks)
    means = table.mean(axis=0)
    ranks = [1 + int((means < mean).sum()) for mean in means]
    if len(table) < 2:
        return [Rank(rank, None, None) for rank in ranks]
    faster, slower = _decided(table)
    pairs = zip(faster.tolist(), slower.tolist(), strict=True)
    bounds = [
        (1 + surely_faster, len(ranks) - surely_slower) for surely_faster, surely_slower in pairs
    ]
    return [Rank(rank, low, high) for rank, (low, high) in zip(ranks, bounds, strict=True)]


def kendall(
    logs: Sequence[Sequence[float]], metric: Sequence[float], *, count: int = DRAWS, seed: int = 0
) -> Tau | None:
    """Tau-b of the mean log latency against a metric, a value a network, with a 95 % interval.

    None where the metric or the latency is the same for all networks. Noise shuffles, so it moves
    every draw's tau towards 0, as it has moved the value itself: the interval therefore reaches
    to both sides as far as the draws do to either. Time O(count x networks^2).

    Raises:
        ValueError: a metric with more or fewer values than networks, or as `draws`.
    """
    import numpy as np

    table = np.asarray(logs, dtype=np.float64)  # (processes, networks)
    if len(metric) != table.shape[1]:
        raise ValueError(f"{len(metric)} values of the metric for {table.shape[1]} networks")
    value = float(_taus(table.mean(axis=0, keepdims=True), metric)[0])
    if np.isnan(value):
        return None
    if len(table) < 2:
        return Tau(value, None, None)
    return _with_reach(value, _taus(draws(logs, count, seed), metric))


def kendall_between(
    first: Sequence[Sequence[float]],
    second: Sequence[Sequence[float]],
    *,
    count: int = DRAWS,
    seed: int = 0,
) -> Tau | None:
    """Tau-b of two mean log latencies of the same networks, in the same processes.

    As `kendall`, with both sides drawn together: what a process does to both stays in both.

    Raises:
        ValueError: unlike numbers of networks or of processes.
    """
    import numpy as np

    one, two = (np.asarray(logs, dtype=np.float64) for logs in (first, second))
    if one.shape != two.shape:
        raise ValueError(f"{one.shape} and {two.shape} processes and networks")
    table, networks = np.hstack([one, two]), one.shape[1]
    centre = table.mean(axis=0, keepdims=True)
    value = float(_taus(centre[:, :networks], centre[:, networks:])[0])
    if np.isnan(value):
        return None
    if len(table) < 2:
        return Tau(value, None, None)
    drawn = draws(table.tolist(), count, seed)
    return _with_reach(value, _taus(drawn[:, :networks], drawn[:, networks:]))


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's correlation of the ranks, equals sharing the mean; None where one side is constant.

    Source: Spearman 1904, American Journal of Psychology 15:72.

    Raises:
        ValueError: unlike numbers of values.
    """
    import numpy as np
    from scipy.stats import rankdata

    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values")
    ranks = [rankdata(side) for side in (first, second)]
    if min(np.ptp(side) for side in ranks) == 0:
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def _with_reach(value: float, drawn: NDArray[np.float64]) -> Tau:
    """A tau, and how far its draws reach from it to either side."""
    import numpy as np

    low, high = np.nanquantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    reach = max(value - float(low), float(high) - value)
    return Tau(value, max(-1.0, value - reach), min(1.0, value + reach))


def _decided(table: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many rivals are surely faster, and how many surely slower, than each network."""
    from scipy.special import stdtrit

    n, networks = table.shape
    differences = table[:, None, :] - table[:, :, None]  # (processes, networks, rivals)
    share = (1 - CONFIDENCE) / max(1, networks - 1)
    half = stdtrit(n - 1, 1 - share / 2) * differences.std(axis=0, ddof=1) / sqrt(n)
    means = differences.mean(axis=0)
    return (means < -half).sum(axis=1), (means > half).sum(axis=1)


def _taus(
    rows: NDArray[np.float64], others: NDArray[np.float64] | Sequence[float]
) -> NDArray[np.float64]:
    """Tau-b of each row with the other's, or with the only one; NaN where undefined.

    Source: Kendall 1945, Biometrika 33:239.
    """
    import numpy as np

    values = np.atleast_2d(np.asarray(others, dtype=np.float64))
    agreement, untied, untied_others = (np.zeros(len(rows)) for _ in range(3))
    for first in range(values.shape[1] - 1):
        signs, other_signs = (
            np.sign(table[:, first + 1 :] - table[:, first : first + 1]) for table in (rows, values)
        )
        agreement += (signs * other_signs).sum(axis=1)
        untied += np.abs(signs).sum(axis=1)
        untied_others += np.abs(other_signs).sum(axis=1)
    pairs = np.sqrt(untied * untied_others)
    taus: NDArray[np.float64] = np.full(len(rows), np.nan)
    np.divide(agreement, pairs, out=taus, where=pairs > 0)
    return taus
