"""What a profiler yields: raw samples of a metric. Statistics are properties, never stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any, NamedTuple

from benchbench.metrics import METRICS
from benchbench.statistics.intervals import (
    Interval,
    median_interval,
    proportion_interval,
)

Number = int | float


class Estimator(NamedTuple):
    """What stands for a metric's samples, and how far it is to be trusted."""

    value: Callable[[Sequence[Number]], Number]
    interval: Callable[[Sequence[Number]], Interval | None]


ESTIMATORS = {
    "median": Estimator(median, median_interval),
    "proportion": Estimator(fmean, proportion_interval),
}


@dataclass(frozen=True)
class Measurement:
    """One metric of one case: every raw sample, by process.

    A metric without samples is absent, and `reason` says why: absent is not zero.

    Raises:
        ValueError: an unknown metric, a sample that is no finite number from 0 on, or
            neither samples nor a reason.
    """

    metric: str
    samples: tuple[tuple[Number, ...], ...] = ()
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"unknown metric {self.metric!r}")
        if any(not 0 <= sample < float("inf") for sample in self.flat):
            raise ValueError(f"{self.metric}: a sample is not a finite number from 0 on")
        if bool(self.flat) == (self.reason is not None):
            raise ValueError(f"{self.metric}: needs either samples or the reason for none")

    @property
    def flat(self) -> tuple[Number, ...]:
        """The samples of all processes."""
        return tuple(sample for process in self.samples for sample in process)

    @property
    def value(self) -> Number | None:
        """The metric's estimate; an exact metric has one sample, which this returns as is."""
        return self._estimator.value(self.flat) if self.flat else None

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of the value within one process; None for exact or few samples."""
        if METRICS[self.metric].exact or len(self.samples) != 1:
            return None
        return self._estimator.interval(self.flat)

    @property
    def _estimator(self) -> Estimator:
        return ESTIMATORS[METRICS[self.metric].estimator]


def exact(metric: str, value: Number, **details: Any) -> Measurement:
    """A metric that is the same however often it is taken."""
    return Measurement(metric, samples=((value,),), details=details)


def absent(metric: str, reason: str) -> Measurement:
    """A metric that could not be taken, and why."""
    return Measurement(metric, reason=reason)


@dataclass(frozen=True)
class Layer:
    """The counts of one layer: a module and the operators its own code executes.

    A fused kernel belongs to the layer that starts it.
    """

    name: str
    kind: str  # "depthwise 3x3 / 2", "linear", "silu_"
    output_shape: tuple[int, ...]
    params: int
    multiply_adds: int
    activations: int
    launches: int
    memory_access_paper: int
    memory_access_ops: int
    memory_access_fused: int
