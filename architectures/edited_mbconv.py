"""A network of MBConv blocks with edits: EfficientNet, MobileNetV2 and V3, MnasNet.

Unedited it is the family's own network, parameter for parameter and operator for operator.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from math import log2
from typing import Any

from torch import Tensor, nn

from architectures.blocks import (
    SAME,
    SYMMETRIC,
    BatchNorm,
    Classifier,
    ConvNormAct,
    Residual,
    SqueezeExcite,
)
from architectures.mbconv_edits import edited
from architectures.mbconv_table import (
    ACTIVATIONS,
    CHANNEL_ATTENTION,
    FUSED,
    SHUFFLE,
    Block,
    Table,
    family_network,
    scaled,
    squeezed,
    table_of,
)
from architectures.mobilenet_v3 import LateExpansion
from architectures.shufflenet_v2 import Topology, Unit, WideningUnit

# torchvision's topology, which widens from any width to any other.
TOPOLOGY = Topology(torchvision=True, squeeze_excite=False, residual=False)


class EfficientChannelAttention(nn.Module):
    """x times sigmoid(convolution over the channels of (mean over space)), arXiv:1910.03151.

    The kernel grows with the channels: the odd number next to log2(channels) / 2 + 1/2 (equation
    12 with gamma = 2 and b = 1, rounded as in the official code).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        size = int(abs(log2(channels) + 1) / 2)
        size += 1 - size % 2
        self.conv = nn.Conv2d(1, 1, (size, 1), padding=(size // 2, 0), bias=False)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        scale = x.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
        scale = self.conv(scale.transpose(1, 2)).transpose(1, 2)  # over (N, 1, C, 1)
        scale = self.gate(scale)
        scaled_map: Tensor = x * scale if x.requires_grad else x.mul_(scale)
        return scaled_map


class ParallelDepthwise(nn.Module):
    """activation(depthwise(x) + depthwise(x)), each with a norm of its own."""

    def __init__(self, channels: int, *, conv: partial[ConvNormAct], stride: int) -> None:
        super().__init__()
        depthwise = partial(
            conv, channels, channels, kernel_size=3, stride=stride, groups=channels, activation=None
        )
        self.first = depthwise()
        self.second = depthwise()
        self.act = conv.keywords["activation"]()

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.act(self.first(x).add_(self.second(x)))
        return activated


class EditedMBConv(nn.Module):
    """stem -> stages -> 1x1 head -> classifier, as `base` has them: (N, 3, H, W) to (N, classes).

    `base` is a family of `mbconv_table.FAMILIES` and `options` the arguments of its network;
    `edits` are names of `mbconv_edits.EDITS`. `width` then multiplies the channels of stem and
    stages, not the head's, and `depth` the family's own depth.
    """

    total_stride = 32

    def __init__(
        self,
        *,
        base: str = "efficientnet",
        options: Mapping[str, Any] | None = None,
        edits: Sequence[str] = (),
        width: float = 1.0,
        depth: float = 1.0,
    ) -> None:
        super().__init__()
        network = family_network(base, options or {}, depth=depth)
        table = scaled(edited(table_of(network), edits), width)
        norm = partial(BatchNorm, eps=table.norm_eps, momentum=table.norm_momentum)
        padding = SAME if table.same_padding else SYMMETRIC
        conv = partial(ConvNormAct, norm=norm, padding=padding)
        outer = partial(conv, activation=ACTIVATIONS[table.activation][1])
        # With patches nothing is padded, which is what "same" says of an even size.
        patches = {"padding": SAME} if table.stem_kernel_size == 2 else {}
        size = table.stem_kernel_size
        self.stem = outer(3, table.stem_channels, kernel_size=size, stride=2, **patches)
        self.stages = nn.Sequential(
            OrderedDict(
                (stage.name, nn.Sequential(*_blocks(stage.blocks, table, conv)))
                for stage in table.stages
            )
        )
        self.head = outer(table.blocks[-1].channels, table.head_channels)
        self.classifier = _classifier(network, table)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.stages(self.stem(x))))
        return logits


def _blocks(blocks: Sequence[Block], table: Table, conv: partial[ConvNormAct]) -> list[nn.Module]:
    made: list[nn.Module] = []
    for block in blocks:
        if block.kind == SHUFFLE:
            made.append(_shuffle_unit(block, first=not made))
        else:
            own = partial(conv, activation=ACTIVATIONS[block.activation][1])
            parts = _fused if block.kind == FUSED else _mbconv
            made.append(
                Residual(
                    parts(block, table, own), residual=block.residual, drop_rate=block.drop_rate
                )
            )
    return made


def _mbconv(block: Block, table: Table, conv: partial[ConvNormAct]) -> OrderedDict[str, nn.Module]:
    """1x1 expand -> kxk depthwise -> attention -> 1x1 project, as `InvertedResidual`."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    expanded, pointwise = block.expanded, partial(conv, groups=block.groups)
    # Made first, as the families do, so that one seed gives both networks the same weights.
    attention = _attention(block, table)
    if expanded != block.in_channels:
        parts["expand"] = pointwise(block.in_channels, expanded)
    parts["depthwise"] = _depthwise(block, conv)
    if attention is not None:
        parts[block.attention] = attention
    parts["project"] = pointwise(expanded, block.channels, activation=None)
    return parts


def _depthwise(block: Block, conv: partial[ConvNormAct]) -> nn.Module:
    """One convolution, or two 3x3: in series the first strides, and only the last is activated."""
    channels = block.expanded
    if block.depthwise == "parallel":
        return ParallelDepthwise(channels, conv=conv, stride=block.stride)
    depthwise = partial(conv, channels, channels, kernel_size=block.kernel_size, groups=channels)
    if block.depthwise == "series":
        first = depthwise(stride=block.stride, activation=None)
        return nn.Sequential(OrderedDict(first=first, second=depthwise()))
    return depthwise(stride=block.stride)


def _attention(block: Block, table: Table) -> nn.Module | None:
    if not block.attention:
        return None
    if block.attention == CHANNEL_ATTENTION:
        return EfficientChannelAttention(block.expanded)
    return SqueezeExcite(
        block.expanded,
        squeezed(block, table),
        activation=ACTIVATIONS[table.squeeze_activation][1],
        gate=ACTIVATIONS[table.gate][1],
    )


def _fused(block: Block, table: Table, conv: partial[ConvNormAct]) -> OrderedDict[str, nn.Module]:
    """3x3 expand -> attention -> 1x1 project: one convolution for expansion and depthwise.

    Source: EfficientNetV2, arXiv:2104.00298, figure 2; here also where nothing is expanded.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    attention = _attention(block, table)
    parts["expand"] = conv(
        block.in_channels, block.expanded, kernel_size=block.kernel_size, stride=block.stride
    )
    if attention is not None:
        parts[block.attention] = attention
    parts["project"] = conv(block.expanded, block.channels, activation=None, groups=block.groups)
    return parts


def _shuffle_unit(block: Block, *, first: bool) -> nn.Module:
    if first:
        return WideningUnit(block.in_channels, block.channels, TOPOLOGY, stride=block.stride)
    return Unit(block.channels, TOPOLOGY)


def _classifier(network: nn.Module, table: Table) -> nn.Module:
    """The family's own, made anew where tensors are made."""
    own = network.get_submodule("classifier")
    if not isinstance(own, LateExpansion):
        assert isinstance(own, Classifier)
        return Classifier(table.head_channels, own.linear.out_features, dropout=own.dropout.p)
    return LateExpansion(
        table.head_channels,
        own.linear.out_features,
        hidden=own.hidden.out_features,
        activation=ACTIVATIONS[table.activation][1],
        dropout=own.dropout.p,
    )
