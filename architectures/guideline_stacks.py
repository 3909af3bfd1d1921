"""The plain stacks that ShuffleNetV2 (arXiv:1807.11164, section 2) tests its guidelines on.

Ten blocks on 56x56 maps, nothing else: no stem, no norm, no classifier. A stack takes
(N, C, 56, 56) with the channels of its first convolution. Weights keep the variance of what they
are given, so that ten or twenty layers neither die out nor overflow.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from architectures.blocks import (
    HARD_SWISH,
    RELU,
    SWISH,
    BatchNorm,
    SqueezeExcite,
    check_choice,
)

BLOCKS = 10
ARRANGEMENTS = ("series", "parallel_add", "parallel_concat")


def convolution(
    in_channels: int, out_channels: int, *, kernel_size: int = 1, groups: int = 1, gain: float = 1.0
) -> nn.Conv2d:
    """A convolution without bias whose output varies `gain` times as much as its input.

    Raises:
        ValueError: the channels cannot be divided into so many groups.
    """
    conv = nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        padding=kernel_size // 2,
        groups=groups,
        bias=False,
    )
    fan_in = in_channels // groups * kernel_size**2
    nn.init.normal_(conv.weight, std=math.sqrt(gain / fan_in))
    return conv


class UnequalWidths(nn.Sequential):
    """G1, Table 1: ten blocks of two 1x1 convolutions, c1 -> c2 -> c1."""

    def __init__(self, *, c1: int, c2: int, blocks: int = BLOCKS) -> None:
        widths = [c1, c2] * blocks + [c1]
        super().__init__(*(convolution(*pair) for pair in pairwise(widths)))


class GroupedConvolutions(nn.Sequential):
    """G2, Table 2: ten grouped 1x1 convolutions, c -> c."""

    def __init__(self, *, channels: int, groups: int, blocks: int = BLOCKS) -> None:
        super().__init__(*(convolution(channels, channels, groups=groups) for _ in range(blocks)))


class Fragments(nn.Module):
    """Convolutions that read the same map; their results are added, or put side by side."""

    def __init__(self, in_channels: int, out_channels: int, fragments: int, *, add: bool) -> None:
        super().__init__()
        self.add = add
        width = out_channels if add else out_channels // fragments
        gain = 1 / fragments if add else 1.0
        self.parts = nn.ModuleList(
            convolution(in_channels, width, gain=gain) for _ in range(fragments)
        )

    def forward(self, x: Tensor) -> Tensor:
        found = [part(x) for part in self.parts]
        if not self.add:
            return torch.cat(found, 1)
        total: Tensor = found[0]
        for item in found[1:]:
            total = total.add_(item)
        return total


class FragmentedBlocks(nn.Sequential):
    """G3, Table 3: blocks of 1x1 convolutions, `fragments` of them in series or in parallel.

    `widths` are the channels before each convolution in series, or each block in parallel, and
    those after the last one. With one fragment all arrangements are the same.

    Raises:
        ValueError: an arrangement that there is not.
    """

    def __init__(self, *, widths: Sequence[int], fragments: int = 1, arrangement: str) -> None:
        check_choice("arrangement", arrangement, ARRANGEMENTS)
        add = arrangement == "parallel_add"
        make = partial(Fragments, fragments=fragments, add=add)
        single = fragments == 1 or arrangement == "series"
        super().__init__(
            *(convolution(*pair) if single else make(*pair) for pair in pairwise(widths))
        )


class SplitConcat(nn.Module):
    """Two halves of the channels, put together in the other order: one copy of the map."""

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1)
        return torch.cat((second, first), 1)


class ChannelShuffle(nn.Module):
    """The channels of two groups, mixed (arXiv:1707.01083)."""

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)
        return mixed


def _squeeze_excite(channels: int) -> nn.Module:
    return SqueezeExcite(channels, max(1, channels // 4), activation=RELU)


# What follows each of a bottleneck's three convolutions, or the whole of it.
AFTER_EACH: dict[str, Callable[[int], nn.Module]] = {
    "relu": lambda _: RELU(),
    "swish": lambda _: SWISH(),
    "hard_swish": lambda _: HARD_SWISH(),
    "batch_norm": BatchNorm,
}
AFTER_ALL: dict[str, Callable[[int], nn.Module]] = {
    "squeeze_excite": _squeeze_excite,
    "channel_shuffle": lambda _: ChannelShuffle(),
    "split_concat": lambda _: SplitConcat(),
}
# What makes up for what they take from the mean square of normal numbers: x / 2 of ReLU, the gate
# of squeeze-excite at a half.
GAINS = {"relu": 2.0, "swish": 2.8, "hard_swish": 3.0, "squeeze_excite": 4.0}
ELEMENTWISE = ("none", *AFTER_EACH, *AFTER_ALL)


class Bottleneck(nn.Module):
    """1x1 -> 3x3 -> 1x1 of a ResNet, with or without shortcut and element-wise operations."""

    def __init__(self, channels: int, inner: int, *, elementwise: str, shortcut: bool) -> None:
        super().__init__()
        each = AFTER_EACH.get(elementwise)
        gain = GAINS.get(elementwise, 1.0)
        each_gain = gain if each is not None else 1.0
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["reduce"] = convolution(channels, inner, gain=each_gain)
        if each is not None:
            parts["after_reduce"] = each(inner)
        parts["spatial"] = convolution(inner, inner, kernel_size=3, gain=each_gain)
        if each is not None:
            parts["after_spatial"] = each(inner)
        parts["expand"] = convolution(inner, channels, gain=gain)
        if elementwise in AFTER_ALL:
            parts["after_all"] = AFTER_ALL[elementwise](channels)
        self.branch = nn.Sequential(parts)
        self.last = each(channels) if each is not None else None  # of the sum
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.branch(x)
        if self.shortcut:
            out = out.add_(x)
        return out if self.last is None else self.last(out)


class Bottlenecks(nn.Sequential):
    """G4, Table 4: ten bottlenecks, c -> c / 4 -> c, `elementwise` being what joins the three.

    Table 4 has ReLU, after the first two convolutions and after the sum.

    Raises:
        ValueError: an element-wise operation that there is not.
    """

    def __init__(
        self,
        *,
        channels: int,
        elementwise: str = "none",
        shortcut: bool = False,
        blocks: int = BLOCKS,
    ) -> None:
        check_choice("elementwise", elementwise, ELEMENTWISE)
        unit = partial(Bottleneck, elementwise=elementwise, shortcut=shortcut)
        super().__init__(*(unit(channels, channels // 4) for _ in range(blocks)))


class DepthwiseSeparable(nn.Sequential):
    """Ten blocks of 3x3 depthwise and 1x1 convolution, c -> c: what replaces a dense 3x3."""

    def __init__(self, *, channels: int, blocks: int = BLOCKS) -> None:
        parts: list[nn.Module] = []
        for _ in range(blocks):
            parts += [
                convolution(channels, channels, kernel_size=3, groups=channels),
                convolution(channels, channels),
            ]
        super().__init__(*parts)


class DenseConvolutions(nn.Sequential):
    """Ten dense 3x3 convolutions, c -> c."""

    def __init__(self, *, channels: int, blocks: int = BLOCKS) -> None:
        super().__init__(*(convolution(channels, channels, kernel_size=3) for _ in range(blocks)))
