"""ShuffleNetV2, arXiv:1807.11164: built from four guidelines on memory access and launches.

Two published topologies share the name and the paper's Table 5:
the official one (megvii-model/ShuffleNet-Series `ShuffleNetV2`; split by even and odd channels
at the start of a unit, the shortcut of a strided unit keeps its width, no classifier bias)
and torchvision's (split in halves, shuffle at the end, both branches emit half, biased
classifier), which has fewer parameters and multiply-adds from 1.0x on.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from architectures.blocks import Classifier, ConvNormAct, check_positive

STEM_CHANNELS = 24
STAGE_REPEATS = (4, 8, 4)  # Table 5


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
    """3x3 depthwise of stride 2 (linear) -> 1x1."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = ConvNormAct(
            in_channels, in_channels, kernel_size=3, stride=2, groups=in_channels, activation=None
        )
        self.pointwise = ConvNormAct(in_channels, out_channels)


class Unit(nn.Module):
    """Split, branch, concatenate (figure 3c): the channel count stays."""

    def __init__(self, channels: int, *, torchvision: bool) -> None:
        super().__init__()
        half = channels // 2
        self.torchvision = torchvision
        self.branch = Branch(half, half, channels=half, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        kept, taken = x.chunk(2, dim=1) if self.torchvision else even_and_odd(x)
        x = torch.cat((kept, self.branch(taken)), dim=1)
        return shuffle(x) if self.torchvision else x


class StridedUnit(nn.Module):
    """Two strided branches, concatenated (figure 3d)."""

    def __init__(self, in_channels: int, out_channels: int, *, torchvision: bool) -> None:
        super().__init__()
        half = out_channels // 2
        kept = half if torchvision else in_channels
        self.torchvision = torchvision
        self.shortcut = Shortcut(in_channels, kept)
        self.branch = Branch(in_channels, out_channels - kept, channels=half, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat((self.shortcut(x), self.branch(x)), dim=1)
        return shuffle(x) if self.torchvision else x


class ShuffleNetV2(nn.Module):
    """3x3 stem -> max-pool -> three stages of units -> 1x1 head -> classifier.

    (N, 3, H, W) to (N, classes). `torchvision` chooses torchvision's topology.
    """

    total_stride = 32

    def __init__(
        self,
        *,
        stage_channels: Sequence[int] = (116, 232, 464),
        head_channels: int = 1024,
        torchvision: bool = False,
        dropout: float = 0.0,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        check_positive(head_channels=head_channels, num_classes=num_classes)
        channels = STEM_CHANNELS
        self.stem = ConvNormAct(3, channels, kernel_size=3, stride=2)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        stages: list[nn.Module] = []
        for width, repeats in zip(stage_channels, STAGE_REPEATS, strict=True):
            units: list[nn.Module] = [StridedUnit(channels, width, torchvision=torchvision)]
            units += [Unit(width, torchvision=torchvision) for _ in range(repeats - 1)]
            stages.append(nn.Sequential(*units))
            channels = width
        self.stages = nn.Sequential(*stages)
        self.head = ConvNormAct(channels, head_channels)
        self.classifier = Classifier(head_channels, num_classes, dropout=dropout, bias=torchvision)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.stages(self.pool(self.stem(x)))))
        return logits
