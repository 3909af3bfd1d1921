"""ShuffleNetV1, arXiv:1707.01083: pointwise group convolutions and the channel shuffle.

Layer facts beyond the paper: megvii-model/ShuffleNet-Series `ShuffleNetV1`, which shuffles
after the depthwise convolution (the paper: before; a permutation of depthwise filters apart,
the same function) and has no bias in the classifier.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.blocks import Classifier, ConvNormAct, check_positive

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


class ShuffleNetV1(nn.Module):
    """3x3 stem -> max-pool -> three stages of units -> classifier: (N, 3, H, W) to (N, classes)."""

    total_stride = 32

    def __init__(
        self,
        *,
        groups: int = 3,
        stem_channels: int = 24,
        stage_channels: Sequence[int] = (240, 480, 960),
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        check_positive(groups=groups, num_classes=num_classes)
        channels = stem_channels
        self.stem = ConvNormAct(3, channels, kernel_size=3, stride=2)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        stages: list[nn.Module] = []
        for number, (width, repeats) in enumerate(zip(stage_channels, STAGE_REPEATS, strict=True)):
            units: list[nn.Module] = []
            for index in range(repeats):
                first = number == 0 and index == 0  # too few input channels to group (section 3.2)
                units.append(
                    Unit(
                        channels,
                        width,
                        stride=2 if index == 0 else 1,
                        groups=groups,
                        first_groups=1 if first else groups,
                    )
                )
                channels = width
            stages.append(nn.Sequential(*units))
        self.stages = nn.Sequential(*stages)
        self.classifier = Classifier(channels, num_classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.stages(self.pool(self.stem(x))))
        return logits
