"""Wall-clock time of one call, in the simple form: one process, raw samples, a median.

Its interval says what varies within this process only, so no quality grade is given.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from time import perf_counter, perf_counter_ns

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement, absent
from benchbench.profilers.beat import Beat
from benchbench.runtimes.eager import Running, prepare

SHORTEST_SAMPLE = 1e-3  # seconds: shorter calls are timed several at a time
WARM_UP_CALLS = 3


def latency(case: Case, budget: BudgetSettings, beat: Beat) -> Iterator[Measurement]:
    """Host time from call to completion, the device synchronised after every sample."""
    started = perf_counter()
    running = prepare(case)
    built = perf_counter() - started
    first_call = _seconds(running, calls=1)
    warm_up = _warm_up(running, budget, beat)
    calls = max(1, math.ceil(SHORTEST_SAMPLE / warm_up[-1]))
    samples = _samples(running, budget, beat, calls)
    if not samples:
        yield absent("latency", "interrupted before the first sample")
        return
    yield Measurement(
        "latency",
        samples=(samples,),
        details={
            "build_seconds": built,
            "first_call_seconds": first_call,
            "warm_up_seconds": warm_up,
            "calls_per_sample": calls,
        },
    )


def _seconds(running: Running, *, calls: int) -> float:
    """Mean seconds of so many calls in a row."""
    running.synchronise()
    started = perf_counter_ns()
    for _ in range(calls):
        running.call()
    running.synchronise()
    return (perf_counter_ns() - started) / 1e9 / calls


def _warm_up(running: Running, budget: BudgetSettings, beat: Beat) -> list[float]:
    """Seconds of each call until caches, allocator and clock had time to settle."""
    seconds: list[float] = []
    started = perf_counter()
    while len(seconds) < WARM_UP_CALLS or perf_counter() - started < budget.warm_up_seconds:
        seconds.append(_seconds(running, calls=1))
        if not beat(0.0):
            break
    return seconds


def _samples(running: Running, budget: BudgetSettings, beat: Beat, calls: int) -> tuple[float, ...]:
    """Samples for the budget's time, and at least its number of them. No outlier is dropped."""
    samples: list[float] = []
    gc.collect()
    gc.freeze()
    gc.disable()
    started = perf_counter()
    done = 0.0
    while beat(min(done, 1.0)) and done < 1.0:
        samples.append(_seconds(running, calls=calls))
        spent = (perf_counter() - started) / max(budget.seconds, 1e-9)
        done = min(spent, len(samples) / max(budget.min_samples, 1))
    gc.enable()
    gc.unfreeze()
    return tuple(samples)
