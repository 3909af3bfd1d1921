"""What a network of MBConv blocks is made of, as rows that can be edited and scaled.

The rows are read off the family's own network, built on `meta`: no family says anything twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from architectures.blocks import (
    HARD_SIGMOID,
    HARD_SWISH,
    RELU,
    RELU6,
    SWISH,
    Activation,
    BatchNorm,
    InvertedResidual,
    SameConv2d,
    SqueezeExcite,
    check_choice,
    check_positive,
    make_divisible,
)
from architectures.efficientnet import EfficientNet
from architectures.mnasnet import MnasNet
from architectures.mobilenet_v2 import MobileNetV2
from architectures.mobilenet_v3 import MobileNetV3

# Every family of MBConv blocks; EfficientNet-Lite is EfficientNet with `lite`.
FAMILIES: dict[str, type[nn.Module]] = {
    "efficientnet": EfficientNet,
    "mobilenet_v2": MobileNetV2,
    "mobilenet_v3": MobileNetV3,
    "mnasnet": MnasNet,
}
ACTIVATIONS: dict[str, tuple[type[nn.Module], Activation]] = {
    "relu": (nn.ReLU, RELU),
    "relu6": (nn.ReLU6, RELU6),
    "swish": (nn.SiLU, SWISH),
    "hard_swish": (nn.Hardswish, HARD_SWISH),
    "sigmoid": (nn.Sigmoid, nn.Sigmoid),
    "hard_sigmoid": (nn.Hardsigmoid, HARD_SIGMOID),
}
SQUEEZE_RATIO = 0.25  # in all of these families: of the block's input or of its expanded channels
SQUEEZE_EXCITE, CHANNEL_ATTENTION = "squeeze_excite", "channel_attention"
MBCONV, FUSED, SHUFFLE = "mbconv", "fused", "shuffle"
CHANNELS = 8  # all families' channels are multiples of it


class Block(NamedTuple):
    in_channels: int
    channels: int
    expanded: int
    kernel_size: int
    stride: int
    activation: str
    residual: bool
    attention: str = ""  # SQUEEZE_EXCITE, CHANNEL_ATTENTION or none
    drop_rate: float = 0.0
    kind: str = MBCONV  # or FUSED, or SHUFFLE: a unit of ShuffleNetV2
    depthwise: str = "whole"  # or two 3x3 for a 5x5, in "series" or "parallel"
    groups: int = 1  # of the pointwise convolutions


class Stage(NamedTuple):
    name: str
    blocks: tuple[Block, ...]
    total_stride: int  # input pixels per pixel of its last map


class Table(NamedTuple):
    """A network but for its classifier. Channels are multiples of `divisor` once it is scaled."""

    stem_channels: int
    stages: tuple[Stage, ...]
    head_channels: int
    activation: str  # of stem and head
    same_padding: bool
    norm_eps: float
    norm_momentum: float
    squeeze_of_expanded: bool
    squeeze_activation: str = "relu"
    gate: str = "sigmoid"
    stem_kernel_size: int = 3
    divisor: int = CHANNELS

    def with_blocks(self, blocks: Iterable[Block]) -> Table:
        """The same stages with other blocks, as many as there are."""
        rows = iter(blocks)
        stages = (s._replace(blocks=tuple(next(rows) for _ in s.blocks)) for s in self.stages)
        return self._replace(stages=tuple(stages))

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of all stages."""
        return tuple(block for stage in self.stages for block in stage.blocks)


def family_network(base: str, options: Mapping[str, Any], *, depth: float = 1.0) -> nn.Module:
    """The family's own network, `depth` times as deep, on `meta`: without memory or chance.

    Raises:
        ValueError: no such family, or the family refuses its options.
    """
    check_choice("base", base, FAMILIES)
    check_positive(depth=depth)
    deeper = {"depth": depth * options.get("depth", 1.0)} if depth != 1 else {}
    with torch.device("meta"):
        return FAMILIES[base](**{**options, **deeper})


def table_of(network: nn.Module) -> Table:
    """The rows of a network of one of `FAMILIES`."""
    stem, norm = _convolution(network, "stem.conv"), network.get_submodule("stem.norm")
    assert isinstance(norm, BatchNorm)
    assert norm.momentum is not None
    table = Table(
        stem_channels=stem.out_channels,
        stages=tuple(_stages(network.get_submodule("stages"), total_stride=2)),
        head_channels=_convolution(network, "head.conv").out_channels,
        activation=_name(network.get_submodule("stem.act")),
        same_padding=isinstance(stem, SameConv2d),
        norm_eps=norm.eps,
        norm_momentum=norm.momentum,
        squeeze_of_expanded=isinstance(network, MobileNetV3),
    )
    squeezes = [module for module in network.modules() if isinstance(module, SqueezeExcite)]
    if not squeezes:
        return table
    inner, gate = _name(squeezes[0].act), _name(squeezes[0].gate)
    return table._replace(squeeze_activation=inner, gate=gate)


def _convolution(module: nn.Module, path: str) -> nn.Conv2d:
    found = module.get_submodule(path)
    assert isinstance(found, nn.Conv2d)
    return found


def _stages(stages: nn.Module, total_stride: int) -> Iterator[Stage]:
    for name, stage in stages.named_children():
        blocks = tuple(_block(block) for block in stage.children())
        for block in blocks:
            total_stride *= block.stride
        yield Stage(name, blocks, total_stride)


def _block(block: nn.Module) -> Block:
    assert isinstance(block, InvertedResidual)
    parts = dict(block.named_children())
    depthwise = _convolution(block, "depthwise.conv")
    first = _convolution(block, "expand.conv") if "expand" in parts else depthwise
    return Block(
        in_channels=first.in_channels,
        channels=_convolution(block, "project.conv").out_channels,
        expanded=depthwise.out_channels,
        kernel_size=depthwise.kernel_size[0],
        stride=depthwise.stride[0],
        activation=_name(block.get_submodule("depthwise.act")),
        residual=block.residual,
        attention=SQUEEZE_EXCITE if SQUEEZE_EXCITE in parts else "",
        drop_rate=block.drop_rate,
    )


def _name(activation: object) -> str:
    return next(name for name, (kind, _) in ACTIVATIONS.items() if type(activation) is kind)


def squeezed(block: Block, table: Table) -> int:
    """The channels of squeeze-excite's hidden layer, by the rule of the family."""
    if table.squeeze_of_expanded:
        return make_divisible(block.expanded * SQUEEZE_RATIO)
    return max(1, int(block.in_channels * SQUEEZE_RATIO))


def nearest_multiple(channels: float, divisor: int) -> int:
    """The multiple of `divisor` that is nearest as a ratio; at least one.

    By difference, halves of several stages are met by the same width and jump together, and where
    channels may lose 10 % at most, all narrow ones do: gaps of 10 to 20 % in a network's work.
    """
    below = int(channels / divisor) * divisor
    above = below + divisor
    return above if channels**2 >= below * above else below


def scaled(table: Table, width: float) -> Table:
    """The table with stem and stages `width` times as wide, in multiples of `divisor`.

    The head keeps its channels and an expansion its ratio, to the rounded input as in slim's
    MobileNetV3, so that whole ones stay whole.

    Raises:
        ValueError: the width is 0 or less.
    """
    check_positive(width=width)
    if width == 1 and table.divisor == CHANNELS:
        return table
    channels = stem = nearest_multiple(table.stem_channels * width, table.divisor)
    blocks = []
    for block in table.blocks:
        expanded = channels * block.expanded / block.in_channels
        row = block._replace(
            in_channels=channels,
            expanded=nearest_multiple(expanded, table.divisor),
            channels=nearest_multiple(block.channels * width, table.divisor),
        )
        blocks.append(row)
        channels = row.channels
    return table.with_blocks(blocks)._replace(stem_channels=stem)
