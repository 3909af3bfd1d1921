"""Reasons that no check can show, with what there is of evidence, and why nothing is published."""

from __future__ import annotations

from typing import NamedTuple


class Note(NamedTuple):
    variants: str  # a pattern
    quantity: str  # "params" or "multiply_adds"
    source: str
    short: str
    text: str


NOTES = (
    Note(
        *("amoebanet_d_18_208", "params", "GPipe"),
        "unknown stem",
        "how the paper's network begins is not known to us, and its figure is not verified; with "
        "more filters the difference is under 0.4 %",
    ),
    Note(
        *("efficientnet_b1", "multiply_adds", "EfficientNet"),
        "half of toco's operations?",
        "so its first author's MnasNet README counts; swish left out, that gives 0.695 G, and the "
        "paper's figures of B0 to B3 and B6, but not of B4, B5 and B7",
    ),
    Note(
        *("efficientnet_b[457]", "multiply_adds", "EfficientNet"),
        "unexplained",
        "the paper is below what its own code has at its input size, by no way of counting that "
        "we know; torchvision, timm and pycls (4.4 G for B4, 10.3 G for B5) confirm ours",
    ),
    Note(
        *("mobilenet_v1_x0_25_r192", "multiply_adds", "slim V1 README"),
        "misprint",
        "multiply-adds go with the area: 41 M at 224 pixels make 30 M at 192, and 21 M at 160, as "
        "printed",
    ),
    Note(
        *("mobilenet_v3_large", "params", "slim README"),
        "last digit",
        "5.48 M would round to 5.5; the paper prints 5.4 too",
    ),
    Note(
        *("mobilenet_v3_small", "multiply_adds", "slim README"),
        "out of date",
        "66 M is in the paper's first version, 56 M in its last; 1280 hidden units alone would "
        "make 56.9 M",
    ),
    Note(
        *("mobilenet_v3_small_minimalistic", "multiply_adds", "slim README"),
        "too much",
        "it cannot be more than the 56.5 M of the network from which it takes squeeze-excite and "
        "the larger kernels away; presumably as old as the 66 M above",
    ),
    Note(
        *("mobilenet_v3_small_x0_75", "multiply_adds", "MobileNetV3"),
        "last digit",
        "43.4 M would round to 43; both versions of the paper and the README print 44",
    ),
    Note(
        *("resnet152", "multiply_adds", "EfficientNet"),
        "cut, or an earlier ResNet",
        "with the stride on the first 1x1 convolution, as first published, it has 11.28 G; but the "
        "same table gives ResNet-50 the 4.1 G of the later form, which is ours",
    ),
)

NONE_PUBLISHED = {
    "mnasnet_b1_x*": "torchvision has B1 at 0.5, 0.75, 1.0 and 1.3 only",
    "mobilenet_v2_x1_[34]_r*": "the slim README has widths above 1 at 224 pixels only",
    "shufflenet_v1_g[124]_x[12]_[05]": "the paper has 1.5x and 2x for 3 groups only",
    "shufflenet_v1_g8_x0_75": "the paper has no 0.75x, imgclsmob none for 8 groups",
}
NOT_IN_THE_FILE = "no figure in tests/reference/models.csv"
