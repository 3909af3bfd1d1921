"""Mean power from what two sensors said: a power that was sampled and a counter of energy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class PowerSample(NamedTuple):
    seconds: float  # on any clock
    watts: float | None  # None: the sensor said nothing
    joules: float | None  # of a counter that only grows


def integrated_watts(samples: Sequence[PowerSample]) -> float:
    """Mean of the sampled power: its integral by the trapezoidal rule over the time it spans.

    Raises:
        ValueError: fewer than two samples of it, or all at one instant.
    """
    known = [(sample.seconds, sample.watts) for sample in samples if sample.watts is not None]
    spanned = known[-1][0] - known[0][0] if known else 0.0
    if spanned <= 0:
        raise ValueError(f"the power was told {len(known)} times")
    area = sum((b - a) * (left + right) / 2 for (a, left), (b, right) in pairwise(known))
    return area / spanned


def counted_watts(samples: Sequence[PowerSample]) -> float:
    """Mean power between the first and the last step of the counter.

    A counter stands still for up to 100 ms and then steps: from step to step, what it had
    gathered before the first sample is left out, and what it still holds after the last.

    Raises:
        ValueError: the counter ran backwards (it wrapped, or the driver was loaded anew), or
            stepped fewer than twice.
    """
    known = [(sample.seconds, sample.joules) for sample in samples if sample.joules is not None]
    if any(after < before for (_, before), (_, after) in pairwise(known)):
        raise ValueError("the energy counter ran backwards")
    steps = [later for earlier, later in pairwise(known) if later[1] > earlier[1]]
    if len(steps) < 2:
        raise ValueError(f"the energy counter stepped {len(steps)} times")
    (start, first), *_, (end, last) = steps
    return (last - first) / (end - start)


def net_joules(loaded_watts: float, idle_watts: float, seconds: float, calls: int) -> float:
    """Energy of one call beyond what the idle device takes in the same time.

    Raises:
        ValueError: nothing is left of it, so that one of the two powers cannot be right.
    """
    net = (loaded_watts - idle_watts) * seconds / calls
    if net <= 0:
        raise ValueError(f"{loaded_watts:.4g} W under load, but {idle_watts:.4g} W idle")
    return net
