"""MobileNetV3, arXiv:1905.02244: searched inverted residuals with hard-swish.

Layer facts beyond the paper: tensorflow/models `research/slim/nets/mobilenet/mobilenet_v3.py`.
There the small network's last layer is 1024 wide and its 576-channel head has no
squeeze-excite, whatever the first arXiv version's Table 2 prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple

from torch import Tensor, nn

from architectures.blocks import (
    HARD_SIGMOID,
    HARD_SWISH,
    RELU,
    SYMMETRIC,
    Activation,
    BatchNorm,
    ConvNormAct,
    InvertedResidual,
    SqueezeExcite,
    check_choice,
    check_positive,
    make_divisible,
    repeated,
)

STEM_CHANNELS = 16
SQUEEZE_RATIO = 0.25  # of the expanded channels, unlike EfficientNet and MnasNet
NORM = partial(BatchNorm, eps=1e-3, momentum=0.003)


squeeze_excite = partial(SqueezeExcite, activation=RELU, gate=HARD_SIGMOID)


class Block(NamedTuple):
    kernel_size: int
    expanded: int
    channels: int
    squeeze: bool
    hard_swish: bool
    stride: int


class Specification(NamedTuple):
    blocks: tuple[Block, ...]
    last_channels: int  # of the hidden linear layer before the classifier


RE, HS = False, True
SE, NO = True, False

SPECIFICATIONS = {
    # Table 1
    "large": Specification(
        blocks=(
            Block(3, 16, 16, NO, RE, 1),
            Block(3, 64, 24, NO, RE, 2),
            Block(3, 72, 24, NO, RE, 1),
            Block(5, 72, 40, SE, RE, 2),
            Block(5, 120, 40, SE, RE, 1),
            Block(5, 120, 40, SE, RE, 1),
            Block(3, 240, 80, NO, HS, 2),
            Block(3, 200, 80, NO, HS, 1),
            Block(3, 184, 80, NO, HS, 1),
            Block(3, 184, 80, NO, HS, 1),
            Block(3, 480, 112, SE, HS, 1),
            Block(3, 672, 112, SE, HS, 1),
            Block(5, 672, 160, SE, HS, 2),
            Block(5, 960, 160, SE, HS, 1),
            Block(5, 960, 160, SE, HS, 1),
        ),
        last_channels=1280,
    ),
    # Table 2
    "small": Specification(
        blocks=(
            Block(3, 16, 16, SE, RE, 2),
            Block(3, 72, 24, NO, RE, 2),
            Block(3, 88, 24, NO, RE, 1),
            Block(5, 96, 40, SE, HS, 2),
            Block(5, 240, 40, SE, HS, 1),
            Block(5, 240, 40, SE, HS, 1),
            Block(5, 120, 48, SE, HS, 1),
            Block(5, 144, 48, SE, HS, 1),
            Block(5, 288, 96, SE, HS, 2),
            Block(5, 576, 96, SE, HS, 1),
            Block(5, 576, 96, SE, HS, 1),
        ),
        last_channels=1024,
    ),
}


def scaled(
    blocks: Sequence[Block], width: float, depth: float, *, stem_channels: int
) -> list[list[Block]]:
    """The stages of a scaled network: a stage is the blocks of one output width.

    Expansions follow from the ratio to the block's input, as in slim; a deeper stage repeats
    its last block, a shallower one leaves the last ones out.
    """
    in_channels, in_scaled = STEM_CHANNELS, stem_channels
    stages: list[list[Block]] = []
    for channels, rows in groupby(blocks, key=lambda block: block.channels):
        table = list(rows)
        count = repeated(len(table), depth)
        stages.append([])
        for block in (table + table[-1:] * count)[:count]:
            expanded = make_divisible(in_scaled * block.expanded / in_channels)
            in_channels, in_scaled = channels, make_divisible(channels * width)
            stride = 1 if stages[-1] else block.stride  # also of a repeated first block
            stages[-1].append(block._replace(expanded=expanded, channels=in_scaled, stride=stride))
    return stages


def simplified(block: Block) -> Block:
    """The block without what some accelerators are slow at: 5x5, hard-swish, squeeze-excite."""
    return block._replace(kernel_size=3, squeeze=NO, hard_swish=RE)


def inverted_residual(in_channels: int, block: Block, *, padding: str) -> InvertedResidual:
    """The block of figure 4, squeeze-excite after the depthwise activation."""
    conv = partial(
        ConvNormAct,
        norm=NORM,
        activation=HARD_SWISH if block.hard_swish else RELU,
        padding=padding,
    )
    squeezed = make_divisible(block.expanded * SQUEEZE_RATIO)
    return InvertedResidual(
        in_channels,
        block.channels,
        conv=conv,
        expanded_channels=block.expanded,
        kernel_size=block.kernel_size,
        stride=block.stride,
        squeeze_excite=squeeze_excite(block.expanded, squeezed) if block.squeeze else None,
    )


class MobileNetV3(nn.Module):
    """3x3 stem -> blocks -> 1x1 head -> pool -> hidden linear -> classifier.

    (N, 3, H, W) to (N, classes); `size` is "large" or "small". `width` multiplies all channels
    but the hidden linear layer's, which it only widens, and the stem's where `stem_channels`
    says how many; `depth` the blocks of each stage, rounded up. `minimalistic`: 3x3 and ReLU
    only, no squeeze-excite.
    """

    total_stride = 32

    def __init__(
        self,
        *,
        size: str = "large",
        width: float = 1.0,
        depth: float = 1.0,
        stem_channels: int | None = None,
        minimalistic: bool = False,
        dropout: float = 0.2,
        padding: str = SYMMETRIC,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        check_positive(width=width, depth=depth, num_classes=num_classes)
        check_choice("size", size, SPECIFICATIONS)
        specification = SPECIFICATIONS[size]
        channels = make_divisible(STEM_CHANNELS * width) if stem_channels is None else stem_channels
        table = scaled(specification.blocks, width, depth, stem_channels=channels)
        activation = RELU if minimalistic else HARD_SWISH
        conv = partial(ConvNormAct, norm=NORM, activation=activation, padding=padding)
        self.stem = conv(3, channels, kernel_size=3, stride=2)
        stages: list[nn.Module] = []
        for stage in table:
            blocks: list[nn.Module] = []
            for row in map(simplified, stage) if minimalistic else stage:
                blocks.append(inverted_residual(channels, row, padding=padding))
                channels = row.channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        head_channels = make_divisible(specification.blocks[-1].expanded * width)
        self.head = conv(channels, head_channels)
        self.classifier = LateExpansion(
            head_channels,
            num_classes,
            hidden=make_divisible(specification.last_channels * max(1.0, width)),
            activation=activation,
            dropout=dropout,
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.stages(self.stem(x))))
        return logits


class LateExpansion(nn.Module):
    """mean over space -> linear -> activation -> dropout -> linear (figure 5)."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        hidden: int,
        activation: Activation,
        dropout: float,
    ) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_channels, hidden)
        self.act = activation()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = x.mean((2, 3))  # (N, C)
        logits: Tensor = self.linear(self.dropout(self.act(self.hidden(x))))
        return logits
