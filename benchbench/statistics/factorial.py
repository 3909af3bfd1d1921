"""A full factorial of n two-level factors: effects, interactions, and Shapley values.

Cells are in binary order: factor i is present in cell c where bit i of c is set. Everything is
linear in the cells, so it is taken process by process and its interval is Student's t over
processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import factorial
from typing import TYPE_CHECKING, NamedTuple

from benchbench.statistics.intervals import Interval, mean_interval

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.float64]

CONFIDENCE = 0.95


class Effect(NamedTuple):
    """What some factors do together, in the unit of the cells; no interval from one process."""

    factors: tuple[int, ...]
    value: float
    interval: Interval | None


class Attribution(NamedTuple):
    """A factorial taken apart. Shares are None where all cells are the same.

    `share` is of the variance of the cells' means, by main effects and pairs; `noise` what scatter
    between processes alone is expected to put into the rest, None from one process.
    """

    main: tuple[Effect, ...]  # one for each factor
    pairs: tuple[Effect, ...]
    higher: tuple[Effect, ...]  # of three factors and more, the largest first
    shapley: tuple[Effect, ...]  # one for each factor; their sum is `total`
    total: Effect  # of all factors: the last cell less the first
    share: float | None
    noise: float | None


def attribution(cells: Sequence[Sequence[float]]) -> Attribution:
    """The effects of n factors, from 2^n cells of each process: [process][cell].

    A main effect is the mean of the cells with the factor less that of the cells without. An
    interaction of two is half the difference that one makes to the other's effect; generally, the
    contrast of a set over 2^(n - 1) cells (Box, Hunter and Hunter, Statistics for Experimenters,
    chapter 5). The variance of the cells is the sum of the squared halves of all of them.

    Raises:
        ValueError: no process, or cells that are not 2^n.
    """
    import numpy as np

    values = np.asarray(cells, dtype=np.float64)
    factors = _factors(values)
    sets = list(_sets(factors))
    of_sets = values @ np.stack([_contrast(factors, chosen) for chosen in sets]).T
    effects = [
        _effect(chosen, column) for chosen, column in zip(sets, of_sets.T.tolist(), strict=True)
    ]
    shapley = values @ np.stack([_shapley_weights(factors, one) for one in range(factors)]).T
    higher = sorted(effects, key=lambda effect: -abs(effect.value))
    return Attribution(
        main=tuple(effect for effect in effects if len(effect.factors) == 1),
        pairs=tuple(effect for effect in effects if len(effect.factors) == 2),
        higher=tuple(effect for effect in higher if len(effect.factors) > 2),
        shapley=tuple(_effect((one,), column) for one, column in enumerate(shapley.T.tolist())),
        total=_effect(tuple(range(factors)), (values[:, -1] - values[:, 0]).tolist()),
        share=_share(effects),
        noise=_noise(of_sets, effects),
    )


def _factors(values: Array) -> int:
    count = values.shape[1] if values.ndim == 2 else 0
    factors = count.bit_length() - 1
    if not len(values) or factors < 1 or count != 2**factors:
        raise ValueError(f"cells of shape {list(values.shape)}: must be processes x 2^factors")
    return factors


def _sets(factors: int) -> Iterator[tuple[int, ...]]:
    """Every set of factors but the empty one, the small ones first."""
    for size in range(1, factors + 1):
        yield from combinations(range(factors), size)


def _contrast(factors: int, chosen: Sequence[int]) -> Array:
    """The weight of each cell in the effect of these factors: plus or minus 1 / 2^(n - 1)."""
    import numpy as np

    cells = np.arange(2**factors)
    signs = np.ones(2**factors)
    for factor in chosen:
        signs *= np.where(cells >> factor & 1, 1.0, -1.0)
    weights: Array = signs / 2 ** (factors - 1)
    return weights


def _shapley_weights(factors: int, one: int) -> Array:
    """The weight of each cell in the factor's mean contribution over all orders of joining.

    With s others present it joins them in s! (n - s - 1)! of the n! orders. Source: Shapley 1953,
    A value for n-person games.
    """
    import numpy as np

    weights = np.zeros(2**factors)
    for cell in range(2**factors):
        present = cell >> one & 1
        others = cell.bit_count() - present
        weight = factorial(others) * factorial(factors - others - 1) / factorial(factors)
        weights[cell] = weight if present else -weight
    return weights


def _effect(factors: tuple[int, ...], by_process: Sequence[float]) -> Effect:
    value = sum(by_process) / len(by_process)
    return Effect(factors, value, mean_interval(by_process, CONFIDENCE))


def _share(effects: Sequence[Effect]) -> float | None:
    """Of the sum of squares, how much is of one or two factors."""
    total = sum(effect.value**2 for effect in effects)
    few = sum(effect.value**2 for effect in effects if len(effect.factors) <= 2)
    return few / total if total else None


def _noise(of_sets: Array, effects: Sequence[Effect]) -> float | None:
    """The squared standard errors of the higher effects, over the sum of all squares."""
    processes = len(of_sets)
    total = sum(effect.value**2 for effect in effects)
    if processes < 2 or not total:
        return None
    errors = of_sets.var(axis=0, ddof=1) / processes
    of_higher = sum(
        error
        for error, effect in zip(errors.tolist(), effects, strict=True)
        if len(effect.factors) > 2
    )
    return float(of_higher / total)
