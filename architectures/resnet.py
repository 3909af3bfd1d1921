"""ResNet, arXiv:1512.03385: the heavy reference the light networks are compared with.

The stride stands on the 3x3 convolution ("v1.5", 4.1 G multiply-adds, EfficientNet's
comparator), not on the first 1x1 of the paper's table (3.9 G).
"""

from __future__ import annotations

from collections.abc import Sequence

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

STEM_CHANNELS = 64
EXPANSION = 4
STAGE_CHANNELS = (64, 128, 256, 512)  # of the 3x3 convolutions; Table 1


def shortcut(in_channels: int, out_channels: int, *, stride: int) -> nn.Module:
    """x itself, or a 1x1 projection where shapes differ (option B)."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return ConvNormAct(in_channels, out_channels, stride=stride, activation=None)


class Bottleneck(nn.Module):
    """1x1 reduce -> 3x3 -> 1x1 expand, plus x (projected where shapes differ), then ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        channels = out_channels // EXPANSION
        self.reduce = ConvNormAct(in_channels, channels)
        self.conv = ConvNormAct(channels, channels, kernel_size=3, stride=stride)
        self.expand = ConvNormAct(channels, out_channels, activation=None)
        self.shortcut = shortcut(in_channels, out_channels, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.expand(self.conv(self.reduce(x)))
        return F.relu_(branch.add_(self.shortcut(x)))


class BasicBlock(nn.Module):
    """3x3 -> 3x3, plus x (projected where shapes differ), then ReLU."""

    def __init__(self, in_channels: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv = ConvNormAct(in_channels, channels, kernel_size=3, stride=stride)
        self.project = ConvNormAct(channels, channels, kernel_size=3, activation=None)
        self.shortcut = shortcut(in_channels, channels, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.project(self.conv(x))
        return F.relu_(branch.add_(self.shortcut(x)))


class ResNet(nn.Module):
    """7x7 stem -> max-pool -> four stages -> classifier: (N, 3, H, W) to (N, classes).

    `repeats` are the blocks of each stage, bottlenecks or (`bottleneck=False`) basic ones.
    `width` multiplies all channels, to multiples of 8, `depth` the blocks, rounded up.
    """

    total_stride = 32

    def __init__(
        self,
        *,
        repeats: Sequence[int] = (3, 4, 6, 3),
        bottleneck: bool = True,
        width: float = 1.0,
        depth: float = 1.0,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        check_positive(width=width, depth=depth, num_classes=num_classes)
        block = Bottleneck if bottleneck else BasicBlock
        channels = make_divisible(STEM_CHANNELS * width)
        self.stem = ConvNormAct(3, channels, kernel_size=7, stride=2)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        stages: list[nn.Module] = []
        for stage_channels, count in zip(STAGE_CHANNELS, repeats, strict=True):
            out_channels = make_divisible(stage_channels * width)
            out_channels *= EXPANSION if bottleneck else 1
            blocks: list[nn.Module] = []
            for stride in strides(2 if stages else 1, repeated(count, depth)):
                blocks.append(block(channels, out_channels, stride=stride))
                channels = out_channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.classifier = Classifier(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.stages(self.pool(self.stem(x))))
        return logits
