"""What counts do not show: activations, batch norm, dropout and preprocessing of each family.

Values from the official code of each family (see the module docstrings in architectures/).
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from torch import nn
from variants import NETWORKS, variant

from benchbench.networks import build


class Constants(NamedTuple):
    eps: float
    momentum: float  # PyTorch's: 1 - TensorFlow's decay
    dropout: float
    preprocessing: str
    activations: dict[str, int]


TORCH = (1e-5, 0.1)
SLIM = (1e-3, 0.003)
TPU = (1e-3, 0.01)
RELU_33 = {"ReLU": 33}
EXPECTED = {
    # 16 blocks: stem, head, 15 expansions, 16 depthwise, and one in each squeeze-excite.
    "efficientnet_b0": Constants(
        *TPU, 0.2, "efficientnet", {"SiLU": 1 + 1 + 15 + 16 + 16, "Sigmoid": 16}
    ),
    "mobilenet_v1": Constants(1e-3, 0.0003, 0.001, "inception", {"ReLU6": 1 + 13 + 13}),
    "mobilenet_v2": Constants(*SLIM, 0.2, "inception", {"ReLU6": 1 + 1 + 16 + 17}),
    # Table 1: 6 blocks with ReLU, the first of which does not expand; 9 with hard-swish; 8 SE.
    "mobilenet_v3_large": Constants(
        *SLIM,
        0.2,
        "inception",
        {"ReLU": 6 + 5 + 8, "Hardswish": 9 + 9 + 1 + 1 + 1, "Hardsigmoid": 8},
    ),
    # Table 2: 3 blocks with ReLU, the first of which does not expand; 8 with hard-swish; 9 SE.
    "mobilenet_v3_small": Constants(
        *SLIM,
        0.2,
        "inception",
        {"ReLU": 3 + 2 + 9, "Hardswish": 8 + 8 + 1 + 1 + 1, "Hardsigmoid": 9},
    ),
    # As B0 without the 16 squeeze-excites and with ReLU6.
    "efficientnet_lite0": Constants(*TPU, 0.2, "efficientnet_lite", {"ReLU6": 1 + 1 + 15 + 16}),
    # Fused: one block without expansion, 2 + 2 with one activation; 16 MBConv with three each.
    "efficientnet_v2_b0": Constants(
        1e-3, 0.1, 0.2, "efficientnet", {"SiLU": 1 + 1 + 1 + 4 + 3 * 16, "Sigmoid": 16}
    ),
    # Table 1 without hard-swish and squeeze-excite.
    "mobilenet_v3_large_minimalistic": Constants(
        *SLIM, 0.2, "inception", {"ReLU": 1 + 1 + 1 + 14 + 15}
    ),
    # 15 blocks, 10 of them with squeeze-excite, no dropout.
    "mnasnet_small": Constants(*TPU, 0.0, "mnasnet", {"ReLU": 1 + 1 + 14 + 15 + 10, "Sigmoid": 10}),
    # 16 blocks, 8 of them with squeeze-excite; B1: 17 blocks, none.
    "mnasnet_a1": Constants(*TPU, 0.2, "mnasnet", {"ReLU": 1 + 1 + 15 + 16 + 8, "Sigmoid": 8}),
    "mnasnet_b1": Constants(*TPU, 0.2, "mnasnet", {"ReLU": 1 + 1 + 16 + 17}),
    # One in each of 16 units as a module; the one after the sum is a function.
    "shufflenet_v1_g3_x1_0": Constants(*TORCH, 0.0, "megvii", {"ReLU": 1 + 16}),
    # Stem, head, two in each of 16 branches, one in each of 3 strided shortcuts.
    "shufflenet_v2_x1_0": Constants(*TORCH, 0.0, "megvii", {"ReLU": 1 + 1 + 2 * 16 + 3}),
    "shufflenet_v2_x2_0": Constants(*TORCH, 0.2, "megvii", {"ReLU": 1 + 1 + 2 * 16 + 3}),
    "shufflenet_v2_x2_0_torchvision": Constants(
        *TORCH, 0.0, "torchvision", {"ReLU": 1 + 1 + 2 * 16 + 3}
    ),
    # Two in each of 16 bottlenecks; the one after the sum is a function.
    "resnet50": Constants(*TORCH, 0.0, "torchvision", {"ReLU": 1 + 2 * 16}),
}
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid)


@pytest.mark.parametrize("name", EXPECTED)
def test_constants(name: str) -> None:
    case = variant(name)
    modules = list(build(case, "meta").modules())
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
    kinds = [type(module).__name__ for module in modules if type(module) in ACTIVATIONS]
    (dropout,) = (module.p for module in modules if isinstance(module, nn.Dropout))
    ((eps, momentum),) = {(norm.eps, norm.momentum) for norm in norms}
    activations = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    found = Constants(eps, momentum, dropout, case.preprocessing, activations)
    assert found == EXPECTED[name]


# tensorflow/tpu efficientnet_builder.py and lite/efficientnet_lite_builder.py, google/automl
# effnetv2_configs.py: dropout by variant.
DROPOUT = {
    0.2: "b0 b1 lite0 lite1 v2_b0 v2_b1 v2_s",
    0.3: "b2 b3 lite2 lite3 lite4 v2_b2 v2_b3 v2_m",
    0.4: "b4 b5 v2_l v2_xl",
    0.5: "b6 b7 b8 l2",
}


def test_dropout_of_every_efficientnet() -> None:
    expected = {f"efficientnet_{name}": p for p, row in DROPOUT.items() for name in row.split()}
    names = [name for name in NETWORKS if name.startswith("efficientnet")]
    assert {name: build(variant(name), "meta").classifier.dropout.p for name in names} == expected


@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_lite0", "efficientnet_v2_s"])
def test_drop_connect_grows_linearly_by_block(name: str) -> None:
    """tensorflow/tpu efficientnet_model.py: 0.2 x index / blocks."""
    blocks = [block for stage in build(variant(name), "meta").stages.children() for block in stage]
    assert [block.drop_rate for block in blocks] == [
        pytest.approx(0.2 * index / len(blocks)) for index in range(len(blocks))
    ]
