"""The host's clock around calls, and how long the caller was kept from its core meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from math import ceil
from time import perf_counter_ns
from typing import NamedTuple

SHORTEST_SAMPLE = 1e-3  # seconds: shorter calls are timed several at a time
TIMER_MULTIPLE = 1000  # a sample lasts so many times what reading the clock costs
SCHEDULE = "/proc/thread-self/schedstat"  # ns on a core, ns waiting for one, time slices (Linux)


class Sample(NamedTuple):
    """Seconds of one call: the mean of those timed together."""

    seconds: float
    waited: float  # of these, ready to run while another process had the core

    @property
    def own(self) -> float:
        """Seconds without the wait for a core: those of the call, whoever else is there."""
        return self.seconds - self.waited


class Stopwatch:
    """Times calls of one thread; `synchronise` waits until the device has done them.

    A neighbour that takes the core adds whole time slices to a call. The kernel accounts for
    them (measured: run + wait equals the wall clock to 0.1 %), reading costs half a
    microsecond, and a call that sleeps or waits for anything else still counts in full. With
    several threads, or where the kernel does not tell, nothing is known of a wait: it is 0.
    """

    def __init__(self, synchronise: Callable[[], None], threads: int) -> None:
        self.synchronise = synchronise
        self.schedule: int | None = None
        if threads == 1:
            with suppress(OSError):
                self.schedule = os.open(SCHEDULE, os.O_RDONLY)

    def close(self) -> None:
        """Give back the kernel's file."""
        if self.schedule is not None:
            os.close(self.schedule)
            self.schedule = None

    def time(self, call: Callable[[], object], calls: int = 1) -> Sample:
        """So many calls in a row, from the first until the device is done with the last."""
        self.synchronise()
        started = perf_counter_ns()
        waited = self._waited()  # within the time taken, so that no more can be taken off it
        for _ in range(calls):
            call()
        self.synchronise()
        waited = self._waited() - waited
        seconds = (perf_counter_ns() - started) / 1e9
        return Sample(seconds / calls, waited / calls)

    def _waited(self) -> float:
        if self.schedule is None:
            return 0.0
        return int(os.pread(self.schedule, 64, 0).split()[1]) / 1e9


def calls_per_sample(seconds_per_call: float, timer_cost: float) -> int:
    """How many calls make a sample long enough for the clock."""
    shortest = max(SHORTEST_SAMPLE, TIMER_MULTIPLE * timer_cost)
    return max(1, ceil(shortest / max(seconds_per_call, 1e-9)))


def timer_cost(readings: int = 1000) -> float:
    """Seconds that one reading of the clock takes, on average."""
    times = [perf_counter_ns() for _ in range(readings)]
    return max((times[-1] - times[0]) / (readings - 1), 1) / 1e9


def clock_resolution(readings: int = 10_000) -> float:
    """The smallest step the clock was seen to make, in seconds."""
    times = [perf_counter_ns() for _ in range(readings)]
    return min(b - a for a, b in pairwise(times) if b > a) / 1e9
