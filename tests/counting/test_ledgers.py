"""The ledgers of small networks, derived by hand as products of named dimensions.

The derivations follow the definitions in words; none of them calls the code under test for a
part of its answer. Everything is fp32: 4 bytes an element.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.blocks import ConvNormAct, InvertedResidual, SqueezeExcite
from architectures.shufflenet_v2 import Topology, Unit, WideningUnit
from benchbench.cases import Case
from benchbench.counting.cost import cost
from benchbench.counting.ledgers import executed_bytes, fused_bytes, paper_bytes
from benchbench.counting.walk import walk
from benchbench.profilers.complexity import complexity

BYTES = 4

OFFICIAL = Topology(torchvision=False, squeeze_excite=False, residual=False)


def ledgers(network: nn.Module, *shape: int) -> tuple[int, int, int]:
    """Paper, ops and fused bytes of a network on one input."""
    walked = walk(network.eval().to("meta"), torch.empty(shape, device="meta"))
    paper = sum(paper_bytes(op) for op in walked.executed)
    ops = sum(executed_bytes(op) for op in walked.executed)
    return paper, ops, sum(fused_bytes(walked))


N, C1, C2, H, W = 2, 12, 24, 10, 14


def test_paper_of_a_1x1_convolution() -> None:
    """hw(c1 + c2) + c1 c2 of section 2, activations once an image."""
    expected = N * (C1 * H * W + C2 * H * W) + C1 * C2
    assert ledgers(nn.Conv2d(C1, C2, 1, bias=False), N, C1, H, W)[0] == BYTES * expected


def test_paper_of_a_grouped_convolution() -> None:
    """hw(c1 + c2) + c1 c2 / g: guideline G2."""
    groups = 3
    expected = N * (C1 * H * W + C2 * H * W) + C1 * C2 // groups
    network = nn.Conv2d(C1, C2, 1, groups=groups, bias=False)
    assert ledgers(network, N, C1, H, W)[0] == BYTES * expected


def test_paper_of_a_depthwise_convolution() -> None:
    kernel = 5
    expected = N * (C1 * H * W + C1 * H * W) + kernel * kernel * C1
    network = nn.Conv2d(C1, C1, kernel, padding=2, groups=C1, bias=False)
    assert ledgers(network, N, C1, H, W)[0] == BYTES * expected


def test_paper_of_a_strided_convolution_with_bias() -> None:
    """The whole input, though a 1x1 of stride 2 looks at a quarter of it; the bias not at all."""
    expected = N * (C1 * H * W + C2 * (H // 2) * (W // 2)) + C1 * C2
    assert ledgers(nn.Conv2d(C1, C2, 1, stride=2), N, C1, H, W)[0] == BYTES * expected


def test_paper_counts_no_linear_layer() -> None:
    assert ledgers(nn.Linear(C1, C2), N, C1)[0] == 0


def test_ops_and_fused_of_a_linear_layer() -> None:
    expected = N * C1 + C1 * C2 + C2 + N * C2
    _, ops, fused = ledgers(nn.Linear(C1, C2), N, C1)
    assert ops == fused == BYTES * expected


def test_element_size_is_the_tensors() -> None:
    network = nn.Conv2d(C1, C2, 1, bias=False).to("meta", torch.bfloat16)
    walked = walk(network, torch.empty(N, C1, H, W, device="meta", dtype=torch.bfloat16))
    assert paper_bytes(walked.executed[0]) == 2 * (N * (C1 + C2) * H * W + C1 * C2)


# An MBConv block with squeeze-excite, N = 1: c channels in and out, e expanded, s squeezed,
# p positions on the map, a k x k depthwise filter. Its thirteen kinds of operator:
c, e, s, k, p = 16, 96, 4, 3, 8 * 8


def mbconv() -> InvertedResidual:
    return InvertedResidual(
        c,
        c,
        conv=partial(ConvNormAct, activation=nn.SiLU),
        expanded_channels=e,
        kernel_size=k,
        stride=1,
        squeeze_excite=SqueezeExcite(e, s, activation=nn.SiLU),
    )


def test_ops_of_mbconv_with_squeeze_excite() -> None:
    expand = c * p + c * e + e * p
    expand_norm = e * p + 4 * e + e * p
    expand_act = e * p + e * p
    depthwise = e * p + k * k * e + e * p
    depthwise_norm = e * p + 4 * e + e * p
    depthwise_act = e * p + e * p
    squeeze = e * p + e
    reduce = e + (e * s + s) + s
    reduce_act = s + s
    excite = s + (s * e + e) + e
    gate = e + e
    scale = e * p + e + e * p  # the gate at its stored size
    project = e * p + e * c + c * p
    project_norm = c * p + 4 * c + c * p
    add = c * p + c * p + c * p
    expected = (
        (expand + expand_norm + expand_act)
        + (depthwise + depthwise_norm + depthwise_act)
        + (squeeze + reduce + reduce_act + excite + gate + scale)
        + (project + project_norm + add)
    )
    assert ledgers(mbconv(), 1, c, 8, 8)[1] == BYTES * expected


def test_fused_of_mbconv_with_squeeze_excite() -> None:
    """Seven kernels, each reading what it needs from outside and writing one tensor."""
    expand = (c * p + c * e + 4 * e) + e * p
    depthwise = (e * p + k * k * e + 4 * e) + e * p
    squeeze = e * p + e
    reduce = (e + e * s + s) + s
    excite = (s + s * e + e) + e  # the sigmoid joins it
    scale = (e * p + e) + e * p  # its own kernel: the gate is smaller than the result
    project = (e * p + e * c + 4 * c + c * p) + c * p  # with the shortcut's read, for the sum
    expected = expand + depthwise + squeeze + reduce + excite + scale + project
    assert ledgers(mbconv(), 1, c, 8, 8)[2] == BYTES * expected


def test_paper_of_mbconv_counts_its_squeeze_excite_convolutions() -> None:
    expected = (
        (c * p + e * p + c * e)
        + (e * p + e * p + k * k * e)
        + (e + s + e * s)
        + (s + e + s * e)
        + (e * p + c * p + e * c)
    )
    assert ledgers(mbconv(), 1, c, 8, 8)[0] == BYTES * expected


def test_in_place_activations_cost_the_same() -> None:
    in_place = nn.Sequential(nn.Conv2d(c, e, 1), nn.ReLU(inplace=True))
    out_of_place = nn.Sequential(nn.Conv2d(c, e, 1), nn.ReLU())
    assert ledgers(in_place, 1, c, 8, 8) == ledgers(out_of_place, 1, c, 8, 8)


# A ShuffleNetV2 unit: b channels in a branch, so 2 b in and out; the split is a view.
b = 20

POINTWISE = b * p + b * b + b * p
NORM = b * p + 4 * b + b * p
RELU = b * p + b * p
DEPTHWISE = b * p + 9 * b + b * p
BRANCH_OPS = (POINTWISE + NORM + RELU) + (DEPTHWISE + NORM) + (POINTWISE + NORM + RELU)
POINTWISE_KERNEL = (b * p + b * b + 4 * b) + b * p
DEPTHWISE_KERNEL = (b * p + 9 * b + 4 * b) + b * p
BRANCH_KERNELS = POINTWISE_KERNEL + DEPTHWISE_KERNEL + POINTWISE_KERNEL
CONCATENATE = (b * p + b * p) + 2 * b * p
SHUFFLE = 2 * b * p + 2 * b * p


def test_ledgers_of_a_shufflenet_v2_unit() -> None:
    paper, ops, fused = ledgers(Unit(2 * b, OFFICIAL), 1, 2 * b, 8, 8)
    assert paper == BYTES * (POINTWISE + DEPTHWISE + POINTWISE)
    assert ops == BYTES * (BRANCH_OPS + CONCATENATE)
    assert fused == BYTES * (BRANCH_KERNELS + CONCATENATE)


def test_torchvisions_unit_pays_for_its_shuffle() -> None:
    paper, ops, fused = ledgers(Unit(2 * b, OFFICIAL._replace(torchvision=True)), 1, 2 * b, 8, 8)
    assert paper == BYTES * (POINTWISE + DEPTHWISE + POINTWISE)
    assert ops == BYTES * (BRANCH_OPS + CONCATENATE + SHUFFLE)
    assert fused == BYTES * (BRANCH_KERNELS + CONCATENATE + SHUFFLE)


def test_fused_of_a_strided_shufflenet_v2_unit() -> None:
    """i channels in, o out, the shortcut keeping its i; q = p / 4 positions after the stride."""
    i, o, q = 24, 116, p // 4
    half, rest = o // 2, o - i
    shortcut = ((i * p + 9 * i + 4 * i) + i * q) + ((i * q + i * i + 4 * i) + i * q)
    branch = (
        ((i * p + i * half + 4 * half) + half * p)
        + ((half * p + 9 * half + 4 * half) + half * q)
        + ((half * q + half * rest + 4 * rest) + rest * q)
    )
    concatenate = (i * q + rest * q) + o * q
    fused = ledgers(WideningUnit(i, o, OFFICIAL, stride=2), 1, i, 8, 8)[2]
    assert fused == BYTES * (shortcut + branch + concatenate)


class Diamond(nn.Module):
    """Two convolutions of one input, added, the sum used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(c, c, 1, bias=False), nn.Conv2d(c, c, 1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        left = self.left(x)
        total = F.relu(self.right(x) + left)
        return total, total * total


def test_a_sum_joins_the_branch_that_is_ready_last() -> None:
    """left: x + weight -> out. right: x + weight + left's result -> the two things returned."""
    left = c * p + c * c + c * p
    right = c * p + c * c + c * p + 2 * c * p
    assert ledgers(Diamond(), 1, c, 8, 8)[2] == BYTES * (left + right)


class Reused(nn.Module):
    """A tensor that is read by one kernel, then overwritten in place by another."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c, c, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv(x)
        second = self.conv(first)  # reads what is about to be overwritten
        return second + first.mul_(2)


def test_an_in_place_operator_makes_a_new_value() -> None:
    """One kernel makes `first`, doubles it and adds: its two values are told apart."""
    first_to_sum = (c * p + c * c + c * p) + (c * p + c * p)  # reads x, weight, second
    second = (c * p + c * c) + c * p  # reads first
    assert ledgers(Reused(), 1, c, 8, 8)[2] == BYTES * (first_to_sum + second)


def test_a_kernel_reads_an_external_tensor_once_however_often_it_uses_it() -> None:
    """relu(conv(x) + r) * r, and cat((r, r)): r is charged once to each of the two kernels."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(c, c, 1, bias=False)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            r = torch.cat((x, x), dim=1)[:, :c]
            return F.relu(self.conv(x) + r) * r, torch.cat((r, r), dim=1)

    doubled = c * p + 2 * c * p
    conv = (c * p + c * c + c * p) + c * p
    again = c * p + 2 * c * p
    assert ledgers(Twice(), 1, c, 8, 8)[2] == BYTES * (doubled + conv + again)


def test_a_part_written_in_place_leaves_with_the_rest() -> None:
    """y = conv(x), its first quarter through ReLU in place: all of y is written, once."""

    class Partial(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(c, 4 * c, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(x)
            y[:, :c].relu_()
            return y

    assert ledgers(Partial(), 1, c, 8, 8)[2] == BYTES * (c * p + 4 * c * c + 4 * c * p)


@pytest.mark.parametrize("expand", [True, False])
def test_a_gate_is_its_own_kernel_however_it_is_broadcast(expand: bool) -> None:
    """x * gate(mean(x)): mean and sigmoid, then a multiply that reads x and the small gate."""

    class Gate(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            gate = x.mean((2, 3), keepdim=True).sigmoid()
            return x * gate.expand_as(x) if expand else x * gate

    expected = (c * p + c) + (c * p + c + c * p)
    assert ledgers(Gate(), 1, c, 8, 8)[2] == BYTES * expected


def test_an_expanded_operand_is_read_at_its_stored_size() -> None:
    class Expanded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :1].expand(-1, c, -1, -1).clone()

    assert ledgers(Expanded(), 1, c, 8, 8)[1] == BYTES * (p + c * p)


def test_kernels_of_mbconv_one_by_one() -> None:
    """In order of execution, each at the layer that starts it: its multiply-adds and bytes."""
    network = mbconv().eval().to("meta")
    counted = cost(network, walk(network, torch.empty(1, c, 8, 8, device="meta")))
    by_metric = {item.metric: item for item in counted.measurements}
    kernels = by_metric["memory_access_fused"].details["kernels"]
    expected = [
        ("expand.conv", c * e * p, (c * p + c * e + 4 * e) + e * p),
        ("depthwise.conv", k * k * e * p, (e * p + k * k * e + 4 * e) + e * p),
        ("squeeze_excite", 0, e * p + e),
        ("squeeze_excite.reduce", e * s, (e + e * s + s) + s),
        ("squeeze_excite.expand", s * e, (s + s * e + e) + e),
        ("squeeze_excite", 0, (e * p + e) + e * p),
        ("project.conv", e * c * p, (e * p + e * c + 4 * c + c * p) + c * p),
    ]
    kernels = [row[:3] for row in kernels]  # the fourth is padded for this machine
    assert kernels == [[layer, work, BYTES * elements] for layer, work, elements in expected]
    assert sum(work for _, work, _ in kernels) == by_metric["multiply_adds"].value
    assert sum(traffic for _, _, traffic in kernels) == by_metric["memory_access_fused"].value
    for layer in counted.layers:
        mine = [traffic for name, _, traffic in kernels if name == layer.name]
        assert sum(mine) == layer.memory_access_fused


def test_int8_is_one_byte_an_element(case: Callable[..., Case]) -> None:
    """A quarter of every ledger, kernel by kernel and layer by layer; nothing else differs."""
    fp32 = complexity(case(runtime="onnxruntime"))
    int8 = complexity(case(runtime="onnxruntime", precision="int8"))
    for one, quarter in zip(fp32.measurements, int8.measurements, strict=True):
        if one.metric == "multiply_adds_padded":  # a vector holds four times as many
            assert quarter.details["vector_block"] == 4 * one.details["vector_block"]
            continue
        share = 4 if one.metric.startswith("memory_access") else 1
        assert quarter.value == one.flat[0] / share
    kernels = [found.measurements[-1].details["kernels"] for found in (fp32, int8)]
    assert [kernel[2] for kernel in kernels[0]] == [4 * kernel[2] for kernel in kernels[1]]
    for layer, small in zip(fp32.layers, int8.layers, strict=True):
        assert small.memory_access_fused * 4 == layer.memory_access_fused
        assert small.multiply_adds == layer.multiply_adds
