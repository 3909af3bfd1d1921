"""Networks while they train: DropConnect, one optimisation step, what is kept for the way back."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from variants import variant

from architectures.blocks import HARD_SWISH, SWISH, Residual, drop_connect
from benchbench.networks import build

FAMILIES = (
    *("efficientnet_b0", "efficientnet_lite0", "efficientnet_v2_b0", "mobilenet_v1"),
    *("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small_minimalistic", "mnasnet_a1"),
    *("mnasnet_small", "shufflenet_v1_g3_x1_0", "shufflenet_v2_x1_0", "resnet18", "resnet50"),
    *("shufflenet_v2_x1_0_torchvision", "shufflenet_v2_x2_0_se"),
)
SMALL = {
    "amoebanet_d_18_208": ["+model.width=0.16", "+model.layers=3"],
    "shufflenet_v2_164_se": ["scale.width=0.5", "scale.depth=0.2"],
}


@pytest.mark.parametrize("name", [*FAMILIES, *SMALL])
def test_one_step_downhill_lowers_the_loss(name: str) -> None:
    network = build(variant(name, *SMALL.get(name, []), "+model.num_classes=10"), "cpu").train()
    for module in network.modules():  # chance would hide what the step does
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, Residual):
            module.drop_rate = 0.0
    images, labels = torch.randn(4, 3, 64, 64), torch.tensor([1, 2, 3, 4])
    loss = nn.functional.cross_entropy(network(images), labels)
    loss.backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)
    norm = torch.cat([g.flatten() for g in gradients if g is not None]).norm()
    with torch.no_grad():
        torch.optim.SGD(network.parameters(), lr=1e-3 / float(norm)).step()
        assert nn.functional.cross_entropy(network(images), labels) < loss


def test_drop_connect_keeps_the_expectation() -> None:
    """Each image's branch is 0 or 1 / (1 - rate) of itself, in proportion to the rate."""
    torch.manual_seed(0)
    images, rate = 20_000, 0.3
    kept = drop_connect(torch.ones(images, 2, 1, 1), rate)
    assert torch.equal(kept[:, 0], kept[:, 1])  # an image's branch as a whole
    assert kept.unique().tolist() == [0.0, pytest.approx(1 / (1 - rate))]
    # four standard errors of a mean of Bernoulli draws, scaled
    tolerance = 4 * (rate / (1 - rate) / images) ** 0.5
    assert kept.mean().item() == pytest.approx(1.0, abs=tolerance)


def test_drop_connect_leaves_x_where_the_branch_is_dropped() -> None:
    block = Residual(OrderedDict(twice=Double()), residual=True, drop_rate=0.5)
    images = torch.ones(64, 1, 1, 1)
    assert set(block.train()(images).flatten().tolist()) == {1.0, 1.0 + 2.0 / 0.5}
    assert block.eval()(images).unique().tolist() == [3.0]


def test_a_block_without_residual_is_never_dropped() -> None:
    block = Residual(OrderedDict(twice=Double()), residual=False, drop_rate=0.9).train()
    assert block(torch.ones(64, 1, 1, 1)).unique().tolist() == [2.0]


class Double(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


@pytest.mark.parametrize("activation", [SWISH(), HARD_SWISH()])
def test_an_activation_keeps_one_tensor_for_the_way_back(activation: nn.Module) -> None:
    """x times sigmoid(x), written out, would keep two."""
    kept: list[Tensor] = []
    with saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        activation(torch.randn(8, requires_grad=True) + 0)
    assert len(kept) == 1


def test_a_random_network_is_in_training_mode_only_when_asked() -> None:
    network = build(variant("efficientnet_b0"), "cpu")
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        first, second = network(images), network(images)
        assert torch.equal(first, second)
        network.train()
        outputs = [network(images) for _ in range(4)]
    assert all(not torch.equal(a, b) for a, b in pairwise(outputs))


def test_batch_norm_moves_by_its_momentum() -> None:
    """TensorFlow's 0.99 is 0.01 here: new = 0.99 x old + 0.01 x the batch's mean."""
    stem = build(variant("efficientnet_b0"), "cpu", calibrated=False).stem.train()
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        mean = stem.conv(images).mean((0, 2, 3))
        stem(images)
    assert torch.allclose(stem.norm.running_mean, 0.01 * mean, atol=1e-7)
