"""Calls until caches, allocator, clock and library have settled, or until a limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from benchbench.config import BudgetSettings
from benchbench.profilers.beat import Beat
from benchbench.profilers.stopwatch import Stopwatch, calls_per_sample, timer_cost
from benchbench.statistics.steady import WINDOW, steady

FEWEST_CALLS = 3


@dataclass(frozen=True)
class WarmUp:
    """The curve of a warm-up, and whether it became flat."""

    seconds: float
    samples: tuple[float, ...]  # seconds a call
    steady: bool | None

    @property
    def typical(self) -> float:
        """Seconds of a call at the end, whatever became of the very last."""
        return median(self.samples[-WINDOW:])

    def as_dict(self) -> dict[str, Any]:
        """As records keep it."""
        return {
            "seconds": self.seconds,
            "calls": len(self.samples),
            "steady": self.steady,
            "samples": self.samples,
        }


def warm_up(
    call: Callable[[], object], stopwatch: Stopwatch, budget: BudgetSettings, beat: Beat
) -> WarmUp:
    """Call until steady, for the budget's least and at most its limit of seconds.

    Samples are as long as the timed ones, so that a short call's noise is not taken for drift.
    Where the limit has no room for the samples that it takes to tell, `steady` is None.
    """
    started = perf_counter()
    samples = [stopwatch.time(call).own for _ in range(FEWEST_CALLS)]
    calls = calls_per_sample(median(samples), timer_cost())
    flat = False
    while beat(0.0):
        spent = perf_counter() - started
        flat = steady(samples)
        if (flat and spent >= budget.warm_up_seconds) or spent >= _limit(budget):
            break
        samples.append(stopwatch.time(call, calls).own)
    known = flat if len(samples) >= 2 * WINDOW else None
    return WarmUp(perf_counter() - started, tuple(samples), known)


def _limit(budget: BudgetSettings) -> float:
    return max(budget.warm_up_limit_seconds, budget.warm_up_seconds)
