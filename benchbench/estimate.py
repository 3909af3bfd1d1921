"""How long a run will take, said before it begins: an estimate from its schedule and its budget.

The constants were taken on a 2-core Xeon and are the same everywhere: what the budget grants is
most of a run, and that is known exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.schedule import executes, prepared_together
from benchbench.worker import INTERLEAVED, Work

if TYPE_CHECKING:
    from benchbench.counting.cost import Cost

START_SECONDS = 3.0  # to start a process and to import torch
BUILD_SECONDS = 0.02  # a network, without its forwards
OPERATOR_SECONDS, MULTIPLY_ADDS_PER_SECOND = 5e-5, 5.5e10  # of a call, one thread in fp32
WARM_UP_CALLS = 20  # most become steady in so many
CALLS_TO_PREPARE = 6  # calibrating, looking at activations, the first call and copies
LONE_SHARE = 0.5  # of its seconds, after which a single network is mostly known well enough
FEWEST_ROUNDS = 3  # before a timing loop may end
# Exporting or compiling a network: seconds for it, and for each of its operators.
PREPARATION = {"onnxruntime": (0.5, 0.01), "openvino": (0.8, 0.012), "compiled": (1.0, 0.06)}
QUANTISING_CALLS = 200  # of the network, for int8's ranges and corrections
FIXED_SECONDS = {
    "device_time": 4.0,
    "memory": 1.5,
    "energy": 8.0,
    "fvcore": 1.0,
    "operators": 2.0,
    "roofs": 4.0,
    "graph": 1.0,
    "kernels": 0.1,
}


class Size(NamedTuple):
    """What a call's time follows from, roughly."""

    launches: float
    multiply_adds: float

    @property
    def call_seconds(self) -> float:
        """Seconds of a call."""
        return self.launches * OPERATOR_SECONDS + self.multiply_adds / MULTIPLY_ADDS_PER_SECOND


UNKNOWN = Size(150, 3e8)  # of a network that was not counted: MobileNetV2's


class Estimate(NamedTuple):
    """Seconds of a whole run, and of exporting and compiling before anything is timed."""

    seconds: float
    preparation_seconds: float

    def __str__(self) -> str:
        """A sentence for the first line of a run."""
        said = f"this run takes about {duration(self.seconds)}"
        if self.preparation_seconds < 1:
            return said
        return f"{said}, of which {duration(self.preparation_seconds)} prepare the runtimes"


def size_of(cost: Cost) -> Size:
    """The size of a network that was counted."""
    launches = next(item for item in cost.measurements if item.metric == "launches")
    return Size(launches.flat[0], cost.multiply_adds)


def estimate(
    cases: Sequence[Case],
    plan: Sequence[tuple[Work, Sequence[int]]],
    sizes: Sequence[Size | None],
) -> Estimate:
    """What a plan takes; `sizes` of the cases, None for those that nobody counted."""
    known = [size or UNKNOWN for size in sizes]
    together = prepared_together(cases) if executes(plan) else []
    preparation = sum(
        START_SECONDS + sum(_preparation(cases[index], known[index]) for index in indices)
        for indices in together
    )
    measuring = sum(_process(work, [known[index] for index in indices]) for work, indices in plan)
    return Estimate(preparation + measuring, preparation)


def duration(seconds: float) -> str:
    """ "40 s", "7 min", "1 h 20 min": no more digits than an estimate has."""
    if seconds < 90:
        step = 5 if seconds >= 5 else 1
        return f"{max(1, round(seconds / step) * step)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _preparation(case: Case, size: Size) -> float:
    base, by_operator = PREPARATION.get(case.runtime, (0.0, 0.0))
    calls = CALLS_TO_PREPARE + (QUANTISING_CALLS if case.precision == "int8" else 0)
    return BUILD_SECONDS + base + by_operator * size.launches + calls * size.call_seconds


def _process(work: Work, sizes: Sequence[Size]) -> float:
    seconds = START_SECONDS
    for name in work.profilers:
        if name in INTERLEAVED:
            seconds += _interleaved(sizes, work.budget)
        else:
            seconds += sum(FIXED_SECONDS.get(name, 0.0) + 3 * one.call_seconds for one in sizes)
    return seconds


def _interleaved(sizes: Sequence[Size], budget: BudgetSettings) -> float:
    """What the timing loop of a process takes: the budget, or as long as the fewest samples."""
    calls = [size.call_seconds for size in sizes]
    limit = max(budget.warm_up_limit_seconds, budget.warm_up_seconds)
    warm_up = sum(min(max(budget.warm_up_seconds, WARM_UP_CALLS * call), limit) for call in calls)
    granted = budget.seconds * (len(calls) if len(calls) > 1 else LONE_SHARE)
    timed = max(granted, max(FEWEST_ROUNDS, budget.min_samples) * sum(calls))
    return len(calls) * BUILD_SECONDS + CALLS_TO_PREPARE * sum(calls) + warm_up + timed
