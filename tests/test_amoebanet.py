"""AmoebaNet-D's parts by hand: no library that a test could install has them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from variants import variant

from architectures.amoebanet import (
    Cell,
    FactorizedReduction,
    average_pool_3x3,
    max_pool_2x2,
    max_pool_3x3,
)
from benchbench.networks import build

CHANNELS = 8


def settled(module: nn.Module) -> nn.Module:
    """In eval mode, with norms that do something."""
    torch.manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
    return module.eval()


@pytest.fixture(autouse=True)
def _no_gradients() -> None:
    torch.set_grad_enabled(False)
    yield
    torch.set_grad_enabled(True)


def test_a_reduction_reads_even_and_odd_pixels() -> None:
    """tensorflow/tpu `factorized_reduction`: the second path is a pixel to the lower right."""
    module = FactorizedReduction(1, 2)
    for path in (module.path, module.shifted):
        nn.init.ones_(path.weight)
    module.norm = nn.Identity()
    pixels = torch.tensor([[1.0, 2, 3], [4, 5, 6], [-7, 8, 9]])
    first, second = module(pixels[None, None])[0]
    assert first.tolist() == [[1, 3], [0, 9]]  # ReLU comes first
    assert second.tolist() == [[5, 0], [0, 0]]  # zeros beyond the edge


def test_poolings_are_what_they_are_called() -> None:
    pixels = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])[None, None]
    assert max_pool_3x3(1, 2)(pixels).flatten().tolist() == [5, 6, 8, 9]
    assert max_pool_2x2(1, 2)(pixels).flatten().tolist() == [5, 6, 8, 9]
    assert average_pool_3x3(1, 2)(pixels).flatten().tolist() == [3, 4, 6, 7]  # of what is inside


def largest(x: Tensor, *, stride: int = 1) -> Tensor:
    return F.max_pool2d(x, 3, stride, 1)


def mean(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def test_a_normal_cell_by_hand() -> None:
    """tensorflow/tpu's genotype of D: indices 1 1 1 0 0 0 2 2 1 5, outputs 0 3 4 6."""
    cell = settled(Cell(CHANNELS, CHANNELS, CHANNELS, reduction=False, after_reduction=False))
    current, previous = torch.randn(2, 1, CHANNELS, 6, 6)
    left, right = cell.left, cell.right
    zero, one = cell.current(current), previous
    two = left[0](one) + largest(one)
    three = one + right[1](zero)
    four = left[2](zero) + right[2](zero)
    five = largest(two) + two
    six = mean(one) + right[4](five)
    expected = torch.cat((zero, three, four, six), dim=1)
    assert torch.allclose(cell(current, previous), expected, atol=1e-6)


def test_a_reduction_cell_by_hand() -> None:
    """tensorflow/tpu's genotype of D: indices 0 0 2 1 2 2 3 1 2 3, outputs 4 5 6."""
    cell = settled(Cell(CHANNELS, CHANNELS, CHANNELS, reduction=True, after_reduction=False))
    current, previous = torch.randn(2, 1, CHANNELS, 6, 6)
    left, right = cell.left, cell.right
    zero, one = cell.current(current), previous
    two = F.max_pool2d(zero, 2) + largest(zero, stride=2)
    three = two + right[1](one)
    four = left[2](two) + largest(two)
    five = three + F.max_pool2d(one, 2)
    six = mean(two) + right[4](three)
    expected = torch.cat((four, five, six), dim=1)
    assert expected.shape == (1, 3 * CHANNELS, 3, 3)
    assert torch.allclose(cell(current, previous), expected, atol=1e-6)


def test_constants_of_the_official_code() -> None:
    """tensorflow/tpu `model_builder.py`: decay 0.9997, epsilon 1e-3; half of the last dropped."""
    network = build(variant("amoebanet_d_18_208"), "meta")
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-3}
    assert {round(1 - norm.momentum, 4) for norm in norms} == {0.9997}
    assert network.classifier.dropout.p == 0.5
    assert variant("amoebanet_d_18_208").preprocessing == "inception"
