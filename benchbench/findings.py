"""What checks of a measurement have in common: what they look at, what they find, and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from benchbench.measure import Measured
from benchbench.measurements import Measurement


class Finding(NamedTuple):
    """What a check saw: the best grade that leaves, None for advice alone, and the reason."""

    grade: str | None
    reason: str


class Subject(NamedTuple):
    """What a check looks at: one measurement, and where it was taken."""

    measurement: Measurement
    measured: Measured

    @property
    def processes(self) -> Sequence[Mapping[str, Any]]:
        """What each process told of itself."""
        told: Sequence[Mapping[str, Any]] = self.measurement.details.get("processes", ())
        return told

    @property
    def medians(self) -> list[float]:
        """One for each process that came to a sample."""
        return [median(process) for process in self.measurement.samples if process]

    @property
    def spread(self) -> float:
        """How far apart the processes' medians lie, as a share of the middle one."""
        middle = median(self.medians)
        return (max(self.medians) - min(self.medians)) / middle if middle else 0.0

    def told(self, group: str, name: str) -> list[Any]:
        """A value of each process that has it."""
        values = ((process.get(group) or {}).get(name) for process in self.processes)
        return [value for value in values if value is not None]


class Limit(NamedTuple):
    over: float
    grade: str


# The grade's promise itself: A's is 1 %, B's is 5 %. Past 20 % not even the order is known.
INTERVAL = (Limit(0.20, "D"), Limit(0.05, "C"), Limit(0.01, "B"))


def worst_over(value: float, limits: Sequence[Limit]) -> str | None:
    """The grade of the highest limit that a value is over; None where it is over none."""
    return next((limit.grade for limit in limits if value > limit.over), None)


def percent(share: float) -> str:
    """A share as text: `percent(0.034)` is "3.4 %"."""
    return f"{100 * share:.1f} %"
