"""Equal multiply-adds: the one factor that gives an edited network its base's work back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from benchbench.cases import Case
from benchbench.errors import UserError

LEAST_MOVED = 0.01  # of the multiply-adds: an edit that moves fewer is left alone
# What a step of each compensator is; resolution goes by pixels.
STEPS = {"width": 1000, "depth": 100}
# How the work grows with each, about: where to look first.
GROWTH = {"width": 2.0, "depth": 1.0, "resolution": 2.0}
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


def compensated(
    case: Case, target: int, by: str = "width", known: Mapping[float, float] | None = None
) -> Compensated:
    """The case of an edited network, scaled so that its multiply-adds come next to `target`.

    One that is within 1 % of it stays as it is. `width` and `depth` are arguments of
    `architectures.edited_mbconv.EditedMBConv`, `resolution` is the input's. `known` are factors
    by what was moved, of networks like this one: the search begins at the most similar one's.

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

    @cache
    def count(steps: int) -> int:
        return multiply_adds(scaled(steps))

    guess = (target / before) ** (1 / GROWTH[by])
    if known:
        guess = known[min(known, key=lambda other: abs(other - moved))]
    limits = (max(1, step // LARGEST), LARGEST * step)
    try:
        best = closest(count, target, round(guess * step), limits)
    except ValueError as error:
        raise UserError(f"{case.name}: {by} cannot make up for the edit: {error}") from error
    return Compensated(scaled(best), by, best / step, moved, count(best) / target - 1)


def closest(count: Callable[[int], int], target: int, guess: int, limits: tuple[int, int]) -> int:
    """Where a count that grows with a whole number comes next to `target`.

    By bisection, between two steps that are found in strides which double from the guess on.

    Raises:
        ValueError: it does not reach it within the limits.
    """
    least, most = limits
    low = high = min(max(guess, least), most)
    stride = 1
    while count(high) < target:
        if high == most:
            raise ValueError(f"{count(high):,} multiply-adds at most, and {target:,} are wanted")
        low, high, stride = high, min(high + stride, most), 2 * stride
    while count(low) > target:
        if low == least:
            raise ValueError(f"{count(low):,} multiply-adds at least, and {target:,} are wanted")
        low, high, stride = max(low - stride, least), low, 2 * stride
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < target else (low, middle)
    return min((low, high), key=lambda steps: abs(count(steps) - target))
