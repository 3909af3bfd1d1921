"""The same weights through another library's network and ours give the same output.

The others' modules come in the order of ours, so weights are carried over by position. Their
batch norms have other constants, which are carried over too: they are compared elsewhere.
"""

from __future__ import annotations

import inspect

import pytest
import torch
from references import REFERENCES, Reference
from references import build as build_reference
from torch import nn
from variants import NAMES, variant

from benchbench.cases import build, import_network

# In fp64: SiLU and x * sigmoid(x) round differently, in fp32 by up to 1e-4 after B3's layers.
ROUNDING = 1e-9
COMPARABLE = [
    reference
    for reference in REFERENCES
    if reference.variant in NAMES and not reference.slow and not reference.differs
]


def resolution(reference: Reference) -> int:
    """Small, but for networks that end in a 7x7 average-pool."""
    fixed = reference.library == "pytorchcv" and "efficientnet" not in reference.name
    return 224 if fixed else 64


def calibrated(network: nn.Module, pixels: int) -> nn.Module:
    """Statistics from one batch: with the initial ones, deep layers would be all but zero."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = None
    with torch.no_grad():
        network.train()(torch.randn(4 if pixels == 224 else 8, 3, pixels, pixels))
    return network.eval()


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def ours(reference: Reference) -> nn.Module:
    """Our variant, told to be what the reference is."""
    settings = [f"++model.{key}={value}" for key, value in reference.ours.items()]
    taken = inspect.signature(import_network(variant(reference.variant).target)).parameters
    if missing := set(reference.ours) - set(taken):
        pytest.skip(f"our network takes no {', '.join(missing)} yet")
    return build(variant(reference.variant, *settings), "cpu")


@pytest.mark.parametrize("reference", COMPARABLE, ids=lambda reference: reference.label)
def test_outputs_are_equal(reference: Reference) -> None:
    torch.manual_seed(0)
    pixels = resolution(reference)
    if reference.library == "efficientnet-lite-pytorch":  # it pads for a resolution told before
        reference = reference._replace(arguments={"image_size": pixels})
    network = ours(reference)
    expected_network = calibrated(build_reference(reference), pixels)
    pairs = zip(
        network.state_dict().items(), expected_network.state_dict().values(), strict=True
    )  # a linear layer may be a 1x1 convolution there
    network.load_state_dict({name: theirs.reshape(mine.shape) for (name, mine), theirs in pairs})
    for mine, theirs in zip(norms(network), norms(expected_network), strict=True):
        mine.eps = theirs.eps
    images = torch.randn(2, 3, pixels, pixels, dtype=torch.double)
    with torch.inference_mode():
        found, expected = network.double()(images), expected_network.double()(images)
    assert expected.abs().max() > 1e-3  # alive, or everything would be equal
    assert (found - expected).abs().max() <= ROUNDING * expected.abs().max()
