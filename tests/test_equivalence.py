"""The same weights through torchvision's network and ours give the same output.

torchvision's modules come in the order of ours, so weights are carried over by position. Its
batch norms have other constants, which are carried over too: they are compared elsewhere.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from variants import variant

from benchbench.cases import build


@pytest.fixture(scope="module")
def torchvision_models() -> Any:
    """torchvision.models, which with a CPU build of torch wants two schemas to be there first."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    import torchvision.models

    return torchvision.models


def calibrated(network: nn.Module) -> nn.Module:
    """Statistics from one batch: with the initial ones, deep layers would be all but zero."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = None
    with torch.no_grad():
        network.train()(torch.randn(8, 3, 64, 64))
    return network.eval()


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("efficientnet_b0", "efficientnet_b0"),
        ("efficientnet_b1", "efficientnet_b1"),
        ("efficientnet_b3", "efficientnet_b3"),
        ("mobilenet_v2", "mobilenet_v2"),
        ("mobilenet_v3_large", "mobilenet_v3_large"),
        ("mobilenet_v3_small", "mobilenet_v3_small"),
        ("mnasnet_b1", "mnasnet1_0"),
        ("resnet50", "resnet50"),
        ("shufflenet_v2_x0_5_torchvision", "shufflenet_v2_x0_5"),
        ("shufflenet_v2_x1_0_torchvision", "shufflenet_v2_x1_0"),
        ("shufflenet_v2_x1_5_torchvision", "shufflenet_v2_x1_5"),
        ("shufflenet_v2_x2_0_torchvision", "shufflenet_v2_x2_0"),
    ],
)
def test_outputs_are_equal(torchvision_models: Any, name: str, theirs: str) -> None:
    torch.manual_seed(0)
    reference = calibrated(getattr(torchvision_models, theirs)(weights=None))
    ours = build(variant(name), "cpu")
    tensors = zip(ours.state_dict(), reference.state_dict().values(), strict=True)
    ours.load_state_dict(dict(tensors))
    for mine, other in zip(norms(ours), norms(reference), strict=True):
        mine.eps = other.eps
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        found, expected = ours(images), reference(images)
    assert expected.abs().max() > 1e-3  # alive, or everything would be equal
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
