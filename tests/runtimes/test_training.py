"""A step of training in parts: the arithmetic of one, and the network the same afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchbench.errors import UserError
from benchbench.runtimes.training import training_parts


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(3 * 4 * 4, 5)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.head(images.flatten(1))
        return scores


def images() -> Tensor:
    return torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def test_backward_gives_the_gradient_of_cross_entropy() -> None:
    network = Linear()
    parts = training_parts(network, images(), seed=7)
    assert list(parts) == ["forward", "backward", "optimiser_step"]
    parts["forward"]()
    parts["backward"]()
    found = network.head.weight.grad
    assert found is not None
    classes = torch.randint(5, (2,), generator=torch.Generator().manual_seed(7))
    # By hand: softmax less the one-hot class, averaged over the images, times the input.
    probabilities = network(images()).softmax(1)
    error = (probabilities - torch.eye(5)[classes]) / 2
    torch.testing.assert_close(found, error.T @ images().flatten(1))


def test_a_thousand_steps_leave_the_weights_where_they_were() -> None:
    network = Linear()
    before = network.head.weight.detach().clone()
    parts = training_parts(network, images(), seed=0)
    for _ in range(3):
        for part in parts.values():
            part()
    assert torch.equal(network.head.weight, before)
    assert network.training
    assert network.head.weight.grad is None  # set to none in the step, as torch does
    loss = cross_entropy(network(images()), torch.tensor([0, 1]))
    assert bool(loss.isfinite())


class Nothing(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images


@pytest.mark.parametrize("network", [Nothing(), nn.Conv2d(3, 4, 1)])
def test_what_cannot_be_trained_says_why(network: nn.Module) -> None:
    with pytest.raises(UserError, match="mode=train: the network"):
        training_parts(network, images(), seed=0)["forward"]()
