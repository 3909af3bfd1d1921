"""Equal multiply-adds: the one factor that gives an edited network its base's work back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from benchbench.cases import Case
from benchbench.errors import UserError

LEAST_MOVED = 0.01  # of the multiply-adds: an edit that moves fewer is left alone
# What a step of each compensator is; resolution goes by pixels.
STEPS = {"width": 2000, "depth": 100}
LARGEST = 16  # times as wide, deep or large, beyond which no factor is looked for


class Compensated(NamedTuple):
    """A case whose multiply-adds are its base's again, as nearly as the steps allow."""

    case: Case
    compensator: str  # "none", "width", "depth" or "resolution"
    factor: float
    moved: float  # what the edits alone do to the multiply-adds, as a fraction of the base's
    miss: float  # what is left of that


def multiply_adds(case: Case) -> int:
    """Of one call, counted on `meta`; 20 ms for EfficientNet-B0."""
    from benchbench.profilers.complexity import complexity

    return complexity(case).multiply_adds


def compensated(case: Case, target: int, by: str = "width") -> Compensated:
    """The case of an edited network, scaled so that its multiply-adds come next to `target`.

    One that is within 1 % of it stays as it is. `width` and `depth` are arguments of
    `architectures.edited_mbconv.EditedMBConv`, `resolution` is the input's.

    Raises:
        UserError: no factor up to 16 either way brings it there.
    """
    before = multiply_adds(case)
    moved = before / target - 1
    if abs(moved) < LEAST_MOVED:
        return Compensated(case, "none", 1.0, moved, moved)
    step = STEPS.get(by, case.resolution)

    def scaled(steps: int) -> Case:
        if by == "resolution":
            return replace(case, resolution=steps)
        arguments: dict[str, Any] = {**case.arguments, by: steps / step}
        return replace(case, arguments=arguments)

    known = {step: before}

    def count(steps: int) -> int:
        if steps not in known:
            known[steps] = multiply_adds(scaled(steps))
        return known[steps]

    try:
        best = closest(count, target, step)
    except ValueError as error:
        raise UserError(f"{case.name}: {by} cannot make up for the edit: {error}") from error
    return Compensated(scaled(best), by, best / step, moved, count(best) / target - 1)


def closest(count: Callable[[int], int], target: int, start: int) -> int:
    """Where a count that grows with a whole number comes next to `target`, by bisection.

    Raises:
        ValueError: it does not reach it within 16 times `start` either way.
    """
    low = high = start
    while count(high) < target:
        low, high = high, 2 * high
        if high > LARGEST * start:
            raise ValueError(f"{count(low):,} at {low / start:g} times, and {target:,} are wanted")
    while count(low) > target:
        low, high = low // 2, low
        if low < max(1, start // LARGEST):
            raise ValueError(f"{count(high):,} at {high / start:g} times, {target:,} are wanted")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < target else (low, middle)
    return min((low, high), key=lambda steps: abs(count(steps) - target))
