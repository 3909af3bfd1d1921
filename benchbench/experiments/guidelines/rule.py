"""The verdict on a guideline, by a rule that was written down before anything was measured.

A slowdown is log(time of a rung / time of the first rung), less what its multiply-adds differ: of
multiply-adds per second. The process is the unit of replication.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import pairwise
from math import expm1, inf, log1p, sqrt
from statistics import fmean, variance
from typing import Any, NamedTuple

from benchbench.errors import UserError
from benchbench.quality import GRADES

FEWEST_PROCESSES = 3  # that a rule may be content with
NUMBERS = ("smallest", "noises", "confidence", "equal", "processes")


class Answer(StrEnum):
    SUPPORTED = "SUPPORTED"
    REFUTED = "REFUTED"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Rule:
    """conf/task/guidelines.yaml says what each of them is."""

    smallest: float
    noises: float
    confidence: float
    equal: float
    worst_grade: str
    processes: int


def rule_from(values: Mapping[str, Any]) -> Rule:
    """The rule that a run was given, or that its records kept.

    Raises:
        UserError: something is missing, unknown, or out of its range.
    """
    names = [field.name for field in fields(Rule)]
    if sorted(values) != sorted(names):
        raise UserError(f"task.rule has {', '.join(values)}: needs {', '.join(names)}")
    _check_numbers(values)
    rule = Rule(**values)
    for name in ("smallest", "noises", "equal"):
        if not 0 <= getattr(rule, name) < inf:
            raise UserError(f"task.rule.{name}={getattr(rule, name)}: must be a number from 0 on")
    if not 0 < rule.confidence < 1:
        raise UserError(f"task.rule.confidence={rule.confidence}: must be between 0 and 1")
    if rule.worst_grade not in GRADES:
        allowed = ", ".join(GRADES)
        raise UserError(f"task.rule.worst_grade={rule.worst_grade}: allowed are {allowed}")
    if int(rule.processes) != rule.processes or not FEWEST_PROCESSES <= rule.processes <= 1000:
        raise UserError(
            f"task.rule.processes={rule.processes}: must be a whole number from "
            f"{FEWEST_PROCESSES} to 1000"
        )
    return rule


def _check_numbers(values: Mapping[str, Any]) -> None:
    for name in NUMBERS:
        if isinstance(values[name], bool) or not isinstance(values[name], int | float):
            raise UserError(f"task.rule.{name}={values[name]}: must be a number")


class Scale(NamedTuple):
    """What one interleaved set says: slowdowns by rung after the first, then by process."""

    name: str
    slowdowns: tuple[tuple[float, ...], ...]
    again: tuple[float, ...]  # the first rung against itself
    multiply_adds: tuple[int, ...]  # of every rung
    kernels: tuple[frozenset[str] | None, ...]  # of every rung; None: not known
    grades: tuple[str | None, ...]  # of every rung and the copy


class Decision(NamedTuple):
    """Fractions, not logarithms. `low` and `high` are None where processes are too few."""

    answer: Answer
    why: str  # "no effect", "reversed", or what stands in the way
    effect: float
    low: float | None
    high: float | None
    delta: float
    noise: float  # what the first rung shows against itself
    processes: int
    scales: dict[str, float]


class _Estimate(NamedTuple):
    values: tuple[float, ...]  # by process: the mean over scales, of the last rung
    noise: float
    delta: float  # of the logarithm
    obstacles: tuple[str, ...]
    against: tuple[str, ...]  # steps that run against the prediction


def decide(axes: Sequence[Sequence[Scale]], rule: Rule) -> list[Decision]:
    """The verdicts of one cell on several axes, with Holm's correction over all of them.

    Source of the correction: Holm 1979, Scandinavian Journal of Statistics 6:65.
    """
    estimates = [_estimate(scales, rule) for scales in axes]
    levels = _levels([_smaller_p(estimate) for estimate in estimates], 1 - rule.confidence)
    return [
        _decision(estimate, scales, level)
        for estimate, scales, level in zip(estimates, axes, levels, strict=True)
    ]


def _estimate(scales: Sequence[Scale], rule: Rule) -> _Estimate:
    values = _over_scales([scale.slowdowns[-1] for scale in scales])
    again = _over_scales([scale.again for scale in scales])
    noise = sqrt(fmean(value**2 for value in again)) if again else inf
    delta = log1p(max(rule.smallest, rule.noises * expm1(noise)))
    obstacles = (
        *_too_few(values, rule),
        *_unequal(scales, rule),
        *_mixed(scales),
        *_graded(scales, rule),
        *_disagreeing(scales, delta, rule),
    )
    return _Estimate(values, noise, delta, obstacles, tuple(_against(scales, delta)))


def _over_scales(by_scale: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """The mean over scales of each process that all of them have."""
    processes = min(map(len, by_scale))
    return tuple(fmean(each[number] for each in by_scale) for number in range(processes))


def _too_few(values: Sequence[float], rule: Rule) -> list[str]:
    few = len(values) < rule.processes
    return [f"{len(values)} processes, and {rule.processes} are the fewest"] if few else []


def _unequal(scales: Sequence[Scale], rule: Rule) -> list[str]:
    found = []
    for scale in scales:
        worst = max(abs(work / scale.multiply_adds[0] - 1) for work in scale.multiply_adds)
        if worst > rule.equal:
            found.append(f"multiply-adds differ by {100 * worst:.2g} % at {scale.name}")
    return found


def _mixed(scales: Sequence[Scale]) -> list[str]:
    unknown = [scale.name for scale in scales if None in scale.kernels]
    if unknown:
        return [f"which kernels ran at {', '.join(unknown)} is not known"]
    mixed = [scale.name for scale in scales if len(set(scale.kernels)) > 1]
    if not mixed:
        return []
    kernels = sorted({name for scale in scales for one in scale.kernels for name in one or ()})
    return [f"other kernels run on other rungs at {', '.join(mixed)}: {', '.join(kernels)}"]


def _graded(scales: Sequence[Scale], rule: Rule) -> list[str]:
    # Of letters the last one is the worst; without a grade nothing was timed.
    worst = max((grade or GRADES[-1] for scale in scales for grade in scale.grades), default="A")
    return [f"quality is {worst}"] if worst > rule.worst_grade else []


def _disagreeing(scales: Sequence[Scale], delta: float, rule: Rule) -> list[str]:
    """Scales whose own intervals lie on different sides of delta."""
    above, below = [], []
    for scale in scales:
        found = interval(scale.slowdowns[-1], 1 - rule.confidence)
        if found is not None and found[0] > delta:
            above.append(scale.name)
        elif found is not None and found[1] < delta:
            below.append(scale.name)
    if not above or not below:
        return []
    return [f"scales disagree: slower at {', '.join(above)}, not at {', '.join(below)}"]


def _against(scales: Sequence[Scale], delta: float) -> list[str]:
    rungs = len(scales[0].slowdowns)
    means = [0.0] + [fmean(_over_scales([s.slowdowns[n] for s in scales])) for n in range(rungs)]
    return [
        f"step {number} is faster by {-100 * expm1(after - before):.2g} %"
        for number, (before, after) in enumerate(pairwise(means), start=1)
        if after - before < -delta
    ]


def _smaller_p(estimate: _Estimate) -> float:
    """One-sided, of the slowdown being delta: the side that speaks louder."""
    from scipy.special import stdtr

    if len(estimate.values) < FEWEST_PROCESSES:
        return 1.0
    error = sqrt(variance(estimate.values) / len(estimate.values))
    distance = fmean(estimate.values) - estimate.delta
    if error == 0:
        return 0.0 if distance else 1.0
    return float(stdtr(len(estimate.values) - 1, -abs(distance) / error))


def _levels(p_values: Sequence[float], level: float) -> list[float]:
    """The two-sided level each is judged at: level / m for the smallest p, and so on.

    After the first that fails, the rest are judged at its level, at which they fail too.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    levels, failed = [level] * len(p_values), None
    for place, index in enumerate(order):
        own = level / (len(p_values) - place)
        if failed is None and p_values[index] > own / 2:
            failed = own
        levels[index] = own if failed is None else failed
    return levels


def interval(values: Sequence[float], level: float) -> tuple[float, float] | None:
    """Student's t over processes; None of fewer than 2."""
    from scipy.special import stdtrit

    if len(values) < 2:
        return None
    half = float(stdtrit(len(values) - 1, 1 - level / 2)) * sqrt(variance(values) / len(values))
    return fmean(values) - half, fmean(values) + half


def _decision(estimate: _Estimate, scales: Sequence[Scale], level: float) -> Decision:
    bounds = interval(estimate.values, level)
    answer, why = _answer(estimate, bounds)
    return Decision(
        answer,
        why,
        effect=expm1(fmean(estimate.values)) if estimate.values else 0.0,
        low=None if bounds is None else expm1(bounds[0]),
        high=None if bounds is None else expm1(bounds[1]),
        delta=expm1(estimate.delta),
        noise=expm1(estimate.noise) if estimate.noise < inf else inf,
        processes=len(estimate.values),
        scales={scale.name: expm1(fmean(scale.slowdowns[-1])) for scale in scales},
    )


def _answer(estimate: _Estimate, bounds: tuple[float, float] | None) -> tuple[Answer, str]:
    if estimate.obstacles or bounds is None:
        return Answer.INCONCLUSIVE, "; ".join(estimate.obstacles)
    low, high = bounds
    if high < estimate.delta:
        return Answer.REFUTED, "reversed" if high < -estimate.delta else "no effect"
    if low <= estimate.delta:
        return Answer.INCONCLUSIVE, "the interval holds the smallest effect that counts"
    if estimate.against:
        return Answer.INCONCLUSIVE, "; ".join(estimate.against)
    return Answer.SUPPORTED, ""
