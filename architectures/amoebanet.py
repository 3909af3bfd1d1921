"""AmoebaNet-D, arXiv:1802.01548: cells found by evolution, at the sizes that GPipe trained.

GPipe (arXiv:1811.06965) trained AmoebaNet-B (18, 512), 557 M parameters, which EfficientNet-B7
is compared with; B's cells are published as a figure only. D's are open, so D (18, 544) stands
in for it, and wherever it is used it must be called that. Facts: tensorflow/tpu
`models/official/amoeba_net`, the cells' indices as in kakaobrain/torchgpipe.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.blocks import BatchNorm, Classifier, check_positive, repeated

NORM = partial(BatchNorm, eps=1e-3, momentum=0.0003)


def relu_conv_norm(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: tuple[int, int] = (1, 1),
    stride: tuple[int, int] = (1, 1),
) -> nn.Sequential:
    """ReLU -> convolution without bias -> norm. Not in place: other operations read x too."""
    padding = (kernel_size[0] // 2, kernel_size[1] // 2)
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False),
        NORM(out_channels),
    )


def identity(channels: int, stride: int) -> nn.Module:
    """x; where it must stride, a 1x1 convolution."""
    if stride == 1:
        return nn.Identity()
    return relu_conv_norm(channels, channels, stride=(stride, stride))


def conv_1x1(channels: int, stride: int) -> nn.Module:
    """ReLU -> 1x1 -> norm."""
    return relu_conv_norm(channels, channels, stride=(stride, stride))


def conv_3x3(channels: int, stride: int) -> nn.Module:
    """1x1 to a quarter -> 3x3 -> 1x1 back."""
    inner = channels // 4
    return nn.Sequential(
        relu_conv_norm(channels, inner),
        relu_conv_norm(inner, inner, kernel_size=(3, 3), stride=(stride, stride)),
        relu_conv_norm(inner, channels),
    )


def conv_1x7_7x1(channels: int, stride: int) -> nn.Module:
    """1x1 to a quarter -> 1x7 -> 7x1 -> 1x1 back."""
    inner = channels // 4
    return nn.Sequential(
        relu_conv_norm(channels, inner),
        relu_conv_norm(inner, inner, kernel_size=(1, 7), stride=(1, stride)),
        relu_conv_norm(inner, inner, kernel_size=(7, 1), stride=(stride, 1)),
        relu_conv_norm(inner, channels),
    )


def max_pool_3x3(_: int, stride: int) -> nn.Module:
    """The largest of 3x3."""
    return nn.MaxPool2d(3, stride=stride, padding=1)


def max_pool_2x2(_: int, stride: int) -> nn.Module:
    """The largest of 2x2, also at an odd edge."""
    return nn.MaxPool2d(2, stride=stride, ceil_mode=True)


def average_pool_3x3(_: int, stride: int) -> nn.Module:
    """The mean of 3x3, of what is inside at an edge."""
    return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)


Operation = Callable[[int, int], nn.Module]


class Sum(NamedTuple):
    """A new state: one operation on one state plus another on another."""

    left: int
    left_operation: Operation
    right: int
    right_operation: Operation


class Genotype(NamedTuple):
    """States 0 and 1 are given, the others are sums; the output concatenates some of them."""

    sums: tuple[Sum, ...]
    outputs: tuple[int, ...]


# State 0 is the current input, 1 the previous cell's. The paper draws only the last states as
# outputs; the official code's are these.
NORMAL = Genotype(
    sums=(
        Sum(1, conv_1x1, 1, max_pool_3x3),
        Sum(1, identity, 0, conv_1x7_7x1),
        Sum(0, conv_1x1, 0, conv_1x7_7x1),
        Sum(2, max_pool_3x3, 2, identity),
        Sum(1, average_pool_3x3, 5, conv_1x1),
    ),
    outputs=(0, 3, 4, 6),
)
REDUCTION = Genotype(
    sums=(
        Sum(0, max_pool_2x2, 0, max_pool_3x3),
        Sum(2, identity, 1, conv_3x3),
        Sum(2, conv_1x7_7x1, 2, max_pool_3x3),
        Sum(3, identity, 1, max_pool_2x2),
        Sum(2, average_pool_3x3, 3, conv_1x1),
    ),
    outputs=(4, 5, 6),
)


class FactorizedReduction(nn.Module):
    """Half the size without losing pixels: two strided 1x1 paths, one shifted by a pixel."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.path = nn.Conv2d(in_channels, half, 1, stride=2, bias=False)
        self.shifted = nn.Conv2d(in_channels, out_channels - half, 1, stride=2, bias=False)
        self.norm = NORM(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        normed: Tensor = self.norm(torch.cat((self.path(x), self.shifted(shifted)), dim=1))
        return normed


class Cell(nn.Module):
    """Two inputs, brought to one size -> five sums of operations -> some of them, concatenated.

    Only an operation that reads one of the two inputs strides.
    """

    def __init__(
        self,
        current_channels: int,
        previous_channels: int,
        channels: int,
        *,
        reduction: bool,
        after_reduction: bool,
    ) -> None:
        super().__init__()
        self.genotype = REDUCTION if reduction else NORMAL
        self.current = relu_conv_norm(current_channels, channels)
        self.previous: nn.Module = nn.Identity()
        if after_reduction:
            self.previous = FactorizedReduction(previous_channels, channels)
        elif previous_channels != channels:
            self.previous = relu_conv_norm(previous_channels, channels)
        stride = 2 if reduction else 1
        self.left, self.right = nn.ModuleList(), nn.ModuleList()
        for row in self.genotype.sums:
            self.left.append(row.left_operation(channels, stride if row.left < 2 else 1))
            self.right.append(row.right_operation(channels, stride if row.right < 2 else 1))

    def forward(self, current: Tensor, previous: Tensor) -> Tensor:
        states = [self.current(current), self.previous(previous)]
        for row, left, right in zip(self.genotype.sums, self.left, self.right, strict=True):
            states.append(left(states[row.left]) + right(states[row.right]))
        return torch.cat([states[index] for index in self.genotype.outputs], dim=1)


class AmoebaNet(nn.Module):
    """3x3 stem -> two reduction cells -> three groups of normal cells -> ReLU -> classifier.

    (N, 3, H, W) to (N, classes). `layers` normal cells in all, a multiple of 3; `filters` of
    the first group, doubled by the reduction cell before each of the others. `width` multiplies
    the filters, to multiples of 16, `depth` the cells of a group, rounded up.
    """

    total_stride = 32

    def __init__(
        self,
        *,
        layers: int = 18,
        filters: int = 544,
        width: float = 1.0,
        depth: float = 1.0,
        dropout: float = 0.5,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        check_positive(
            layers=layers, filters=filters, width=width, depth=depth, num_classes=num_classes
        )
        if layers % 3:
            raise ValueError(f"layers={layers}: must be a multiple of 3")
        if width != 1:
            filters = max(16, round(filters * width / 16) * 16)
        self.stem = nn.Sequential(
            nn.Conv2d(3, filters // 4, 3, stride=2, padding=1, bias=False), NORM(filters // 4)
        )
        current = previous = filters // 4
        after_reduction = False
        stages: list[nn.Module] = []
        for stage in plan(filters, repeated(layers // 3, depth)):
            cells: list[nn.Module] = []
            for channels, reduction in stage:
                widths = (current, previous, channels)
                cell = Cell(*widths, reduction=reduction, after_reduction=after_reduction)
                cells.append(cell)
                previous, current = current, channels * len(cell.genotype.outputs)
                after_reduction = reduction
            stages.append(nn.ModuleList(cells))
        self.stages = nn.ModuleList(stages)
        self.classifier = Classifier(current, num_classes, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        current = previous = self.stem(x)
        for stage in self.stages:
            for cell in stage.children():
                current, previous = cell(current, previous), current
        logits: Tensor = self.classifier(F.relu(current))
        return logits


def plan(filters: int, repeats: int) -> list[list[tuple[int, bool]]]:
    """Each cell's channels and whether it is a reduction: the stem's two, then three groups."""
    stages = [[(filters // 4, True), (filters // 2, True)]]
    for group in range(3):
        channels = filters * 2**group
        stages.append([(channels, True)] * (group > 0) + [(channels, False)] * repeats)
    return stages
