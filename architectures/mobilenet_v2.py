"""MobileNetV2, arXiv:1801.04381: inverted residuals with linear bottlenecks.

Layer facts beyond the paper: tensorflow/models `research/slim/nets/mobilenet/mobilenet_v2.py`.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from architectures.blocks import (
    RELU6,
    SYMMETRIC,
    BatchNorm,
    Classifier,
    ConvNormAct,
    InvertedResidual,
    check_positive,
    make_divisible,
    repeated,
    strides,
)


class Stage(NamedTuple):
    expansion: int
    channels: int
    repeats: int
    stride: int


# Table 2
STAGES = (
    Stage(expansion=1, channels=16, repeats=1, stride=1),
    Stage(expansion=6, channels=24, repeats=2, stride=2),
    Stage(expansion=6, channels=32, repeats=3, stride=2),
    Stage(expansion=6, channels=64, repeats=4, stride=2),
    Stage(expansion=6, channels=96, repeats=3, stride=1),
    Stage(expansion=6, channels=160, repeats=3, stride=2),
    Stage(expansion=6, channels=320, repeats=1, stride=1),
)
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
NORM = partial(BatchNorm, eps=1e-3, momentum=0.003)


class MobileNetV2(nn.Module):
    """3x3 stem -> seven stages -> 1x1 head -> classifier: (N, 3, H, W) to (N, classes).

    `width` multiplies channels; the head stays 1280 wide below 1.0. `depth` multiplies
    repeats, rounded up. `padding="same"` pads as TensorFlow does.
    """

    total_stride = 32

    def __init__(
        self,
        *,
        width: float = 1.0,
        depth: float = 1.0,
        dropout: float = 0.2,
        padding: str = SYMMETRIC,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        check_positive(width=width, depth=depth, num_classes=num_classes)
        conv = partial(ConvNormAct, norm=NORM, activation=RELU6, padding=padding)
        channels = make_divisible(STEM_CHANNELS * width)
        self.stem = conv(3, channels, kernel_size=3, stride=2)
        stages: list[nn.Module] = []
        for stage in STAGES:
            blocks: list[nn.Module] = []
            for stride in strides(stage.stride, repeated(stage.repeats, depth)):
                out_channels = make_divisible(stage.channels * width)
                blocks.append(
                    InvertedResidual(
                        channels,
                        out_channels,
                        conv=conv,
                        expanded_channels=channels * stage.expansion,
                        kernel_size=3,
                        stride=stride,
                    )
                )
                channels = out_channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        head_channels = make_divisible(HEAD_CHANNELS * max(1.0, width))
        self.head = conv(channels, head_channels)
        self.classifier = Classifier(head_channels, num_classes, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.stages(self.stem(x))))
        return logits
