"""EfficientNet, arXiv:1905.11946: a mobile baseline, scaled in width, depth and resolution at once.

Layer facts beyond the paper: tensorflow/tpu `models/official/efficientnet`, and its `lite/`
for EfficientNet-Lite, which has no paper.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from architectures.blocks import (
    RELU6,
    SWISH,
    SYMMETRIC,
    BatchNorm,
    Classifier,
    ConvNormAct,
    InvertedResidual,
    SqueezeExcite,
    check_positive,
    check_probability,
    linear_rates,
    make_divisible,
    repeated,
    strides,
)


class Stage(NamedTuple):
    kernel_size: int
    stride: int
    expansion: int
    channels: int
    repeats: int


squeeze_excite = partial(SqueezeExcite, activation=SWISH)

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
NORM = partial(BatchNorm, eps=1e-3, momentum=0.01)


def scaled(width: float, depth: float, *, lite: bool) -> list[Stage]:
    """The stages of a scaled network. Lite leaves the first and the last as deep as they are."""
    unscaled = (0, len(STAGES) - 1) if lite else ()
    return [
        stage._replace(
            channels=make_divisible(stage.channels * width),
            repeats=repeated(stage.repeats, 1.0 if index in unscaled else depth),
        )
        for index, stage in enumerate(STAGES)
    ]


class EfficientNet(nn.Module):
    """3x3 stem -> seven MBConv stages -> 1x1 head -> classifier: (N, 3, H, W) to (N, classes).

    `width` multiplies channels (rounded to multiples of 8), `depth` repeats (rounded up).
    `lite`: ReLU6 for swish, no squeeze-excite, stem and head not scaled. Block i of n
    is dropped at the rate `drop_connect` x i / n; `padding="same"` pads as TensorFlow does, which
    its checkpoints need.
    """

    total_stride = 32

    def __init__(
        self,
        *,
        width: float = 1.0,
        depth: float = 1.0,
        lite: bool = False,
        dropout: float = 0.2,
        drop_connect: float = 0.2,
        padding: str = SYMMETRIC,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        check_positive(width=width, depth=depth, num_classes=num_classes)
        check_probability(dropout=dropout, drop_connect=drop_connect)
        activation = RELU6 if lite else SWISH
        conv = partial(ConvNormAct, norm=NORM, activation=activation, padding=padding)
        outer_width = 1.0 if lite else width
        channels = make_divisible(STEM_CHANNELS * outer_width)
        self.stem = conv(3, channels, kernel_size=3, stride=2)
        table = scaled(width, depth, lite=lite)
        rates = iter(linear_rates(drop_connect, sum(stage.repeats for stage in table)))
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        for number, stage in enumerate(table, start=1):
            blocks: list[nn.Module] = []
            for stride in strides(stage.stride, stage.repeats):
                expanded = channels * stage.expansion
                squeezed = max(1, int(channels * SQUEEZE_RATIO))
                block = InvertedResidual(
                    channels,
                    stage.channels,
                    conv=conv,
                    expanded_channels=expanded,
                    kernel_size=stage.kernel_size,
                    stride=stride,
                    squeeze_excite=None if lite else squeeze_excite(expanded, squeezed),
                    drop_rate=next(rates),
                )
                blocks.append(block)
                channels = stage.channels
            stages[str(number)] = nn.Sequential(*blocks)
        self.stages = nn.Sequential(stages)
        head_channels = make_divisible(HEAD_CHANNELS * outer_width)
        self.head = conv(channels, head_channels)
        self.classifier = Classifier(head_channels, num_classes, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.stages(self.stem(x))))
        return logits
