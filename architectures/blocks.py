"""Parts shared by several families, so that a family's file reads as its paper's table.

Modules made here have named children (`conv`, `norm`, `act`), because those names are what
a reader sees in a per-layer table.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Callable[[int], nn.Module]
Activation = Callable[[], nn.Module]


class BatchNorm(nn.BatchNorm2d):
    """nn.BatchNorm2d with a shorter way to the same kernel in eval mode.

    There the original looks up what only training needs, fifty times a network: 2 to 5 % of a
    light network's time on one core of a CPU.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        own, kept = self._parameters, self._buffers
        mean, variance = kept["running_mean"], kept["running_var"]
        cudnn = torch.backends.cudnn.enabled
        return torch.batch_norm(
            x, own["weight"], own["bias"], mean, variance, False, 0.0, self.eps, cudnn
        )


# TensorFlow's moving-average momentum m is 1 - m in PyTorch's convention.
TORCH_NORM: Norm = BatchNorm
RELU: Activation = partial(nn.ReLU, inplace=True)
RELU6: Activation = partial(nn.ReLU6, inplace=True)
SWISH: Activation = partial(nn.SiLU, inplace=True)
HARD_SWISH: Activation = partial(nn.Hardswish, inplace=True)
HARD_SIGMOID: Activation = partial(nn.Hardsigmoid, inplace=True)

SYMMETRIC, SAME = "symmetric", "same"
PADDINGS = (SYMMETRIC, SAME)


def make_divisible(channels: float, divisor: int = 8, *, may_lose: float = 0.1) -> int:
    """Nearest multiple of `divisor` (halves go up), raised by one step if that lost too much.

    `may_lose` is a share of the channels. Source: `_make_divisible` of tensorflow/models slim,
    `round_filters` of tensorflow/tpu.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < (1 - may_lose) * channels else rounded


def repeated(repeats: int, depth: float) -> int:
    """How many blocks a stage has when its depth is scaled: rounded up (arXiv:1905.11946)."""
    # 1.1 x 10 is a hair above 11 in floating point; it is not 12 blocks.
    return max(1, math.ceil(round(repeats * depth, 9)))


def check_positive(**values: float) -> None:
    """Refuse a width, depth or number of classes that makes no network.

    Raises:
        ValueError: one of them is 0 or less; the message names it.
    """
    for name, value in values.items():
        if not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise ValueError(f"{name}={value}: must be greater than 0")


def check_choice(name: str, value: str, allowed: Iterable[str]) -> None:
    """Refuse an option that a family does not have.

    Raises:
        ValueError: `value` is none of `allowed`; the message names them.
    """
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: allowed are {', '.join(allowed)}")


def check_probability(**values: float) -> None:
    """Refuse a rate of dropout or DropConnect that is none.

    Raises:
        ValueError: one of them is not from 0 to below 1; the message names it.
    """
    for name, value in values.items():
        if not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise ValueError(f"{name}={value}: must be from 0 to below 1")


def strides(first: int, repeats: int) -> list[int]:
    """The stride of each block of a stage: the stage's own first, then 1."""
    return [first] + [1] * (repeats - 1)


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME": ceil(size / stride) outputs.

    An odd total goes to the bottom and the right, so that a strided convolution sees other
    pixels than with k//2 on every side. Source: TensorFlow's documentation of `tf.nn`.
    """

    def forward(self, x: Tensor) -> Tensor:
        sizes = zip(x.shape[2:], self.stride, self.kernel_size, strict=True)
        height, width = (
            max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            for size, stride, kernel in sizes
        )
        if height % 2 or width % 2:
            x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
            height = width = 0
        even = (height // 2, width // 2)  # which the convolution pads without a copy
        return F.conv2d(x, self.weight, self.bias, self.stride, even, groups=self.groups)


class ConvNormAct(nn.Sequential):
    """kxk convolution without bias -> norm -> activation.

    Padded by k//2 on every side, or with `padding="same"` as TensorFlow pads.
    """

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
        padding: str = SYMMETRIC,
    ) -> None:
        check_choice("padding", padding, PADDINGS)
        # With stride 1 and an odd kernel the two paddings are one.
        conv = SameConv2d if padding == SAME and stride > 1 else nn.Conv2d
        parts: OrderedDict[str, nn.Module] = OrderedDict(
            conv=conv(
                in_channels,
                out_channels,
                kernel_size,
                stride,
                padding=0 if conv is SameConv2d else kernel_size // 2,
                groups=groups,
                bias=False,
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
        # In place spares a map of memory traffic. Not where a gradient is wanted: the way back
        # of the activation before may need its output.
        scaled: Tensor = x * scale if x.requires_grad else x.mul_(scale)
        return scaled


def drop_connect(branch: Tensor, rate: float) -> Tensor:
    """Leave out each image's branch with probability `rate`, and make up for it in the others.

    (N, C, H, W) to the same. Also called stochastic depth: arXiv:1603.09382; as here, per
    image and scaled so that the expectation stays: tensorflow/tpu `efficientnet/utils.py`.
    """
    kept = branch.new_empty((branch.shape[0], 1, 1, 1)).bernoulli_(1 - rate)
    return branch * kept.div_(1 - rate)


def linear_rates(last: float, blocks: int) -> list[float]:
    """DropConnect's rate of each block: from 0 towards `last`, by index over their number."""
    return [last * index / blocks for index in range(blocks)]


class Residual(nn.Sequential):
    """The parts in a row, plus x where `residual`; with DropConnect while training.

    The last part ends in a norm or in an activation whose way back needs its input alone: the
    sum is made in its output.
    """

    def __init__(
        self, parts: OrderedDict[str, nn.Module], *, residual: bool, drop_rate: float = 0.0
    ) -> None:
        super().__init__(parts)
        self.residual = residual
        self.drop_rate = drop_rate

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        if not self.residual:
            return branch
        if self.training and self.drop_rate > 0:
            branch = drop_connect(branch, self.drop_rate)
        return branch.add_(x)  # a norm's output, which its way back does not need


class InvertedResidual(Residual):
    """1x1 expand -> kxk depthwise -> squeeze-excite -> 1x1 project, plus x where shapes allow.

    `conv` makes the convolutions with the family's norm, activation and padding. The expansion
    is left out when it would not widen. The projection is linear. Source: MobileNetV2,
    arXiv:1801.04381, figure 4d; with squeeze-excite: MnasNet, arXiv:1807.11626, figure 7.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        conv: Callable[..., ConvNormAct],
        expanded_channels: int,
        kernel_size: int,
        stride: int,
        squeeze_excite: SqueezeExcite | None = None,
        drop_rate: float = 0.0,
        skip: bool = True,
    ) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if expanded_channels != in_channels:
            parts["expand"] = conv(in_channels, expanded_channels)
        parts["depthwise"] = conv(
            expanded_channels,
            expanded_channels,
            kernel_size=kernel_size,
            stride=stride,
            groups=expanded_channels,
        )
        if squeeze_excite is not None:
            parts["squeeze_excite"] = squeeze_excite
        parts["project"] = conv(expanded_channels, out_channels, activation=None)
        same_shape = stride == 1 and in_channels == out_channels
        super().__init__(parts, residual=skip and same_shape, drop_rate=drop_rate)


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
