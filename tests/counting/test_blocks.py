"""Building blocks against the papers' tables, and in networks that are written otherwise."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from variants import variant

from architectures.blocks import ConvNormAct
from benchbench.counting.blocks import Block, blocks
from benchbench.counting.walk import walk
from benchbench.networks import build


def of(name: str) -> list[Block]:
    case = variant(name)
    network = build(case, "meta")
    return blocks(network, walk(network, torch.empty(case.input_shape, device="meta")))


@pytest.mark.parametrize(
    ("name", "operations"),
    [
        # Table 2: 17 bottlenecks, the first without expansion.
        ("mobilenet_v2", {3: 16, 2: 1}),
        # Table 1: thirteen times depthwise and pointwise.
        ("mobilenet_v1", {2: 13}),
        # Table 1: stages of 3, 4, 6, 3 with a projection in the first of each.
        ("resnet50", {3: 12, 4: 4}),
        ("resnet18", {2: 5, 3: 3}),
        # Table 1: 16 MBConv with squeeze-excite, the first without expansion.
        ("efficientnet_b0", {5: 15, 4: 1}),
        # Table 5: stages of 4, 8, 4; the first unit of each has two branches, of 2 and 3.
        ("shufflenet_v2_x1_0", {3: 13, 5: 3}),
        # Table 1, figure 2: 3 convolutions, and an average pool where it strides.
        ("shufflenet_v1_g3_x1_0", {3: 13, 4: 3}),
    ],
)
def test_operations_of_the_blocks_of_the_tables(name: str, operations: dict[int, int]) -> None:
    assert Counter(b.convolutions + b.pools for b in of(name)) == operations


def test_squeeze_excites_means_are_told_apart() -> None:
    """MobileNetV3-Large, Table 1: 8 of 15 blocks have it."""
    found = of("mobilenet_v3_large")
    assert Counter(block.means for block in found) == {1: 8, 0: 7}


def test_a_cell_that_was_searched_is_one_block() -> None:
    """AmoebaNet-D's normal cell: 5 pairs of operations behind a 1x1 for each input."""
    found = of("amoebanet_d_18_208")
    assert {block.kind for block in found} == {"Cell"}
    # 18 normal cells, 2 reductions in the stem and 2 between the groups.
    assert len(found) == 18 + 4


class Unit(nn.Module):
    """Two convolutions, one of them with its norm in a class of ours, and a sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNormAct(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(self.first(x))
        return out


class Stage(nn.Module):
    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.units = nn.Sequential(Unit(channels), Unit(channels))
        self.down = ConvNormAct(channels, out_channels, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(self.units(x))
        return out


class RowOfUnits(nn.Sequential):
    """A stage that is the sequence itself."""


@pytest.mark.parametrize(
    "stages",
    [
        (Stage(4, 8), Stage(8, 16)),
        (RowOfUnits(Unit(4), Unit(4)), RowOfUnits(Unit(4), Unit(4))),
        (Unit(4), nn.Sequential(Unit(4), nn.Sequential(Unit(4), Unit(4)))),
    ],
)
def test_stages_are_looked_through(stages: tuple[nn.Module, ...]) -> None:
    network = nn.Sequential(ConvNormAct(3, 4), *stages).eval().to("meta")
    found = blocks(network, walk(network, torch.empty(1, 3, 8, 8, device="meta")))
    assert [(block.kind, block.convolutions) for block in found] == [("Unit", 2)] * 4


class PoolingUnit(nn.Module):
    """A convolution, and a pool by the unit's own code."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(self.convolution(x), 3, 1, 1)


def test_what_a_blocks_own_code_executes_is_counted() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), PoolingUnit(), PoolingUnit()).to("meta")
    found = blocks(network, walk(network, torch.empty(1, 3, 8, 8, device="meta")))
    assert [tuple(block) for block in found] == [
        ("1", "PoolingUnit", 1, 1, 0),
        ("2", "PoolingUnit", 1, 1, 0),
    ]


def test_a_network_that_repeats_nothing_has_no_blocks() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1)).to("meta")
    assert blocks(network, walk(network, torch.empty(1, 3, 8, 8, device="meta"))) == []
