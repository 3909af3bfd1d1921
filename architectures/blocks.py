"""Parts shared by several families, so that a family's file reads as its paper's table.

Modules made here have named children (`conv`, `norm`, `act`), because those names are what
a reader sees in a per-layer table.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

Norm = Callable[[int], nn.Module]
Activation = Callable[[], nn.Module]

# TensorFlow's moving-average momentum m is 1 - m in PyTorch's convention.
TORCH_NORM: Norm = nn.BatchNorm2d
RELU: Activation = partial(nn.ReLU, inplace=True)
RELU6: Activation = partial(nn.ReLU6, inplace=True)
SWISH: Activation = partial(nn.SiLU, inplace=True)
HARD_SWISH: Activation = partial(nn.Hardswish, inplace=True)
HARD_SIGMOID: Activation = partial(nn.Hardsigmoid, inplace=True)


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Nearest multiple of `divisor` (halves go up), raised by one step if that lost over 10 %.

    Source: `_make_divisible` of tensorflow/models slim, `round_filters` of tensorflow/tpu.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def check_positive(**values: float) -> None:
    """Refuse a width, depth or number of classes that makes no network.

    Raises:
        ValueError: one of them is 0 or less; the message names it.
    """
    for name, value in values.items():
        if not isinstance(value, (int, float)) or not value > 0:
            raise ValueError(f"{name}={value}: must be greater than 0")


def strides(first: int, repeats: int) -> list[int]:
    """The stride of each block of a stage: the stage's own first, then 1."""
    return [first] + [1] * (repeats - 1)


class ConvNormAct(nn.Sequential):
    """kxk convolution without bias -> norm -> activation, padded by k//2 on every side."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        norm: Norm = TORCH_NORM,
        activation: Activation | None = RELU,
    ) -> None:
        padding = kernel_size // 2
        parts: OrderedDict[str, nn.Module] = OrderedDict(
            conv=nn.Conv2d(
                in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False
            ),
            norm=norm(out_channels),
        )
        if activation is not None:
            parts["act"] = activation()
        super().__init__(parts)


class SqueezeExcite(nn.Module):
    """x times gate(1x1 expand(activation(1x1 reduce(mean over space)))), arXiv:1709.01507."""

    def __init__(
        self,
        channels: int,
        squeeze_channels: int,
        *,
        activation: Activation,
        gate: Activation = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeeze_channels, 1)
        self.act = activation()
        self.expand = nn.Conv2d(squeeze_channels, channels, 1)
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        scale = x.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
        scale = self.gate(self.expand(self.act(self.reduce(scale))))
        scaled: Tensor = x * scale
        return scaled


class InvertedResidual(nn.Sequential):
    """1x1 expand -> kxk depthwise -> squeeze-excite -> 1x1 project, plus x where shapes allow.

    The expansion is left out when it would not widen, the squeeze-excite when
    `squeeze_channels` is None. The projection is linear. Source: MobileNetV2,
    arXiv:1801.04381, figure 4d; with squeeze-excite: MnasNet, arXiv:1807.11626, figure 7.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expanded_channels: int,
        kernel_size: int,
        stride: int,
        squeeze_channels: int | None = None,
        norm: Norm = TORCH_NORM,
        activation: Activation = RELU,
        squeeze_activation: Activation = RELU,
        gate: Activation = nn.Sigmoid,
    ) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if expanded_channels != in_channels:
            parts["expand"] = ConvNormAct(
                in_channels, expanded_channels, norm=norm, activation=activation
            )
        parts["depthwise"] = ConvNormAct(
            expanded_channels,
            expanded_channels,
            kernel_size=kernel_size,
            stride=stride,
            groups=expanded_channels,
            norm=norm,
            activation=activation,
        )
        if squeeze_channels is not None:
            parts["squeeze_excite"] = SqueezeExcite(
                expanded_channels, squeeze_channels, activation=squeeze_activation, gate=gate
            )
        parts["project"] = ConvNormAct(expanded_channels, out_channels, norm=norm, activation=None)
        super().__init__(parts)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + result if self.residual else result


class Classifier(nn.Module):
    """mean over space -> dropout -> linear: (N, C, H, W) to (N, classes)."""

    def __init__(
        self, in_channels: int, num_classes: int, *, dropout: float = 0.0, bias: bool = True
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(in_channels, num_classes, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x.mean((2, 3))  # (N, C)
        logits: Tensor = self.linear(self.dropout(x))
        return logits
