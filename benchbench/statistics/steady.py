"""Within one process: is it warm, and has it been sampled for long enough?

A clock is nowhere in here: both questions are asked of the samples so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from benchbench.statistics.intervals import median_interval

WINDOW = 20  # blocks
QUARTILES_WITHIN = 0.05  # of the larger of the two windows' quartiles
DEVIATIONS_WITHIN = 0.10  # of the larger median absolute deviation
NO_DEVIATION = 0.01  # of the median: below, deviations differ by what the clock resolves

PRECISE = "precise"
PRECISE_WITHIN = 0.01  # of the median, to either side
NO_LONGER_SHRINKING = "no longer shrinking"
SHRUNK = 0.9  # of the width at half as many samples; independent samples give 0.71
FEWEST_TO_SEE_SHRINKING = 200


class _Window(NamedTuple):
    quartiles: tuple[float, float, float]
    deviation: float  # median absolute, from the median


def steady(samples: Sequence[float]) -> bool:
    """Whether the last two adjacent windows of 20 samples agree. Constant time.

    Their quartiles (the median is one) within 5 % of the larger, their median absolute deviations
    within 10 % of the larger or both below 1 % of the median, and the first sample of the first
    window no outlier by Tukey's fences, since a slow first sample means that the load had only
    just begun.
    """
    if len(samples) < 2 * WINDOW:
        return False
    first, second = samples[-2 * WINDOW : -WINDOW], samples[-WINDOW:]
    one, two = _window(first), _window(second)
    pairs = zip(one.quartiles, two.quartiles, strict=True)
    return (
        all(_within(QUARTILES_WITHIN, a, b) for a, b in pairs)
        and _deviations_agree(one, two)
        and _inside_the_fences(first[0], one)
    )


def stop_reason(samples: Sequence[float]) -> str | None:
    """Why no more samples are needed, or None. O(n log n): ask again when n grew by a tenth.

    "precise": the 95 % interval of the median lies within 1 % of it. "no longer shrinking": that
    interval is at least 0.9 times as wide as at half as many samples, and there at least 0.9
    times as wide as at a quarter, so that waiting does not help. One halving alone would say so
    of 40 % of independent samples, asked at every tenth more of them; two say so of 3 %.
    """
    now = median_interval(samples)
    if now is None:
        return None
    centre = median(samples)
    if max(now.high - centre, centre - now.low) <= PRECISE_WITHIN * centre:
        return PRECISE
    n = len(samples)
    if n < FEWEST_TO_SEE_SHRINKING:
        return None
    width, half, quarter = (_width(samples[: n // part]) for part in (1, 2, 4))
    return NO_LONGER_SHRINKING if width >= SHRUNK * half and half >= SHRUNK * quarter else None


def _width(samples: Sequence[float]) -> float:
    interval = median_interval(samples)
    assert interval is not None, "a quarter of the fewest is enough for an interval"
    return interval.high - interval.low


def _window(samples: Sequence[float]) -> _Window:
    """Quartiles as the medians of the halves: Tukey's hinges."""
    ordered, half = sorted(samples), WINDOW // 2
    centre = median(ordered)
    quartiles = median(ordered[:half]), centre, median(ordered[half:])
    return _Window(quartiles, median(abs(sample - centre) for sample in ordered))


def _within(share: float, a: float, b: float) -> bool:
    return abs(a - b) <= share * max(a, b)


def _deviations_agree(one: _Window, two: _Window) -> bool:
    return _within(DEVIATIONS_WITHIN, one.deviation, two.deviation) or all(
        window.deviation < NO_DEVIATION * window.quartiles[1] for window in (one, two)
    )


def _inside_the_fences(sample: float, window: _Window) -> bool:
    """Source: Tukey 1977, Exploratory Data Analysis, section 2C."""
    low, _, high = window.quartiles
    reach = 1.5 * (high - low)
    return low - reach <= sample <= high + reach
