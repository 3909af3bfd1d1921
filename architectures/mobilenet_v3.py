"""MobileNetV3, arXiv:1905.02244: searched inverted residuals with hard-swish.

Layer facts beyond the paper: tensorflow/models `research/slim/nets/mobilenet/mobilenet_v3.py`.
There the small network's last layer is 1024 wide and its 576-channel head has no
squeeze-excite, whatever the first arXiv version's Table 2 prints.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from architectures.blocks import (
    HARD_SIGMOID,
    HARD_SWISH,
    RELU,
    ConvNormAct,
    InvertedResidual,
    check_positive,
    make_divisible,
)

STEM_CHANNELS = 16
SQUEEZE_RATIO = 0.25  # of the expanded channels, unlike EfficientNet and MnasNet
NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.003)


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


def inverted_residual(in_channels: int, block: Block) -> InvertedResidual:
    """The block of figure 4, squeeze-excite after the depthwise activation."""
    return InvertedResidual(
        in_channels,
        block.channels,
        expanded_channels=block.expanded,
        kernel_size=block.kernel_size,
        stride=block.stride,
        squeeze_channels=make_divisible(block.expanded * SQUEEZE_RATIO) if block.squeeze else None,
        norm=NORM,
        activation=HARD_SWISH if block.hard_swish else RELU,
        squeeze_activation=RELU,
        gate=HARD_SIGMOID,
    )


class MobileNetV3(nn.Module):
    """3x3 stem -> blocks -> 1x1 head -> pool -> hidden linear -> classifier.

    (N, 3, H, W) to (N, classes); `size` is "large" or "small".
    """

    total_stride = 32

    def __init__(
        self, *, size: str = "large", dropout: float = 0.2, num_classes: int = 1000
    ) -> None:
        super().__init__()
        check_positive(num_classes=num_classes)
        if size not in SPECIFICATIONS:
            raise ValueError(f"size={size!r}: allowed are {', '.join(SPECIFICATIONS)}")
        specification = SPECIFICATIONS[size]
        channels = STEM_CHANNELS
        self.stem = ConvNormAct(
            3, channels, kernel_size=3, stride=2, norm=NORM, activation=HARD_SWISH
        )
        # A stage ends where the next block halves the map, so that costs add up per resolution.
        stages: list[list[nn.Module]] = [[]]
        for block in specification.blocks:
            if block.stride == 2 and stages[-1]:
                stages.append([])
            stages[-1].append(inverted_residual(channels, block))
            channels = block.channels
        self.stages = nn.Sequential(*(nn.Sequential(*blocks) for blocks in stages))
        head_channels = specification.blocks[-1].expanded
        self.head = ConvNormAct(channels, head_channels, norm=NORM, activation=HARD_SWISH)
        self.classifier = LateExpansion(
            head_channels, num_classes, hidden=specification.last_channels, dropout=dropout
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.stages(self.stem(x))))
        return logits


class LateExpansion(nn.Module):
    """mean over space -> linear -> hard-swish -> dropout -> linear (figure 5)."""

    def __init__(self, in_channels: int, num_classes: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_channels, hidden)
        self.act = HARD_SWISH()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = x.mean((2, 3))  # (N, C)
        logits: Tensor = self.linear(self.dropout(self.act(self.hidden(x))))
        return logits
