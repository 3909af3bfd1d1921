"""What a profiler yields: raw samples of a metric. Statistics are properties, never stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any, NamedTuple

from benchbench.metrics import METRICS
from benchbench.statistics.intervals import (
    Interval,
    geometric_mean,
    mean_interval,
    process_interval,
    proportion_interval,
)

Number = int | float


class Estimator(NamedTuple):
    """What stands for a metric's samples of all processes, and how far it is to be trusted."""

    value: Callable[[Sequence[Sequence[Number]]], Number]
    interval: Callable[[Sequence[Sequence[Number]]], Interval | None]


def _flat(samples: Sequence[Sequence[Number]]) -> list[Number]:
    return [sample for process in samples for sample in process]


def _medians(samples: Sequence[Sequence[Number]]) -> list[Number]:
    return [median(process) for process in samples if process]


def _centre(samples: Sequence[Sequence[Number]]) -> Number:
    """A single sample is returned as it is: counts stay whole."""
    medians = _medians(samples)
    return medians[0] if len(medians) == 1 else geometric_mean(medians)


def _mean_interval(samples: Sequence[Sequence[Number]]) -> Interval | None:
    """No sample is below 0, so neither is their mean."""
    found = mean_interval(_flat(samples))
    return found and found._replace(low=max(0.0, found.low))


# The process is the unit of replication: within one, the same network's median holds still.
ESTIMATORS = {
    "median": Estimator(_centre, lambda samples: process_interval(_medians(samples))),
    "proportion": Estimator(
        lambda samples: fmean(_flat(samples)), lambda samples: proportion_interval(_flat(samples))
    ),
    "mean": Estimator(lambda samples: fmean(_flat(samples)), _mean_interval),
    # Further samples only ever raise it: no interval from these would cover what it tends to.
    "maximum": Estimator(lambda samples: max(_flat(samples)), lambda samples: None),
}


@dataclass(frozen=True)
class Measurement:
    """One metric of one case: every raw sample, by process.

    A metric without samples is absent, and `reason` says why: absent is not zero. What is
    known of each process stands in `details["processes"]`, one dictionary each.

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
        return tuple(_flat(self.samples))

    @property
    def medians(self) -> tuple[Number, ...]:
        """The median of each process that has samples."""
        return tuple(_medians(self.samples))

    @property
    def value(self) -> Number | None:
        """By the metric's estimator; an exact metric's one sample as is."""
        return self._estimator.value(self.samples) if self.flat else None

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of the value; None for an exact one, or from one process."""
        if METRICS[self.metric].exact or not self.flat:
            return None
        return self._estimator.interval(self.samples)

    @property
    def processes(self) -> tuple[Mapping[str, Any], ...]:
        """What is known of each process; none where nobody wrote it down."""
        return tuple(self.details.get("processes", ()))

    @property
    def _estimator(self) -> Estimator:
        return ESTIMATORS[METRICS[self.metric].estimator]


def exact(metric: str, value: Number, **details: Any) -> Measurement:
    """A metric that is the same however often it is taken."""
    return Measurement(metric, samples=((value,),), details=details)


def absent(metric: str, reason: str) -> Measurement:
    """A metric that could not be taken, and why."""
    return Measurement(metric, reason=reason)


def joined(first: Measurement, second: Measurement) -> Measurement:
    """The same metric from two sets of processes; what is absent adds nothing."""
    if not first.samples or not second.samples:
        return first if first.samples or not second.samples else second
    processes = [*first.processes, *second.processes]
    details = {**second.details, **first.details} | ({"processes": processes} if processes else {})
    return Measurement(first.metric, first.samples + second.samples, details=details)


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
