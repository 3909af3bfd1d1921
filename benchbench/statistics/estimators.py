"""What stands for one block of samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

BLOCK_VALUES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "median": median,  # what a user feels, disturbances included
    "minimum": min,  # what the code needs; holds still where other programs interrupt the calls
}


def block_value(samples: Sequence[float], estimator: str = "median") -> float:
    """One value for a block's samples, in their unit. Say beside the number which it was.

    Interruptions only ever add time, so with busy neighbours the ratio of minima holds still
    long after that of medians does not. Undisturbed, the median uses more of the samples.

    Raises:
        ValueError: an unknown estimator, or no samples.
    """
    if estimator not in BLOCK_VALUES:
        raise ValueError(f"unknown estimator {estimator!r}; one of {', '.join(BLOCK_VALUES)}")
    return BLOCK_VALUES[estimator](samples)
