"""How well predictors tell a figure of what was left out of the fit, and how alike they are.

Two forms of fit. `LINEAR`: a constant plus a non-negative multiple of each predictor, as costs add
up; residuals are relative to the figure, so that a small network counts as much as a large one
(Lawson and Hanson 1974, Solving Least Squares Problems, chapter 23). `POWER`: a constant times a
power of each predictor, by least squares of the logs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Fitted = Callable[[Array], Array]  # figures from predictors


class Form(StrEnum):
    LINEAR = "linear"
    POWER = "power"


class LeftOut(NamedTuple):
    """Errors of what was predicted without its own group, as fractions of the figure."""

    error: float  # the median of the absolute errors of all
    by_group: Mapping[Hashable, float]  # and of each group's own

    @property
    def worst(self) -> Hashable:
        """The group with the largest error."""
        return max(self.by_group, key=lambda group: self.by_group[group])


class Collinearity(NamedTuple):
    """Of logs of predictors; infinite where one follows from the others."""

    correlations: tuple[tuple[float, ...], ...]  # Pearson's, a row a predictor
    inflation: tuple[float, ...]  # of a coefficient's variance, for each predictor
    condition: float  # of the correlation matrix: root of largest over smallest eigenvalue


def leave_groups_out(
    predictors: Sequence[Sequence[float]],
    figures: Sequence[float],
    groups: Sequence[Hashable],
    form: Form,
) -> LeftOut | None:
    """Each group predicted by a fit to all the others; None where those are too few to fit.

    `predictors` has a row a network, all of them positive as the figures. What is predicted and
    what is fitted to are never of the same group, and nothing else is taken from all of them.

    Raises:
        ValueError: a figure or a predictor that is not positive.
    """
    import numpy as np

    table, known = np.asarray(predictors, dtype=np.float64), np.asarray(figures, dtype=np.float64)
    if (table <= 0).any() or (known <= 0).any():
        raise ValueError("fits are of positive figures and predictors")
    fit = {Form.LINEAR: _linear, Form.POWER: _power}[form]
    errors: dict[Hashable, list[float]] = {}
    for group in dict.fromkeys(groups):
        out = np.array([other == group for other in groups])
        if (~out).sum() <= table.shape[1] + 1:
            return None
        found = fit(table[~out], known[~out])(table[out])
        errors[group] = (np.abs(found - known[out]) / known[out]).tolist()
    return _summary(errors)


def unfitted(
    predicted: Sequence[float], figures: Sequence[float], groups: Sequence[Hashable]
) -> LeftOut:
    """The errors of predictions that nothing was fitted for.

    Raises:
        ValueError: no figures.
    """
    errors: dict[Hashable, list[float]] = {}
    for value, figure, group in zip(predicted, figures, groups, strict=True):
        errors.setdefault(group, []).append(abs(value - figure) / figure)
    if not errors:
        raise ValueError("no figures were predicted")
    return _summary(errors)


def collinearity(columns: Sequence[Sequence[float]]) -> Collinearity:
    """How alike predictors are, each a column of positive values, all of the same networks.

    Source: Belsley, Kuh and Welsch 1980, Regression Diagnostics, chapter 3.

    Raises:
        ValueError: fewer than two columns, or one that is the same for all networks.
    """
    import numpy as np

    logs = np.log(np.asarray(columns, dtype=np.float64))
    if len(logs) < 2 or (np.ptp(logs, axis=1) == 0).any():
        raise ValueError("collinearity is of two or more predictors that vary")
    matrix = np.corrcoef(logs)
    eigenvalues = np.linalg.eigvalsh(matrix)
    singular = bool(eigenvalues[0] <= len(logs) * np.finfo(np.float64).eps)
    return Collinearity(
        correlations=tuple(map(tuple, matrix.tolist())),
        inflation=tuple(_inflation(logs, index) for index in range(len(logs))),
        condition=np.inf if singular else float(np.sqrt(eigenvalues[-1] / eigenvalues[0])),
    )


def _summary(errors: dict[Hashable, list[float]]) -> LeftOut:
    every = [error for values in errors.values() for error in values]
    return LeftOut(median(every), {group: median(values) for group, values in errors.items()})


def _linear(table: Array, figures: Array) -> Fitted:
    import numpy as np
    from scipy.optimize import nnls

    scales = table.max(axis=0)  # of unlike units: bytes beside launches
    columns = np.column_stack([np.ones(len(table)), table / scales])
    weights, _ = nnls(columns / figures[:, None], np.ones(len(table)))
    return lambda others: weights[0] + (others / scales) @ weights[1:]


def _power(table: Array, figures: Array) -> Fitted:
    import numpy as np

    columns = np.column_stack([np.ones(len(table)), np.log(table)])
    weights, *_ = np.linalg.lstsq(columns, np.log(figures), rcond=None)
    return lambda others: np.exp(weights[0] + np.log(others) @ weights[1:])


def _inflation(logs: Array, index: int) -> float:
    """1 / (1 - R^2) of a predictor's log on those of the others."""
    import numpy as np

    own = logs[index] - logs[index].mean()
    others = np.delete(logs, index, axis=0)
    others = (others - others.mean(axis=1, keepdims=True)).T
    weights, *_ = np.linalg.lstsq(others, own, rcond=None)
    left = float(((own - others @ weights) ** 2).sum() / (own**2).sum())
    return 1 / left if left > len(logs) * np.finfo(np.float64).eps else np.inf
