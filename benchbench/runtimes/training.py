"""One step of training in its three parts, each of which can be timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from benchbench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

# A step does the same work whatever the rate, and at 0 the thousandth is that of the first.
LEARNING_RATE = 0.0
MOMENTUM = 0.9


def training_parts(
    network: nn.Module, images: Tensor, seed: int
) -> dict[str, Callable[[], object]]:
    """Forward with loss, backward, optimiser step: called in this order, over and over.

    Cross-entropy against fixed random classes, SGD with momentum, gradients set to None in the
    step, as torch does by default.

    Raises:
        UserError: the network gives no (N, classes), which the loss needs, or has no parameters.
    """
    import torch
    from torch.nn.functional import cross_entropy

    network.train()
    parameters = [p for p in network.parameters() if p.requires_grad]
    if not parameters:
        raise UserError("mode=train: the network has no parameters to train")
    optimiser = torch.optim.SGD(parameters, lr=LEARNING_RATE, momentum=MOMENTUM)
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}

    def forward() -> None:
        scores = network(images)
        if not isinstance(scores, torch.Tensor) or scores.dim() != 2:
            raise UserError("mode=train: the network must give one row of scores an image")
        if "classes" not in state:
            classes = torch.randint(scores.shape[1], (len(images),), generator=generator)
            state["classes"] = classes.to(images.device)
        state["loss"] = cross_entropy(scores, state["classes"])

    def backward() -> None:
        state.pop("loss").backward()

    def step() -> None:
        optimiser.step()
        optimiser.zero_grad()

    return {"forward": forward, "backward": backward, "optimiser_step": step}
