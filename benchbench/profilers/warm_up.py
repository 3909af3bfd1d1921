"""Calls until caches, allocator, clock and library have settled, or until a limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from benchbench.profilers.beat import Beat
from benchbench.profilers.stopwatch import Stopwatch, calls_per_sample, timer_cost
from benchbench.statistics.steady import steady

FEWEST_CALLS = 3


@dataclass(frozen=True)
class WarmUp:
    """The curve of a warm-up, and whether it became flat."""

    seconds: float
    samples: tuple[float, ...]  # seconds a call
    steady: bool

    @property
    def last(self) -> float:
        """Seconds of the last call."""
        return self.samples[-1]

    def as_dict(self) -> dict[str, Any]:
        """As records keep it."""
        return {
            "seconds": self.seconds,
            "calls": len(self.samples),
            "steady": self.steady,
            "samples": self.samples,
        }


def warm_up(
    call: Callable[[], object], stopwatch: Stopwatch, least: float, limit: float, beat: Beat
) -> WarmUp:
    """Call for at least `least` seconds and until steady, at most `limit` seconds.

    Samples are as long as the timed ones, so that a short call's noise is not taken for drift.
    """
    started = perf_counter()
    samples = [stopwatch.time(call).own for _ in range(FEWEST_CALLS)]
    calls = calls_per_sample(samples[-1], timer_cost())
    flat = False
    while beat(0.0):
        spent = perf_counter() - started
        flat = steady(samples)
        if (flat and spent >= least) or spent >= limit:
            break
        samples.append(stopwatch.time(call, calls).own)
    return WarmUp(perf_counter() - started, tuple(samples), flat)
