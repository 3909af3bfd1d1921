"""ShuffleNetV2, arXiv:1807.11164: built from four guidelines on memory access and launches.

Two published topologies share the name and the paper's Table 5:
the official one (megvii-model/ShuffleNet-Series `ShuffleNetV2`; split by even and odd channels
at the start of a unit, the shortcut of a strided unit keeps its width, no classifier bias)
and torchvision's (split in halves, shuffle at the end, both branches emit half, biased
classifier), which has fewer parameters and multiply-adds from 1.0x on.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from architectures.blocks import (
    RELU,
    Classifier,
    ConvNormAct,
    SqueezeExcite,
    check_positive,
    make_divisible,
    repeated,
)

HALVINGS = 3  # of the map, by the last stages


def even_and_odd(x: Tensor) -> tuple[Tensor, Tensor]:
    """The even and the odd channels of (N, C, H, W), each (N, C/2, H, W), by one copy."""
    batch, channels, height, width = x.shape
    pairs = x.reshape(batch * channels // 2, 2, height * width).transpose(0, 1)
    even, odd = pairs.reshape(2, batch, channels // 2, height, width).unbind(0)
    return even, odd


def shuffle(x: Tensor) -> Tensor:
    """Interleave the two halves of the channels of (N, C, H, W)."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, 2, channels // 2, height, width).transpose(1, 2)
    return x.reshape(batch, channels, height, width)


def check_widths(stem_channels: Sequence[int], stage_channels: Sequence[int]) -> None:
    """Refuse channels that cannot be split in halves, or that a stage does not widen.

    Raises:
        ValueError: the first that does not fit.
    """
    for before, channels in pairwise((stem_channels[-1], *stage_channels)):
        if channels % 2:
            raise ValueError(f"stage_channels={channels}: must be even")
        if channels <= before:
            raise ValueError(f"stage_channels={channels}: must be more than the {before} before")


class Topology(NamedTuple):
    """What distinguishes the units of the published networks."""

    torchvision: bool
    squeeze_excite: bool
    residual: bool


def gate(channels: int) -> SqueezeExcite:
    """Squeeze-excite whose hidden layer has half of the unit's channels (appendix, Table 2).

    Over the whole unit: so placed it explains the 597 M multiply-adds of Table 8's 2x network
    with squeeze-excite (591 M without); on the branch alone it would add a quarter of that.
    """
    return SqueezeExcite(channels, channels // 2, activation=RELU)


class Branch(nn.Sequential):
    """1x1 -> 3x3 depthwise (linear) -> 1x1."""

    def __init__(self, in_channels: int, out_channels: int, *, channels: int, stride: int) -> None:
        super().__init__()
        self.reduce = ConvNormAct(in_channels, channels)
        self.depthwise = ConvNormAct(
            channels, channels, kernel_size=3, stride=stride, groups=channels, activation=None
        )
        self.expand = ConvNormAct(channels, out_channels)


class Shortcut(nn.Sequential):
    """3x3 depthwise (linear) -> 1x1."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.depthwise = ConvNormAct(
            in_channels,
            in_channels,
            kernel_size=3,
            stride=stride,
            groups=in_channels,
            activation=None,
        )
        self.pointwise = ConvNormAct(in_channels, out_channels)


class Unit(nn.Module):
    """Split, branch, concatenate (figure 3c): the channel count stays.

    With `residual` the branch's input is added to its output, with `squeeze_excite` the whole
    unit is gated.
    """

    def __init__(self, channels: int, topology: Topology) -> None:
        super().__init__()
        half = channels // 2
        self.torchvision = topology.torchvision
        self.residual = topology.residual
        self.branch = Branch(half, half, channels=half, stride=1)
        self.squeeze_excite = gate(channels) if topology.squeeze_excite else None

    def forward(self, x: Tensor) -> Tensor:
        kept, taken = x.chunk(2, dim=1) if self.torchvision else even_and_odd(x)
        branch = self.branch(taken)
        if self.residual:
            branch = branch + taken  # not in place: ReLU's way back needs its output
        x = torch.cat((kept, branch), dim=1)
        if self.squeeze_excite is not None:
            x = self.squeeze_excite(x)
        return shuffle(x) if self.torchvision else x


class WideningUnit(nn.Module):
    """Two branches on all channels, concatenated (figure 3d): more channels, a smaller map.

    A stage begins with it. Where there is a stage before the first halving (the networks for
    large models), its stride is 1.
    """

    def __init__(
        self, in_channels: int, out_channels: int, topology: Topology, *, stride: int
    ) -> None:
        super().__init__()
        half = out_channels // 2
        kept = half if topology.torchvision else in_channels
        self.torchvision = topology.torchvision
        self.shortcut = Shortcut(in_channels, kept, stride=stride)
        self.branch = Branch(in_channels, out_channels - kept, channels=half, stride=stride)
        self.squeeze_excite = gate(out_channels) if topology.squeeze_excite else None

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat((self.shortcut(x), self.branch(x)), dim=1)
        if self.squeeze_excite is not None:
            x = self.squeeze_excite(x)
        return shuffle(x) if self.torchvision else x


class ShuffleNetV2(nn.Module):
    """3x3 stem -> max-pool -> stages of units -> 1x1 head -> classifier.

    (N, 3, H, W) to (N, classes). `stem_channels` are those of the stem's convolutions, the
    first of which strides. The last three stages halve the map; one before them does not.
    `torchvision` chooses torchvision's topology; `squeeze_excite` and `residual` are the
    paper's additions for large networks. `width` multiplies the stages' channels, to multiples
    of 4, and widens the head; `depth` multiplies the units, rounded up.
    """

    total_stride = 32

    def __init__(
        self,
        *,
        stem_channels: Sequence[int] = (24,),
        stage_channels: Sequence[int] = (116, 232, 464),
        stage_repeats: Sequence[int] = (4, 8, 4),
        head_channels: int = 1024,
        torchvision: bool = False,
        squeeze_excite: bool = False,
        residual: bool = False,
        width: float = 1.0,
        depth: float = 1.0,
        dropout: float = 0.0,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        check_positive(
            head_channels=head_channels, width=width, depth=depth, num_classes=num_classes
        )
        if width != 1:
            stage_channels = [make_divisible(c * width, 4) for c in stage_channels]
            head_channels = make_divisible(head_channels * max(1.0, width))
        check_widths(stem_channels, stage_channels)
        topology = Topology(torchvision, squeeze_excite, residual)
        self.stem = stem(stem_channels)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        stages: list[nn.Module] = []
        channels = stem_channels[-1]
        for out_channels, repeats in zip(stage_channels, stage_repeats, strict=True):
            halves = len(stage_channels) - len(stages) <= HALVINGS
            first = WideningUnit(channels, out_channels, topology, stride=2 if halves else 1)
            more = (Unit(out_channels, topology) for _ in range(repeated(repeats, depth) - 1))
            stages.append(nn.Sequential(first, *more))
            channels = out_channels
        self.stages = nn.Sequential(*stages)
        self.head = ConvNormAct(channels, head_channels)
        self.classifier = Classifier(head_channels, num_classes, dropout=dropout, bias=torchvision)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.stages(self.pool(self.stem(x)))))
        return logits


def stem(channels: Sequence[int]) -> nn.Module:
    """3x3 convolutions, the first of stride 2."""
    first, *more = channels
    convolutions = [ConvNormAct(3, first, kernel_size=3, stride=2)]
    for in_channels, out_channels in pairwise(channels):
        convolutions.append(ConvNormAct(in_channels, out_channels, kernel_size=3))
    return nn.Sequential(*convolutions) if more else convolutions[0]
