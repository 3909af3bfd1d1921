"""EfficientNetV2, arXiv:2104.00298: faster to train, with fused blocks in the early stages.

Layer facts beyond the paper: google/automl `efficientnetv2/effnetv2_configs.py`, whose released
S has a stem of 24 channels and two blocks in its first stage.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from architectures.blocks import (
    SWISH,
    SYMMETRIC,
    BatchNorm,
    Classifier,
    ConvNormAct,
    InvertedResidual,
    Residual,
    SqueezeExcite,
    check_choice,
    check_positive,
    check_probability,
    linear_rates,
    make_divisible,
    repeated,
    strides,
)


class Stage(NamedTuple):
    expansion: int
    channels: int
    repeats: int
    stride: int
    fused: bool = False


# Table 4 is S; the other networks are those of the official code.
NETWORKS = {
    "base": (
        Stage(expansion=1, channels=16, repeats=1, stride=1, fused=True),
        Stage(expansion=4, channels=32, repeats=2, stride=2, fused=True),
        Stage(expansion=4, channels=48, repeats=2, stride=2, fused=True),
        Stage(expansion=4, channels=96, repeats=3, stride=2),
        Stage(expansion=6, channels=112, repeats=5, stride=1),
        Stage(expansion=6, channels=192, repeats=8, stride=2),
    ),
    "s": (
        Stage(expansion=1, channels=24, repeats=2, stride=1, fused=True),
        Stage(expansion=4, channels=48, repeats=4, stride=2, fused=True),
        Stage(expansion=4, channels=64, repeats=4, stride=2, fused=True),
        Stage(expansion=4, channels=128, repeats=6, stride=2),
        Stage(expansion=6, channels=160, repeats=9, stride=1),
        Stage(expansion=6, channels=256, repeats=15, stride=2),
    ),
    "m": (
        Stage(expansion=1, channels=24, repeats=3, stride=1, fused=True),
        Stage(expansion=4, channels=48, repeats=5, stride=2, fused=True),
        Stage(expansion=4, channels=80, repeats=5, stride=2, fused=True),
        Stage(expansion=4, channels=160, repeats=7, stride=2),
        Stage(expansion=6, channels=176, repeats=14, stride=1),
        Stage(expansion=6, channels=304, repeats=18, stride=2),
        Stage(expansion=6, channels=512, repeats=5, stride=1),
    ),
    "l": (
        Stage(expansion=1, channels=32, repeats=4, stride=1, fused=True),
        Stage(expansion=4, channels=64, repeats=7, stride=2, fused=True),
        Stage(expansion=4, channels=96, repeats=7, stride=2, fused=True),
        Stage(expansion=4, channels=192, repeats=10, stride=2),
        Stage(expansion=6, channels=224, repeats=19, stride=1),
        Stage(expansion=6, channels=384, repeats=25, stride=2),
        Stage(expansion=6, channels=640, repeats=7, stride=1),
    ),
    "xl": (
        Stage(expansion=1, channels=32, repeats=4, stride=1, fused=True),
        Stage(expansion=4, channels=64, repeats=8, stride=2, fused=True),
        Stage(expansion=4, channels=96, repeats=8, stride=2, fused=True),
        Stage(expansion=4, channels=192, repeats=16, stride=2),
        Stage(expansion=6, channels=256, repeats=24, stride=1),
        Stage(expansion=6, channels=512, repeats=32, stride=2),
        Stage(expansion=6, channels=640, repeats=8, stride=1),
    ),
}
STEM_CHANNELS = {"base": 32, "s": 24, "m": 24, "l": 32, "xl": 32}
HEAD_CHANNELS = 1280
SQUEEZE_RATIO = 0.25  # of the block's input channels, before expansion
NORM = partial(BatchNorm, eps=1e-3, momentum=0.1)
# Unlike the first EfficientNet, channels may lose over 10 % when they are rounded.
round_channels = partial(make_divisible, may_lose=1.0)


class FusedInvertedResidual(Residual):
    """3x3 expand -> 1x1 project, plus x where shapes allow; without expansion one 3x3 alone.

    The projection is linear. Source: figure 2, without its squeeze-excite, as in Table 4.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expansion: int,
        conv: Callable[..., ConvNormAct],
        stride: int,
        drop_rate: float,
    ) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if expansion == 1:
            parts["conv"] = conv(in_channels, out_channels, kernel_size=3, stride=stride)
        else:
            expanded = in_channels * expansion
            parts["expand"] = conv(in_channels, expanded, kernel_size=3, stride=stride)
            parts["project"] = conv(expanded, out_channels, activation=None)
        residual = stride == 1 and in_channels == out_channels
        super().__init__(parts, residual=residual, drop_rate=drop_rate)


def block(
    in_channels: int,
    stage: Stage,
    *,
    conv: Callable[..., ConvNormAct],
    stride: int,
    drop_rate: float,
) -> nn.Module:
    """A block of a stage: fused, or MBConv with squeeze-excite and swish."""
    if stage.fused:
        return FusedInvertedResidual(
            in_channels,
            stage.channels,
            expansion=stage.expansion,
            conv=conv,
            stride=stride,
            drop_rate=drop_rate,
        )
    expanded = in_channels * stage.expansion
    squeezed = max(1, int(in_channels * SQUEEZE_RATIO))
    return InvertedResidual(
        in_channels,
        stage.channels,
        conv=conv,
        expanded_channels=expanded,
        kernel_size=3,
        stride=stride,
        squeeze_excite=SqueezeExcite(expanded, squeezed, activation=SWISH),
        drop_rate=drop_rate,
    )


class EfficientNetV2(nn.Module):
    """3x3 stem -> six or seven stages -> 1x1 head -> classifier: (N, 3, H, W) to (N, classes).

    `network` is "base" (B0 to B3 by `width` and `depth`), "s", "m", "l" or "xl". `drop_connect`
    and `padding` are as for EfficientNet.
    """

    total_stride = 32

    def __init__(
        self,
        *,
        network: str = "base",
        width: float = 1.0,
        depth: float = 1.0,
        dropout: float = 0.2,
        drop_connect: float = 0.2,
        padding: str = SYMMETRIC,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        check_positive(width=width, depth=depth, num_classes=num_classes)
        check_probability(dropout=dropout, drop_connect=drop_connect)
        check_choice("network", network, NETWORKS)
        conv = partial(ConvNormAct, norm=NORM, activation=SWISH, padding=padding)
        channels = round_channels(STEM_CHANNELS[network] * width)
        self.stem = conv(3, channels, kernel_size=3, stride=2)
        table = [
            stage._replace(
                channels=round_channels(stage.channels * width),
                repeats=repeated(stage.repeats, depth),
            )
            for stage in NETWORKS[network]
        ]
        rates = iter(linear_rates(drop_connect, sum(stage.repeats for stage in table)))
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        for number, stage in enumerate(table, start=1):
            blocks: list[nn.Module] = []
            for stride in strides(stage.stride, stage.repeats):
                blocks.append(
                    block(channels, stage, conv=conv, stride=stride, drop_rate=next(rates))
                )
                channels = stage.channels
            stages[str(number)] = nn.Sequential(*blocks)
        self.stages = nn.Sequential(stages)
        head_channels = round_channels(HEAD_CHANNELS * width)
        self.head = conv(channels, head_channels)
        self.classifier = Classifier(head_channels, num_classes, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.stages(self.stem(x))))
        return logits
