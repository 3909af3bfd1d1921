"""Who waits for whom in small networks, written down by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from architectures.blocks import SqueezeExcite
from benchbench.counting.dependencies import operator_rows, predecessors
from benchbench.counting.ledgers import fused_bytes
from benchbench.counting.walk import walk


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def waits(network: nn.Module, *shape: int) -> list[list[int]]:
    return predecessors(walk(network.to("meta"), torch.empty(shape, device="meta")))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x.relu().exp().neg(), [[], [0], [1]]),
        (lambda x: x.relu() + x.exp(), [[], [], [0, 1]]),
        (lambda x: x.relu() * 2 + 1, [[], [0], [1]]),
        # In place the tensor is written anew: who reads it later waits for that.
        (lambda x: x.relu().mul_(2).exp(), [[], [0], [1]]),
        # A view is its tensor: both halves wait for the relu, and the sum for both.
        (
            lambda x: torch.cat([half.exp() for half in x.relu().chunk(2, 1)], 1),
            [[], [0], [0], [1, 2]],
        ),
        # Read twice, waited for once.
        (lambda x: (y := x.relu()) * y, [[], [0]]),
    ],
)
def test_who_waits_for_whom(
    function: Callable[[Tensor], Tensor], expected: list[list[int]]
) -> None:
    assert waits(Function(function), 2, 4, 6, 6) == expected


def test_squeeze_excite_is_a_chain_beside_a_map() -> None:
    """relu, then mean, reduce, relu, expand, sigmoid; the product waits for the map as well."""
    network = nn.Sequential(nn.ReLU(), SqueezeExcite(8, 2, activation=nn.ReLU))
    assert waits(network, 1, 8, 6, 6) == [[], [0], [1], [2], [3], [4], [0, 5]]


def test_rows_name_the_operator_and_whether_a_kernel_starts_there() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.MaxPool2d(2)).to("meta")
    walked = walk(network, torch.empty(1, 3, 6, 6, device="meta"))
    assert operator_rows(walked, fused_bytes(walked)) == [
        ["convolution", 1, []],
        ["relu", 0, [0]],
        ["max_pool2d_with_indices", 1, [1]],
    ]
