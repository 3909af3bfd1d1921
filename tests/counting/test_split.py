"""The three terms of a convolution's memory access, derived by hand. Elements are of 4 bytes."""

from __future__ import annotations

import json
from math import sqrt

import pytest
import torch
from torch import nn
from variants import NAMES, variant

from benchbench.counting.ledgers import paper_bytes
from benchbench.counting.split import (
    Convolved,
    Terms,
    added,
    convolution_rows,
    from_row,
    split,
    with_element_size,
)
from benchbench.counting.walk import walk
from benchbench.networks import build
from benchbench.profilers.complexity import complexity

BYTES = 4


def convolved(network: nn.Module, *shape: int) -> list[Convolved]:
    walked = walk(network.to("meta"), torch.empty(shape, device="meta"))
    return [from_row(row) for row in convolution_rows(walked)]


def test_the_second_block_of_mobilenet_v2() -> None:
    """Table 2: from 112 x 112 x 16, expansion 6, stride 2, to 56 x 56 x 24."""
    found = complexity(variant("mobilenet_v2")).measurements
    (paper,) = (one for one in found if one.metric == "memory_access_paper")
    rows = {row[0]: from_row(row) for row in paper.details["convolutions"]}
    expand, depthwise, project = (
        rows[f"stages.1.0.{name}.conv"] for name in ("expand", "depthwise", "project")
    )
    large, small = 112 * 112, 56 * 56
    # 16 to 96: the means' inequality is missed by (sqrt(96) - sqrt(16))^2 a position.
    terms = split(expand)
    assert terms.total == BYTES * (16 * large + 96 * large + 16 * 96)
    assert terms.g1 == pytest.approx(BYTES * large * (sqrt(96) - 4) ** 2, abs=1)
    assert terms.g2 == 0
    # 96 groups, and a quarter is written of what is read, a: (sqrt(a) - sqrt(a / 4))^2 is a / 4.
    read = 96 * large
    assert split(depthwise).g1 == BYTES * read // 4
    assert split(depthwise).g2 == pytest.approx(BYTES * read * (1 - 1 / sqrt(96)), abs=1)
    assert split(depthwise).bound == pytest.approx(BYTES * (read / sqrt(96) + 96 * 9), abs=1)
    assert depthwise.depthwise
    # 96 to 24: sqrt(96 x 24) is 48, so 96 + 24 - 2 x 48 a position are too many.
    assert split(project) == Terms(
        bound=BYTES * (96 * small + 96 * 24), g1=BYTES * 24 * small, g2=0
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_terms_of_every_convolution_add_up_to_the_ledger(name: str) -> None:
    case = variant(name)
    walked = walk(build(case, "meta"), torch.empty(case.input_shape, device="meta"))
    ledger = [paper_bytes(op) for op in walked.executed if op.convolution is not None]
    terms = [split(from_row(row)) for row in convolution_rows(walked)]
    assert [sum(found) for found in terms] == ledger
    assert min(map(min, terms)) >= 0


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
@pytest.mark.parametrize("channels", [(16, 64), (32, 32), (128, 8)])
def test_the_bound_of_a_pointwise_convolution_is_the_papers(
    groups: int, channels: tuple[int, int]
) -> None:
    """Section 2: 2 sqrt(hw B g) + B / hw with B multiply-adds, where the groups are given."""
    images, side = 3, 14
    conv = nn.Conv2d(*channels, 1, groups=groups)
    (row,) = convolved(conv, images, channels[0], side, side)
    positions, work = images * side * side, row.multiply_adds
    terms = split(row)
    expected = BYTES * (2 * sqrt(positions * work * groups) + work / positions)
    assert terms.bound + terms.g2 == pytest.approx(expected, abs=2)
    ungrouped = BYTES * (2 * sqrt(positions * work) + work / positions)
    assert terms.bound == pytest.approx(ungrouped, abs=2)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2)])
def test_widths_of_equal_work_differ_in_the_first_term_alone(kernel: int, stride: int) -> None:
    """With c1 c2 held the bound holds; no widths do with less, and G1 is what is more."""
    found = [
        convolved(nn.Conv2d(c1, 1024 // c1, kernel, stride, kernel // 2), 2, c1, 16, 16)[0]
        for c1 in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    ]
    assert len({row.multiply_adds for row in found}) == 1
    terms = [split(row) for row in found]
    assert len({(one.bound, one.g2) for one in terms}) == 1
    best = min(terms, key=lambda one: one.total)
    # Reading as much as is written: equal widths, or at stride 2 four times as wide behind it.
    assert best is terms[5 if stride == 1 else 4]
    assert best.g1 == 0


def test_four_groups_waste_half_of_what_is_read_and_written() -> None:
    """1 - 1 / sqrt(4): ungrouped, half the channels do as many multiply-adds."""
    (grouped,) = convolved(nn.Conv2d(64, 64, 1, groups=4), 1, 64, 8, 8)
    (ungrouped,) = convolved(nn.Conv2d(32, 32, 1), 1, 32, 8, 8)
    assert grouped.multiply_adds == ungrouped.multiply_adds
    assert split(grouped).g2 == BYTES * (64 + 64) * 64 // 2
    assert split(grouped).bound == split(ungrouped).total


def test_maps_of_one_pixel_are_not_scored() -> None:
    (point,) = convolved(nn.Conv2d(8, 4, 1), 1, 8, 1, 1)
    (pooling,) = convolved(nn.Conv2d(8, 4, 7), 1, 8, 7, 7)
    assert not point.scored
    assert pooling.scored


def test_what_is_depthwise() -> None:
    (multiplied,) = convolved(nn.Conv2d(8, 16, 3, groups=8), 1, 8, 7, 7)
    (single,) = convolved(nn.Conv2d(1, 16, 3), 1, 1, 7, 7)
    (grouped,) = convolved(nn.Conv2d(8, 16, 3, groups=4), 1, 8, 7, 7)
    assert [row.depthwise for row in (multiplied, single, grouped)] == [True, False, False]


def test_transposed_and_one_dimensional_convolutions() -> None:
    (up,) = convolved(nn.ConvTranspose2d(4, 6, 3, stride=2), 1, 4, 5, 5)
    assert split(up).total == BYTES * (4 * 25 + 6 * 121 + 4 * 6 * 9)
    (line,) = convolved(nn.Conv1d(4, 6, 3), 2, 4, 9)
    assert (line.input_size, line.stride) == ((9,), (1,))
    assert split(line).total == BYTES * (2 * (4 * 9 + 6 * 7) + 4 * 6 * 3)


def test_rows_come_back_from_json_and_change_their_element_size() -> None:
    (row,) = convolution_rows(
        walk(nn.Conv2d(4, 8, 3, device="meta"), torch.empty(1, 4, 9, 9).to("meta"))
    )
    assert from_row(json.loads(json.dumps(row))) == from_row(row)
    int8 = from_row(with_element_size(row, 1))
    assert split(int8).total * BYTES == split(from_row(row)).total


def test_int8_is_counted_in_bytes_of_its_own() -> None:
    found = complexity(variant("mobilenet_v2", "precision=int8", "runtime=openvino")).measurements
    (paper,) = (one for one in found if one.metric == "memory_access_paper")
    assert sum(split(from_row(r)).total for r in paper.details["convolutions"]) == paper.value


def test_nothing_adds_up_to_nothing() -> None:
    assert added([]) == Terms(0, 0, 0)
    assert added([Terms(1, 2, 3), Terms(10, 20, 30)]) == Terms(11, 22, 33)
