"""MobileNetV1, arXiv:1704.04861: depthwise separable convolutions.

Layer facts beyond the paper: tensorflow/models `research/slim/nets/mobilenet_v1.py`, which
uses ReLU6 where the paper says ReLU, and stride 1 in the last depthwise convolution where
the paper's Table 1 prints 2 (its own output sizes say 1).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from architectures.blocks import RELU6, Classifier, ConvNormAct, check_positive


class Pair(NamedTuple):
    channels: int
    stride: int


# Table 1
PAIRS = (
    Pair(channels=64, stride=1),
    Pair(channels=128, stride=2),
    Pair(channels=128, stride=1),
    Pair(channels=256, stride=2),
    Pair(channels=256, stride=1),
    Pair(channels=512, stride=2),
    *(Pair(channels=512, stride=1) for _ in range(5)),
    Pair(channels=1024, stride=2),
    Pair(channels=1024, stride=1),
)
STEM_CHANNELS = 32
NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.0003)


class DepthwiseSeparable(nn.Sequential):
    """3x3 depthwise -> 1x1 pointwise, each with norm and ReLU6."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        conv = partial(ConvNormAct, norm=NORM, activation=RELU6)
        self.depthwise = conv(
            in_channels, in_channels, kernel_size=3, stride=stride, groups=in_channels
        )
        self.pointwise = conv(in_channels, out_channels)


class MobileNetV1(nn.Module):
    """3x3 stem -> 13 depthwise separable pairs -> classifier: (N, 3, H, W) to (N, classes).

    `width` multiplies every layer's channels, truncated, at least 8.
    """

    total_stride = 32

    def __init__(
        self, *, width: float = 1.0, dropout: float = 0.001, num_classes: int = 1000
    ) -> None:
        super().__init__()
        check_positive(width=width, num_classes=num_classes)
        channels = max(int(STEM_CHANNELS * width), 8)
        self.stem = ConvNormAct(3, channels, kernel_size=3, stride=2, norm=NORM, activation=RELU6)
        # A stage ends where the next pair halves the map, so that costs add up per resolution.
        stages: list[list[nn.Module]] = [[]]
        for pair in PAIRS:
            if pair.stride == 2:
                stages.append([])
            out_channels = max(int(pair.channels * width), 8)
            stages[-1].append(DepthwiseSeparable(channels, out_channels, stride=pair.stride))
            channels = out_channels
        self.stages = nn.Sequential(*(nn.Sequential(*blocks) for blocks in stages))
        self.classifier = Classifier(channels, num_classes, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.stages(self.stem(x)))
        return logits
