"""Scaling a network in width, depth and resolution: EfficientNet's section 3.3, for any family."""

from __future__ import annotations

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
