"""EfficientNet, arXiv:1905.11946: a mobile baseline, scaled in width, depth and resolution at once.

Layer facts beyond the paper: tensorflow/tpu `models/official/efficientnet`.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from architectures.blocks import (
    SWISH,
    Classifier,
    ConvNormAct,
    InvertedResidual,
    check_positive,
    make_divisible,
    strides,
)


class Stage(NamedTuple):
    kernel_size: int
    stride: int
    expansion: int
    channels: int
    repeats: int


# Table 1, EfficientNet-B0
STAGES = (
    Stage(kernel_size=3, stride=1, expansion=1, channels=16, repeats=1),
    Stage(kernel_size=3, stride=2, expansion=6, channels=24, repeats=2),
    Stage(kernel_size=5, stride=2, expansion=6, channels=40, repeats=2),
    Stage(kernel_size=3, stride=2, expansion=6, channels=80, repeats=3),
    Stage(kernel_size=5, stride=1, expansion=6, channels=112, repeats=3),
    Stage(kernel_size=5, stride=2, expansion=6, channels=192, repeats=4),
    Stage(kernel_size=3, stride=1, expansion=6, channels=320, repeats=1),
)
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
SQUEEZE_RATIO = 0.25  # of the block's input channels, before expansion
NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)


def mbconv(in_channels: int, out_channels: int, stage: Stage, *, stride: int) -> InvertedResidual:
    """MBConv with squeeze-excite and swish (section 4)."""
    return InvertedResidual(
        in_channels,
        out_channels,
        expanded_channels=in_channels * stage.expansion,
        kernel_size=stage.kernel_size,
        stride=stride,
        squeeze_channels=max(1, int(in_channels * SQUEEZE_RATIO)),
        norm=NORM,
        activation=SWISH,
        squeeze_activation=SWISH,
    )


class EfficientNet(nn.Module):
    """3x3 stem -> seven MBConv stages -> 1x1 head -> classifier: (N, 3, H, W) to (N, classes).

    `width` multiplies channels (rounded to multiples of 8), `depth` repeats (rounded up).
    """

    total_stride = 32

    def __init__(
        self,
        *,
        width: float = 1.0,
        depth: float = 1.0,
        dropout: float = 0.2,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        check_positive(width=width, depth=depth, num_classes=num_classes)
        channels = make_divisible(STEM_CHANNELS * width)
        self.stem = ConvNormAct(3, channels, kernel_size=3, stride=2, norm=NORM, activation=SWISH)
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        for number, stage in enumerate(STAGES, start=1):
            blocks: list[nn.Module] = []
            for stride in strides(stage.stride, math.ceil(stage.repeats * depth)):
                out_channels = make_divisible(stage.channels * width)
                blocks.append(mbconv(channels, out_channels, stage, stride=stride))
                channels = out_channels
            stages[str(number)] = nn.Sequential(*blocks)
        self.stages = nn.Sequential(stages)
        head_channels = make_divisible(HEAD_CHANNELS * width)
        self.head = ConvNormAct(channels, head_channels, norm=NORM, activation=SWISH)
        self.classifier = Classifier(head_channels, num_classes, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.stages(self.stem(x))))
        return logits
