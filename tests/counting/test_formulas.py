"""Formulas against torch's own shape inference, and against a second counter."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from variants import variant

from benchbench.counting.walk import UnknownOperator, walk
from benchbench.networks import build


class Function(nn.Module):
    """A network that is one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


def meta(*shape: int, layout: torch.memory_format = torch.contiguous_format) -> Tensor:
    return torch.empty(shape, device="meta", memory_format=layout)


LAYOUTS = (torch.contiguous_format, torch.channels_last)
UNARY = [
    *(torch.relu, torch.sigmoid, torch.tanh, torch.abs, torch.exp, torch.neg, torch.square),
    *(F.silu, F.hardswish, F.hardsigmoid, F.relu6, F.gelu, F.elu, F.leaky_relu, F.mish, F.softplus),
    *(lambda x: x + 1, lambda x: x * x, lambda x: x.clamp(0, 1), lambda x: x**2),
    *(lambda x: x.mean((2, 3)), lambda x: x.mean((2, 3), keepdim=True), lambda x: x.mean(-1)),
    *(lambda x: x.mean(), lambda x: torch.cat((x, x), 1), lambda x: torch.cat((x, x), -1)),
    *(lambda x: F.max_pool2d(x, 3, 2, 1), lambda x: F.avg_pool2d(x, 3, 2, 1)),
    *(lambda x: F.max_pool2d(x, 2, ceil_mode=True), lambda x: F.avg_pool2d(x, (2, 3))),
    *(lambda x: F.max_pool2d(x, 3, 1, 1, dilation=2), lambda x: F.adaptive_avg_pool2d(x, 3)),
    *(lambda x: x.clone(), lambda x: x.transpose(1, 2).contiguous(), lambda x: x[:, ::2] + 1),
    *(lambda x: F.pad(x, (1, 2, 1, 2)), lambda x: x.chunk(2, 1)[1].clone(), lambda x: x.add_(1)),
    *(lambda x: x.relu_(), lambda x: x.permute(0, 2, 3, 1) * 2, lambda x: x.softmax(1)),
    lambda x: torch.cat((x, x.transpose(2, 3).reshape(x.shape)), 1),
]


@pytest.mark.parametrize(("function", "layout"), list(product(UNARY, LAYOUTS)))
def test_shape_layout_and_type_are_torchs(
    function: Callable[[Tensor], Tensor], layout: torch.memory_format
) -> None:
    expected = function(torch.zeros(2, 6, 7, 7).to(memory_format=layout))
    (found,) = walk(Function(function), meta(2, 6, 7, 7, layout=layout)).outputs
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert found.stride() == expected.stride()


@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 6, 7, 7), (2, 6, 1, 1)),
        ((2, 6, 1, 1), (2, 6, 7, 7)),
        ((7,), (2, 6, 7, 7)),
        ((2, 1, 7), (6, 1)),
        ((1, 1), (5,)),
    ],
)
def test_broadcasting_is_torchs(shapes: tuple[tuple[int, ...], ...]) -> None:
    (found,) = walk(Function(torch.mul), *(meta(*shape) for shape in shapes)).outputs
    assert found.shape == torch.broadcast_shapes(*shapes)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups", "size", "layout"),
    list(product((1, 3), (1, 2), (0, 1), (1, 2), (1, 2, 4), (7, 8), LAYOUTS)),
)
def test_convolution_is_torchs(
    kernel: int,
    stride: int,
    padding: int,
    dilation: int,
    groups: int,
    size: int,
    layout: torch.memory_format,
) -> None:
    conv = nn.Conv2d(4, 8, kernel, stride, padding, dilation, groups).to(memory_format=layout)
    with torch.no_grad():
        expected = conv(torch.zeros(2, 4, size, size).to(memory_format=layout))
    walked = walk(conv.to("meta"), meta(2, 4, size, size, layout=layout))
    assert walked.outputs[0].shape == expected.shape
    assert walked.outputs[0].is_contiguous(memory_format=layout)
    (op,) = walked.executed
    assert op.multiply_adds == expected.numel() * (4 // groups) * kernel * kernel


def test_transposed_convolution_applies_its_filter_at_each_input_position() -> None:
    conv = nn.ConvTranspose2d(4, 6, 3, stride=2, device="meta")
    (op,) = walk(conv, meta(2, 4, 5, 5)).executed
    assert op.result.shape == (2, 6, 11, 11)
    assert op.multiply_adds == (2 * 5 * 5) * 4 * 6 * (3 * 3)


def test_convolution_in_one_dimension() -> None:
    (op,) = walk(nn.Conv1d(4, 6, 3, device="meta"), meta(2, 4, 9)).executed
    assert op.multiply_adds == (2 * 7) * 4 * 6 * 3


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 4), (2, 5, 4)])
def test_linear_multiplies_every_row(bias: bool, shape: tuple[int, ...]) -> None:
    walked = walk(nn.Linear(4, 3, bias=bias, device="meta"), meta(*shape))
    rows = 5 if len(shape) == 2 else 10
    assert sum(op.multiply_adds for op in walked.executed) == rows * 4 * 3


@pytest.mark.parametrize(
    "name", ["efficientnet_b0", "mobilenet_v3_small", "shufflenet_v1_g3_x1_0", "resnet50"]
)
def test_torchs_own_counter_agrees_to_the_unit(name: str) -> None:
    """`FlopCounterMode` counts two for a multiply-add, over convolutions and matrix products."""
    case = variant(name)
    network = build(case, "meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(meta(*case.input_shape))
    ours = sum(op.multiply_adds for op in walk(network, meta(*case.input_shape)).executed)
    assert 2 * ours == counter.get_total_flops()


def test_an_operator_without_a_formula_is_named_with_its_layer() -> None:
    network = nn.Sequential(nn.ReLU(), Function(lambda x: x.cumsum(0)))
    with pytest.raises(UnknownOperator, match=r"aten::cumsum in layer '1'"):
        walk(network, meta(3, 3))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RuntimeError, match="channel"):
        walk(nn.Conv2d(4, 8, 1, device="meta"), meta(1, 3, 8, 8))
    with pytest.raises(RuntimeError):
        walk(nn.Linear(4, 8, device="meta"), meta(1, 3))
    for function in (torch.add, torch.Tensor.add_, torch.Tensor.mul_):
        with pytest.raises(RuntimeError):
            walk(Function(function), meta(2, 3), meta(2, 4))
    with pytest.raises(RuntimeError):  # in place, the smaller one cannot grow
        walk(Function(torch.Tensor.add_), meta(1, 3), meta(2, 3))


def test_keyword_arguments_change_values_and_not_shapes() -> None:
    walked = walk(
        Function(lambda b, x, w: torch.addmm(b, x, w, beta=0.5, alpha=2)),
        *(meta(5), meta(3, 4), meta(4, 5)),
    )
    assert sum(op.multiply_adds for op in walked.executed) == 3 * 4 * 5
    pooled = walk(Function(lambda x: F.avg_pool2d(x, 2, divisor_override=3)), meta(1, 2, 4, 4))
    assert pooled.outputs[0].shape == (1, 2, 2, 2)


def test_an_expanded_operand_gives_a_dense_result() -> None:
    def function(x: Tensor) -> Tensor:
        return x.expand(4, 3).relu().view(12)

    assert (
        walk(Function(function), meta(1, 3)).outputs[0].shape == function(torch.zeros(1, 3)).shape
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.conv2d(x, meta(8, 4, 1, 1).bfloat16()),
        lambda x: F.conv2d(x, meta(8, 4, 1, 1), meta(7)),
        lambda x: F.linear(x, meta(5, 4, 4).bfloat16()[0]),
        lambda x: F.linear(x, meta(5, 4), meta(6)),
        lambda x: x.mean(7),
        lambda x: x.mean((1, 1)),
        lambda x: x.long().mean((1, 2)),
        lambda x: F.max_pool2d(x, 2, 1, 2),
    ],
)
def test_what_torch_refuses_is_refused(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises((RuntimeError, IndexError)):
        walk(Function(function), meta(2, 4, 4, 4))


def test_concatenating_types_is_promoted_as_torch_does() -> None:
    def function(x: Tensor) -> Tensor:
        return torch.cat((x.half(), x), 1)

    assert walk(Function(function), meta(2, 3)).outputs[0].dtype == torch.float32


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (torch.zeros(2, 3, dtype=torch.bfloat16), torch.zeros(2, 3)),
        (torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.bfloat16)),
        (torch.zeros((), dtype=torch.float32), torch.zeros(2, 3, dtype=torch.bfloat16)),
        (torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 3)),
        (torch.zeros(2, 3, dtype=torch.int64), torch.ones(2, 3, dtype=torch.int64)),
    ],
)
def test_types_are_promoted_as_torch_does(first: Tensor, second: Tensor) -> None:
    for function in (torch.mul, torch.div):
        (found,) = walk(Function(function), first.to("meta"), second.to("meta")).outputs
        assert found.dtype == function(first, second).dtype


@pytest.mark.parametrize("function", [lambda x: 2**x, lambda x: 1 - x, lambda x: 1 / x])
def test_a_number_may_come_first(function: Callable[[Tensor], Tensor]) -> None:
    (found,) = walk(Function(function), meta(2, 3)).outputs
    assert found.shape == (2, 3)


def test_a_scalar_parameter_keeps_the_others_layout() -> None:
    x = meta(2, 4, 3, 3, layout=torch.channels_last)
    (found,) = walk(Function(torch.mul), meta(), x).outputs
    assert found.is_contiguous(memory_format=torch.channels_last)
