"""Scaling a network in width, depth and resolution: EfficientNet's section 3.3, for any family."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import NamedTuple

# Section 4 of arXiv:1905.11946: found by a small grid search around B0, under
# alpha x beta^2 x gamma^2 close to 2, so that each step of phi doubles the multiply-adds.
ALPHA, BETA, GAMMA = 1.2, 1.1, 1.15


class Scale(NamedTuple):
    """Factors on a network's channels, its blocks and its input's height and width."""

    width: float = 1.0
    depth: float = 1.0
    resolution: float = 1.0

    def __mul__(self, other: object) -> Scale:
        if not isinstance(other, Scale):
            return NotImplemented
        return Scale(*(a * b for a, b in zip(self, other, strict=True)))


def compound(phi: float) -> Scale:
    """The factors of a compound coefficient (equation 3); 0 leaves a network as it is.

    The published B1 to B7 follow it loosely: B1 has 1.0, 1.1 and 240 pixels where phi = 1 says
    1.1, 1.2 and 258.
    """
    return Scale(width=BETA**phi, depth=ALPHA**phi, resolution=GAMMA**phi)


def grid(step: float = 0.05, depth_step: float = 0.1, slack: float = 0.1) -> list[Scale]:
    """The points of section 4's "small grid search": factors at phi = 1 that nearly double cost.

    depth x width^2 x resolution^2 is within `slack` of 2, and none of them below 1. Depth takes
    larger steps, for repeats are whole: B0's are 1 to 4.
    """
    depths = [1 + depth_step * number for number in range(round(1 / depth_step) + 1)]
    others = [1 + step * number for number in range(round(0.45 / step) + 1)]
    points = (
        Scale(width=round(width, 6), depth=round(depth, 6), resolution=round(resolution, 6))
        for depth in depths
        for width in others
        for resolution in others
    )
    return [point for point in points if abs(growth(point) - 2) <= slack + 1e-9]


def growth(scale: Scale) -> float:
    """By what multiply-adds grow where nothing is rounded (section 3.3): d x w^2 x r^2."""
    return scale.depth * scale.width**2 * scale.resolution**2


def nearest(
    cost: Callable[[float], float], target: float, low: float, high: float, steps: int = 14
) -> float:
    """Where a cost that grows by steps comes nearest to the target, as a ratio, by bisection."""
    found = {value: cost(value) for value in (low, high)}
    for _ in range(steps):
        middle = (low + high) / 2
        found[middle] = cost(middle)
        low, high = (middle, high) if found[middle] < target else (low, middle)
    return min(found, key=lambda value: abs(log(found[value] / target)))
