"""MobileNetV1, arXiv:1704.04861: depthwise separable convolutions.

Layer facts beyond the paper: tensorflow/models `research/slim/nets/mobilenet_v1.py`, which
uses ReLU6 where the paper says ReLU, and stride 1 in the last depthwise convolution where
the paper's Table 1 prints 2 (its own output sizes say 1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from architectures.blocks import (
    RELU6,
    SYMMETRIC,
    BatchNorm,
    Classifier,
    ConvNormAct,
    check_positive,
    repeated,
    strides,
)


class Stage(NamedTuple):
    channels: int
    repeats: int
    stride: int


# Table 1, its rows of one resolution taken together
STAGES = (
    Stage(channels=64, repeats=1, stride=1),
    Stage(channels=128, repeats=2, stride=2),
    Stage(channels=256, repeats=2, stride=2),
    Stage(channels=512, repeats=6, stride=2),
    Stage(channels=1024, repeats=2, stride=2),
)
STEM_CHANNELS = 32
NORM = partial(BatchNorm, eps=1e-3, momentum=0.0003)


class DepthwiseSeparable(nn.Sequential):
    """3x3 depthwise -> 1x1 pointwise, each with what `conv` adds: norm and ReLU6."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        conv: Callable[..., ConvNormAct],
        stride: int,
    ) -> None:
        super().__init__()
        self.depthwise = conv(
            in_channels, in_channels, kernel_size=3, stride=stride, groups=in_channels
        )
        self.pointwise = conv(in_channels, out_channels)


class MobileNetV1(nn.Module):
    """3x3 stem -> 13 depthwise separable pairs -> classifier: (N, 3, H, W) to (N, classes).

    `width` multiplies every layer's channels, truncated, at least 8; `depth` the pairs of each
    resolution, rounded up. `padding="same"` pads as TensorFlow does.
    """

    total_stride = 32

    def __init__(
        self,
        *,
        width: float = 1.0,
        depth: float = 1.0,
        dropout: float = 0.001,
        padding: str = SYMMETRIC,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        check_positive(width=width, depth=depth, num_classes=num_classes)
        channels = max(int(STEM_CHANNELS * width), 8)
        conv = partial(ConvNormAct, norm=NORM, activation=RELU6, padding=padding)
        self.stem = conv(3, channels, kernel_size=3, stride=2)
        stages: list[nn.Module] = []
        for stage in STAGES:
            pairs: list[nn.Module] = []
            for stride in strides(stage.stride, repeated(stage.repeats, depth)):
                out_channels = max(int(stage.channels * width), 8)
                pairs.append(DepthwiseSeparable(channels, out_channels, conv=conv, stride=stride))
                channels = out_channels
            stages.append(nn.Sequential(*pairs))
        self.stages = nn.Sequential(*stages)
        self.classifier = Classifier(channels, num_classes, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.stages(self.stem(x)))
        return logits
