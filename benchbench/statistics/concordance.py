"""How often a predictor tells which of two is larger, where pairs share the families they are of.

Two pairs that have a family in common are no two observations: whatever sets that family apart
is in both. So the family is the unit of replication, and intervals come from leaving out one
family after the other, with all pairs that it is in.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import inf, log, sqrt
from statistics import NormalDist, fmean
from typing import NamedTuple

CONFIDENCE = 0.95
FEWEST_FAMILIES = 3  # below it nothing is left to leave out
ROUNDING = 1e-9  # a ratio that is the limit but for its last digits is within it

Pair = tuple[int, int]


class Share(NamedTuple):
    """Of pairs; `low` and `high` are None with too few families."""

    value: float
    low: float | None
    high: float | None
    pairs: int
    families: int  # that are in any of the pairs


class Difference(NamedTuple):
    """One share less another of the same pairs; `low` and `high` as of `Share`."""

    value: float
    low: float | None
    high: float | None


def close_pairs(values: Sequence[float], families: Sequence[Hashable], ratio: float) -> list[Pair]:
    """The pairs of different families whose values, all positive, differ at most by the ratio.

    Raises:
        ValueError: not a family for each value.
    """
    import numpy as np

    if len(values) != len(families):
        raise ValueError(f"{len(families)} families for {len(values)} values")
    logs, numbers = np.log(np.asarray(values, dtype=np.float64)), np.array(_numbered(families))
    first, second = np.triu_indices(len(values), k=1)
    close = np.abs(logs[first] - logs[second]) <= log(ratio) + ROUNDING
    kept = close & (numbers[first] != numbers[second])
    return list(zip(first[kept].tolist(), second[kept].tolist(), strict=True))


def agreements(
    predictor: Sequence[float], outcome: Sequence[float], pairs: Sequence[Pair]
) -> list[float]:
    """Of each pair 1 where both put it into the same order, 0 where not, 1/2 where one ties."""
    import numpy as np

    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    sides = (np.asarray(side, dtype=np.float64) for side in (predictor, outcome))
    one, other = (np.sign(side[second] - side[first]) for side in sides)
    scores: list[float] = ((1 + one * other) / 2).tolist()
    return scores


def concordance(
    scores: Sequence[float], pairs: Sequence[Pair], families: Sequence[Hashable]
) -> Share | None:
    """The mean score of the pairs, with a 95 % interval for other families; None without pairs.

    Wilson's interval of as many independent pairs as would scatter like the families do: their
    variance is the jackknife's over families (Arvesen 1969, Annals of Mathematical Statistics
    40:2076), and its degrees of freedom widen it (Korn and Graubard 1998, Survey Methodology
    24:193). Where every pair scores alike there is no variance, and a family counts for one pair.
    """
    if not pairs:
        return None
    value = fmean(scores)
    left_out = _left_out(scores, pairs, families)
    involved = len({families[index] for pair in pairs for index in pair})
    if left_out is None:
        return Share(value, None, None, len(pairs), involved)
    variance = _jackknife_variance(left_out)
    spread = value * (1 - value)
    quantile = _quantile(len(left_out))
    narrower = (NormalDist().inv_cdf((1 + CONFIDENCE) / 2) / quantile) ** 2
    effective = float(involved) if spread == 0 else spread / variance if variance else inf
    effective = max(min(effective, len(pairs)) * narrower, 1.0)
    return Share(value, *_wilson(value, effective), len(pairs), involved)


def difference(
    scores: Sequence[float],
    others: Sequence[float],
    pairs: Sequence[Pair],
    families: Sequence[Hashable],
) -> Difference | None:
    """The mean score less another's of the same pairs, Student's t over the jackknife."""
    if not pairs:
        return None
    apart = [one - other for one, other in zip(scores, others, strict=True)]
    value = fmean(apart)
    left_out = _left_out(apart, pairs, families)
    if left_out is None:
        return Difference(value, None, None)
    half = _quantile(len(left_out)) * sqrt(_jackknife_variance(left_out))
    return Difference(value, max(-1.0, value - half), min(1.0, value + half))


def _numbered(families: Sequence[Hashable]) -> list[int]:
    """A number for each family."""
    numbers = {family: number for number, family in enumerate(dict.fromkeys(families))}
    return [numbers[family] for family in families]


def _left_out(
    scores: Sequence[float], pairs: Sequence[Pair], families: Sequence[Hashable]
) -> list[float] | None:
    """The mean without each family in turn; None where nothing would be left of it."""
    import numpy as np

    values, numbers = np.asarray(scores, dtype=np.float64), np.array(_numbered(families))
    both = numbers[np.array(pairs)]  # (pairs, 2)
    found = []
    for family in np.unique(both):
        kept = values[(both != family).all(axis=1)]
        if not len(kept):
            return None
        found.append(float(kept.mean()))
    return found if len(found) >= FEWEST_FAMILIES else None


def _jackknife_variance(left_out: Sequence[float]) -> float:
    centre, n = fmean(left_out), len(left_out)
    return (n - 1) / n * sum((value - centre) ** 2 for value in left_out)


def _quantile(families: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(families - 1, (1 + CONFIDENCE) / 2))


def _wilson(p: float, n: float) -> tuple[float, float]:
    """Wilson's score interval, for any number of observations. Source: Wilson 1927."""
    z2 = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) ** 2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)
