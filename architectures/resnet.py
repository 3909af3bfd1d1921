"""ResNet, arXiv:1512.03385: the heavy reference the light networks are compared with.

The stride stands on the 3x3 convolution ("v1.5", 4.1 G multiply-adds, EfficientNet's
comparator), not on the first 1x1 of the paper's table (3.9 G).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from architectures.blocks import Classifier, ConvNormAct, check_positive, strides

EXPANSION = 4
STAGE_CHANNELS = (64, 128, 256, 512)  # of the 3x3 convolution; Table 1


class Bottleneck(nn.Module):
    """1x1 reduce -> 3x3 -> 1x1 expand, plus x (projected where shapes differ), then ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, channels: int, stride: int) -> None:
        super().__init__()
        self.reduce = ConvNormAct(in_channels, channels)
        self.conv = ConvNormAct(channels, channels, kernel_size=3, stride=stride)
        self.expand = ConvNormAct(channels, out_channels, activation=None)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = ConvNormAct(in_channels, out_channels, stride=stride, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.expand(self.conv(self.reduce(x)))
        return F.relu_(branch.add_(self.shortcut(x)))


class ResNet(nn.Module):
    """7x7 stem -> max-pool -> four stages -> classifier: (N, 3, H, W) to (N, classes)."""

    total_stride = 32

    def __init__(self, *, repeats: Sequence[int] = (3, 4, 6, 3), num_classes: int = 1000) -> None:
        super().__init__()
        check_positive(num_classes=num_classes)
        channels = 64
        self.stem = ConvNormAct(3, channels, kernel_size=7, stride=2)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        stages: list[nn.Module] = []
        for number, (inner, count) in enumerate(zip(STAGE_CHANNELS, repeats, strict=True)):
            blocks: list[nn.Module] = []
            for stride in strides(2 if number > 0 else 1, count):
                blocks.append(
                    Bottleneck(channels, inner * EXPANSION, channels=inner, stride=stride)
                )
                channels = inner * EXPANSION
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.classifier = Classifier(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.stages(self.pool(self.stem(x))))
        return logits
