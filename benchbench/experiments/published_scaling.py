"""What the EfficientNet paper (arXiv:1905.11946v5) prints about scaling: Tables 3 and 7.

Its rows of ResNet-50 for depth and width read as if their multiply-adds were exchanged, and
Table 7's rows of one dimension are a fifth above what counting gives.
"""

from __future__ import annotations

from typing import NamedTuple

from architectures.scaling import Scale

BASELINE = "baseline"


class Printed(NamedTuple):
    """One row: multiply-adds in units of 10^9 with one decimal, top-1 accuracy in per cent."""

    network: str  # the variant that is scaled
    way: str
    scale: Scale | None  # None: the paper does not print its factors
    billions: float
    top1: float


COMPOUND = Scale(width=1.2, depth=1.4, resolution=1.3)
NONE = Scale()
DEPTH, WIDTH, RESOLUTION = Scale(depth=4.0), Scale(width=2.0), Scale(resolution=2.0)
ROWS = (
    Printed("mobilenet_v1", BASELINE, NONE, 0.6, 70.6),  # Table 3, from here on
    Printed("mobilenet_v1", "width", WIDTH, 2.2, 74.2),
    Printed("mobilenet_v1", "resolution", RESOLUTION, 2.2, 72.7),
    Printed("mobilenet_v1", "compound", COMPOUND, 2.3, 75.6),
    Printed("mobilenet_v2", BASELINE, NONE, 0.3, 72.0),
    Printed("mobilenet_v2", "depth", DEPTH, 1.2, 76.8),
    Printed("mobilenet_v2", "width", WIDTH, 1.1, 76.4),
    Printed("mobilenet_v2", "resolution", RESOLUTION, 1.2, 74.8),
    Printed("mobilenet_v2", "compound", None, 1.3, 77.4),
    Printed("resnet50", BASELINE, NONE, 4.1, 76.0),
    Printed("resnet50", "depth", DEPTH, 16.2, 78.1),
    Printed("resnet50", "width", WIDTH, 14.7, 77.7),
    Printed("resnet50", "resolution", RESOLUTION, 16.4, 77.5),
    Printed("resnet50", "compound", None, 16.7, 78.8),
    Printed("efficientnet_b0", BASELINE, NONE, 0.4, 77.3),  # Table 7, from here on
    Printed("efficientnet_b0", "depth", DEPTH, 1.8, 79.0),
    Printed("efficientnet_b0", "width", WIDTH, 1.8, 78.9),
    Printed("efficientnet_b0", "resolution", RESOLUTION, 1.9, 79.1),
    Printed("efficientnet_b0", "compound", COMPOUND, 1.8, 81.1),
)
# The compound coefficients that others give the published networks; the paper gives none.
PHIS = {
    "efficientnet_b0": 0.0,
    "efficientnet_b1": 0.5,
    "efficientnet_b2": 1.0,
    "efficientnet_b3": 2.0,
    "efficientnet_b4": 3.0,
    "efficientnet_b5": 4.0,
    "efficientnet_b6": 5.0,
    "efficientnet_b7": 6.0,
}
