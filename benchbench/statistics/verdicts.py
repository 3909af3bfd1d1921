"""Is the candidate slower than the baseline? An answer, and the effect that could have been seen.

The process is the unit of replication: every log ratio here is one process's. Ratios are
candidate / baseline, so above 1 the candidate is slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from math import exp, expm1, inf, isfinite, log1p, sqrt
from statistics import fmean, variance
from typing import NamedTuple

SMALLEST_THRESHOLD = 0.01
NOISES = 2  # how many times the machine's A/A noise a difference must exceed
FEWEST_PROCESSES = 3  # for any answer but AMBIGUOUS
CONFIDENCE = 0.99
POWER = 0.95


WIDEST_SAME = 0.1  # a theta beyond it says too little to call anything the same


class Answer(StrEnum):
    FASTER = "FASTER"
    SLOWER = "SLOWER"
    SAME = "SAME"
    AMBIGUOUS = "AMBIGUOUS"


class Verdict(NamedTuple):
    """`low` and `high` are of the ratio; None, as the p value, where processes are too few."""

    answer: Answer
    ratio: float  # candidate / baseline
    low: float | None
    high: float | None
    theta: float  # the fraction by which they must differ to be called different
    detectable: float | None  # smallest true slowdown found with 95 % probability, a fraction
    processes: int  # of the smaller side
    p_value: float | None  # two-sided, of t, for the ratio being 1


class _Estimate(NamedTuple):
    centre: float  # of the log ratio
    error: float  # its standard error
    degrees: float  # of freedom
    processes: int


def threshold(noise: float | None) -> float:
    """Theta: 1 %, or twice the machine's A/A noise between processes (a fraction) if larger."""
    return SMALLEST_THRESHOLD if noise is None else max(SMALLEST_THRESHOLD, NOISES * noise)


def paired(log_ratios: Sequence[float], *, theta: float, confidence: float = CONFIDENCE) -> Verdict:
    """The verdict on pairs measured in turn: one log ratio a process.

    SLOWER where the whole t interval lies above log(1 + theta), FASTER where it lies below
    -log(1 + theta), SAME where inside, else AMBIGUOUS, as always below 3 processes.

    Raises:
        ValueError: no log ratio, or one that is not finite.
    """
    _check(log_ratios)
    n = len(log_ratios)
    error = sqrt(variance(log_ratios) / n) if n > 1 else inf
    return _judged(_Estimate(fmean(log_ratios), error, n - 1, n), theta, confidence)


def apart(
    baseline_logs: Sequence[float],
    candidate_logs: Sequence[float],
    *,
    theta: float,
    confidence: float = CONFIDENCE,
) -> Verdict:
    """The verdict on records measured in different processes: one log of the figure a process.

    Welch's t, since two sessions need not be equally noisy. Source: Welch 1947, Biometrika 34:28.

    Raises:
        ValueError: a side without processes, or a log that is not finite.
    """
    sides = baseline_logs, candidate_logs
    for logs in sides:
        _check(logs)
    centre = fmean(candidate_logs) - fmean(baseline_logs)
    counts = [len(logs) for logs in sides]
    if min(counts) < 2:
        return _judged(_Estimate(centre, inf, 0, min(counts)), theta, confidence)
    squares = [variance(logs) / n for logs, n in zip(sides, counts, strict=True)]
    error = sqrt(sum(squares))
    return _judged(
        _Estimate(centre, error, _welch(squares, counts), min(counts)), theta, confidence
    )


def overall(
    log_ratios_by_model: Sequence[Sequence[float]], theta: float, confidence: float = CONFIDENCE
) -> Verdict:
    """The verdict on the geometric mean over models: [model][process], the same processes.

    Over models within each process first, so that what a process does to all of them stays in.

    Raises:
        ValueError: models with unlike numbers of processes, or as `paired`.
    """
    processes = zip(*log_ratios_by_model, strict=True)
    return paired([fmean(logs) for logs in processes], theta=theta, confidence=confidence)


def smallest_effect(
    spread: float,
    processes: int,
    theta: float,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> float:
    """The smallest true slowdown, a fraction, that `paired` calls SLOWER with that power.

    `spread` is the standard deviation between processes of the log ratio. Infinite below 3
    processes, where nothing is ever found.
    """
    if processes < FEWEST_PROCESSES:
        return inf
    return _smallest(spread / sqrt(processes), processes - 1, theta, confidence, power)


def benjamini_hochberg(p_values: Sequence[float], level: float = 0.05) -> list[bool]:
    """Which of many models differ, so that at most `level` of those named are named falsely.

    Give it the p values of the verdicts' t tests. Wilcoxon's signed-rank test cannot serve here:
    its smallest two-sided p value with n processes is 2^(1 - n), which is 0.0625 with the standard
    5 and, with the rigorous 10, 0.002, still too large for one model among 26 to be named alone.

    Source: Benjamini and Hochberg 1995, Journal of the Royal Statistical Society B 57:289.
    """
    m = len(p_values)
    ranked = enumerate(sorted(p_values), start=1)
    largest = max((p for rank, p in ranked if p <= level * rank / m), default=-inf)
    return [p <= largest for p in p_values]


def corrected(verdicts: Sequence[Verdict], level: float = 1 - CONFIDENCE) -> list[Verdict]:
    """The same where many are judged at once: of those called different, at most `level` wrongly.

    What Benjamini and Hochberg's procedure does not keep becomes AMBIGUOUS.
    """
    known = [verdict.p_value for verdict in verdicts if verdict.p_value is not None]
    kept = iter(benjamini_hochberg(known, level) if known else [])
    found = []
    for verdict in verdicts:
        stands = verdict.p_value is None or next(kept)
        different = verdict.answer in (Answer.FASTER, Answer.SLOWER)
        answer = Answer.AMBIGUOUS if different and not stands else verdict.answer
        found.append(verdict._replace(answer=answer))
    return found


def _check(logs: Sequence[float]) -> None:
    if not logs:
        raise ValueError("no processes to judge")
    for value in logs:
        if not isfinite(value):
            raise ValueError(f"{value} is not the log of a measured figure")


def _welch(squares: Sequence[float], counts: Sequence[int]) -> float:
    """Welch's degrees of freedom, from the squared standard errors of both sides."""
    if sum(squares) == 0:
        return sum(counts) - 2
    shares = [square / sum(squares) for square in squares]
    return 1 / sum(share**2 / (n - 1) for share, n in zip(shares, counts, strict=True))


def _judged(estimate: _Estimate, theta: float, confidence: float) -> Verdict:
    from scipy.special import stdtrit

    centre, error, degrees, processes = estimate
    ratio = exp(centre)
    if error == inf:
        return Verdict(Answer.AMBIGUOUS, ratio, None, None, theta, None, processes, None)
    half = float(stdtrit(degrees, (1 + confidence) / 2)) * error
    answer, detectable = Answer.AMBIGUOUS, None
    if processes >= FEWEST_PROCESSES:
        answer = _answer(centre - half, centre + half, log1p(theta))
        detectable = _smallest(error, degrees, theta, confidence, POWER)
    low, high = exp(centre - half), exp(centre + half)
    return Verdict(answer, ratio, low, high, theta, detectable, processes, _p_value(estimate))


def _answer(low: float, high: float, bound: float) -> Answer:
    """Of an interval of the log ratio."""
    if low > bound:
        return Answer.SLOWER
    if high < -bound:
        return Answer.FASTER
    inside = -bound <= low and high <= bound
    return Answer.SAME if inside and bound <= log1p(WIDEST_SAME) else Answer.AMBIGUOUS


def _p_value(estimate: _Estimate) -> float:
    from scipy.special import stdtr

    if estimate.error == 0:
        return float(estimate.centre == 0)
    return 2 * float(stdtr(estimate.degrees, -abs(estimate.centre) / estimate.error))


def _smallest(error: float, degrees: float, theta: float, confidence: float, power: float) -> float:
    """Exact: the lower end's distance to theta, in errors, follows a noncentral t."""
    from scipy.special import nctdtrinc, stdtrit

    quantile = stdtrit(degrees, (1 + confidence) / 2)
    distance = float(nctdtrinc(degrees, 1 - power, quantile))
    return expm1(log1p(theta) + distance * error)
