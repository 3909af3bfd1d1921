"""Channels in whole vectors, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchbench.counting.padding import padded_multiply_adds, vector_block
from benchbench.counting.walk import walk

H = W = 5


def padded(network: nn.Module, channels: int, block: int = 16) -> int:
    images = torch.empty(2, channels, H, W, device="meta")
    return sum(padded_multiply_adds(op, block) for op in walk(network.to("meta"), images).executed)


@pytest.mark.parametrize(
    ("network", "channels", "expected"),
    [
        (nn.Conv2d(9, 108, 1), 9, 16 * 112),  # ShuffleNetV2's Table 1: 9 are 16, 108 are 112
        (nn.Conv2d(32, 64, 1), 32, 32 * 64),  # whole blocks stay as they are
        (nn.Conv2d(64, 64, 1, groups=8), 64, 8 * 16 * 16),  # 8 channels a group are 16
        (nn.Conv2d(40, 40, 3, padding=1, groups=40), 40, 9 * 48),  # vectors across the groups
        (nn.Conv2d(3, 24, 3, padding=1), 3, 9 * 3 * 32),  # an image stays one of 3 channels
        (nn.ReLU(), 16, 0),
    ],
)
def test_channels_are_rounded_up(network: nn.Module, channels: int, expected: int) -> None:
    assert padded(network, channels) == 2 * H * W * expected


def test_a_linear_layer_is_rounded_too() -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, 1000))
    assert padded(network, 20) == 2 * 32 * 1008


def test_a_block_is_a_vector_of_the_device() -> None:
    assert vector_block("cpu", "fp32", ["avx2", "avx512f"]) == 16
    assert vector_block("cpu", "fp32", ["avx2"]) == 8
    assert vector_block("cpu", "int8", ["avx512f"]) == 64
    assert vector_block("cpu", "bf16", ["asimd"]) == 8
    assert vector_block("cuda", "fp16", ["avx512f"]) == 32
