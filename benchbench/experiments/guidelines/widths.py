"""Widths of a chain of 1x1 convolutions that together do a wanted number of multiply-adds.

Halving the work of a convolution takes 0.707 of its width, which is seldom a multiple of a vector
block. A chain that mixes neighbouring multiples hits the work all the same.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

BLOCK = 16  # fp32 elements of AVX-512, and what most other vector units divide
TOLERANCE = 0.0025  # of the wanted work


class _Chain(NamedTuple):
    unequal: float  # what guideline 1 would charge: sum of (sqrt(in) - sqrt(out))^2
    widths: tuple[int, ...]


def chain(channels: int, convolutions: int, share: int) -> tuple[int, ...]:
    """The channels before each of so many convolutions, and after the last one.

    Together they do as many multiply-adds a pixel as `convolutions / share` of `channels` to
    `channels`. Of the chains of the three nearest multiples of 16 within 0.25 %, the one with the
    most equal widths. Linear in convolutions times reachable sums.

    Raises:
        ValueError: no such chain.
    """
    wanted = channels**2 * convolutions / share
    ideal = channels / sqrt(share)
    nearest = round(ideal / BLOCK)
    choice = [BLOCK * step for step in (nearest - 1, nearest, nearest + 1) if step > 0]
    reached: dict[tuple[int, int], _Chain] = {(width, 0): _Chain(0.0, (width,)) for width in choice}
    for _ in range(convolutions):
        reached = _longer(reached, choice)
    fitting = [chain for (_, work), chain in reached.items() if abs(work / wanted - 1) <= TOLERANCE]
    if not fitting:
        raise ValueError(f"no chain of {choice} does the work of {channels} channels")
    return min(fitting).widths


def _longer(
    reached: dict[tuple[int, int], _Chain], choice: list[int]
) -> dict[tuple[int, int], _Chain]:
    """Every chain with one convolution more, the most equal one for each end and work."""
    found: dict[tuple[int, int], _Chain] = {}
    for (last, work), known in reached.items():
        for width in choice:
            unequal = known.unequal + (sqrt(last) - sqrt(width)) ** 2
            key = (width, work + last * width)
            if key not in found or unequal < found[key].unequal - 1e-9:
                found[key] = _Chain(unequal, (*known.widths, width))
    return found
