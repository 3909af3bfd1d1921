"""ShuffleNetV1, arXiv:1707.01083: pointwise group convolutions and the channel shuffle.

Layer facts beyond the paper: megvii-model/ShuffleNet-Series `ShuffleNetV1`, which shuffles
after the depthwise convolution (the paper: before; a permutation of depthwise filters apart,
the same function) and has no bias in the classifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.blocks import (
    Classifier,
    ConvNormAct,
    check_positive,
    make_divisible,
    repeated,
    strides,
)

STAGE_REPEATS = (4, 8, 4)  # Table 1


def interleave(x: Tensor, groups: int) -> Tensor:
    """Channel i goes to channel (i mod groups) * (C / groups) + i div groups: (N, C, H, W).

    The official code's order, the inverse of the paper's (and of `torch.channel_shuffle`).
    """
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels // groups, groups, height, width).transpose(1, 2)
    return x.reshape(batch, channels, height, width)


class Unit(nn.Module):
    """1x1 grouped -> 3x3 depthwise -> shuffle -> 1x1 grouped; plus x, or beside average-pooled x.

    Figure 2b (stride 1) and 2c (stride 2, where the branch emits out - in channels).
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, groups: int, first_groups: int
    ) -> None:
        super().__init__()
        self.groups = groups
        bottleneck = out_channels // 4
        branch_channels = out_channels - in_channels if stride == 2 else out_channels
        self.reduce = ConvNormAct(in_channels, bottleneck, groups=first_groups)
        self.depthwise = ConvNormAct(
            bottleneck, bottleneck, kernel_size=3, stride=stride, groups=bottleneck, activation=None
        )
        self.expand = ConvNormAct(bottleneck, branch_channels, groups=groups, activation=None)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1) if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        branch = self.depthwise(self.reduce(x))
        if self.groups > 1:
            branch = interleave(branch, self.groups)
        branch = self.expand(branch)
        if self.pool is None:
            return F.relu_(branch.add_(x))
        return torch.cat((self.pool(x), F.relu_(branch)), dim=1)


def check_groups(groups: int, stem_channels: int, stage_channels: Sequence[int]) -> None:
    """Refuse channels that the grouped convolutions cannot share out.

    Raises:
        ValueError: the first that does not fit; a stage's bottleneck is a quarter of it.
    """
    if stem_channels % groups:
        raise ValueError(f"stem_channels={stem_channels}: must be a multiple of groups={groups}")
    for before, channels in pairwise((stem_channels, *stage_channels)):
        if channels <= before:
            raise ValueError(f"stage_channels={channels}: must be more than the {before} before")
        if channels % (4 * groups):
            raise ValueError(
                f"stage_channels={channels}: must be a multiple of 4 x groups={groups}"
            )


class ShuffleNetV1(nn.Module):
    """3x3 stem -> max-pool -> three stages of units -> classifier: (N, 3, H, W) to (N, classes).

    `width` multiplies all channels, to multiples of 4 x groups (of groups in the stem), `depth`
    the units of each stage, rounded up.
    """

    total_stride = 32

    def __init__(
        self,
        *,
        groups: int = 3,
        stem_channels: int = 24,
        stage_channels: Sequence[int] = (240, 480, 960),
        width: float = 1.0,
        depth: float = 1.0,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        check_positive(groups=groups, width=width, depth=depth, num_classes=num_classes)
        if width != 1:
            stem_channels = make_divisible(stem_channels * width, groups)
            stage_channels = [make_divisible(c * width, 4 * groups) for c in stage_channels]
        check_groups(groups, stem_channels, stage_channels)
        channels = stem_channels
        self.stem = ConvNormAct(3, channels, kernel_size=3, stride=2)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        stages: list[nn.Module] = []
        for out_channels, repeats in zip(stage_channels, STAGE_REPEATS, strict=True):
            units: list[nn.Module] = []
            for stride in strides(2, repeated(repeats, depth)):
                first = not (stages or units)  # too few input channels to group (section 3.2)
                units.append(
                    Unit(
                        channels,
                        out_channels,
                        stride=stride,
                        groups=groups,
                        first_groups=1 if first else groups,
                    )
                )
                channels = out_channels
            stages.append(nn.Sequential(*units))
        self.stages = nn.Sequential(*stages)
        self.classifier = Classifier(channels, num_classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.stages(self.pool(self.stem(x))))
        return logits
