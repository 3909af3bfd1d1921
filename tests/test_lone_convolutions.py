"""Lone convolutions do what they say, no more and no less."""

from __future__ import annotations

import pytest
import torch

from architectures.lone_convolutions import LoneConvolutions
from benchbench.counting.walk import walk


def test_a_pixel_of_each_added_up() -> None:
    torch.manual_seed(0)
    network = LoneConvolutions(
        in_channels=4, out_channels=6, kernel_size=(3, 3), stride=(2, 2), groups=2, repeats=3
    )
    images = torch.randn(2, 4, 7, 7)
    expected = torch.zeros(2, 6)
    for convolution in network.convolutions:
        assert isinstance(convolution, torch.nn.Conv2d)
        for group in range(2):
            filters = convolution.weight[3 * group : 3 * group + 3]
            patch = images[:, 2 * group : 2 * group + 2, :3, :3]
            expected[:, 3 * group : 3 * group + 3] += torch.einsum("nchw,ochw->no", patch, filters)
    torch.testing.assert_close(network(images), expected)


def test_it_computes_the_convolution_and_next_to_nothing_else() -> None:
    network = LoneConvolutions(in_channels=16, out_channels=96, repeats=4).to("meta")
    executed = walk(network, torch.empty(1, 16, 112, 112, device="meta")).executed
    assert sum(op.multiply_adds for op in executed) == 4 * 16 * 96 * 112 * 112
    others = [op.result.numel() for op in executed if op.convolution is None]
    assert sum(others) <= 10 * 96


def test_repeats_must_be_positive() -> None:
    with pytest.raises(ValueError, match="repeats=0"):
        LoneConvolutions(in_channels=4, out_channels=4, repeats=0)
