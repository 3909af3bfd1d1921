"""Eager PyTorch: what a network costs as its author wrote it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from benchbench.cases import Case
from benchbench.inputs import make_input
from benchbench.networks import build
from benchbench.runtimes.activity import activity
from benchbench.runtimes.formats import feed, place, tensors_of
from benchbench.runtimes.running import Running

if TYPE_CHECKING:
    from torch import Tensor, nn


class EagerNetwork(NamedTuple):
    """A network and its input where the case wants them."""

    case: Case
    network: nn.Module
    images: Tensor

    def running(self) -> Running:
        """The case, running on these very tensors."""
        return _running(self.network, self.images, self.case)

    def copied(self) -> Running:
        """The case on a copy.

        Raises:
            Exception: whatever a network says that cannot be copied.
        """
        network = copy.deepcopy(self.network)
        if network is self.network:
            raise TypeError("the network gives itself for a copy")
        return _running(network, self.images.clone(), self.case)

    def outputs(self, images: Tensor) -> list[Tensor]:
        """What the network makes of (N, 3, H, W): every tensor, fp32, on the CPU."""
        return tensors_of(inference(self.network)(feed(images, self.case)))

    def activations(self) -> dict[str, Any]:
        """Whether the network computes on numbers that a trained one would have."""
        return activity(self.network, self.images)

    def tensors(self) -> list[Tensor]:
        """Parameters, buffers and the input."""
        return [*self.network.parameters(), *self.network.buffers(), self.images]


def prepare(case: Case, *, calibrated: bool = True) -> EagerNetwork:
    """Build the network, put network and input where the case says.

    Raises:
        UserError: the network cannot be built, or the input cannot be read.
    """
    network = place(build(case, case.device_name, calibrated=calibrated), case)
    return EagerNetwork(case, network, feed(make_input(case), case))


def inference(network: nn.Module) -> Callable[[Tensor], object]:
    """The network, called as it is deployed."""
    import torch

    def call(images: Tensor) -> object:
        with torch.inference_mode():
            return network(images)

    return call


def synchroniser(case: Case) -> Callable[[], None]:
    """What waits until the device of a case is done."""
    import torch

    return torch.cuda.synchronize if case.device == "cuda" else _nothing


def _running(network: nn.Module, images: Tensor, case: Case) -> Running:
    synchronise = synchroniser(case)
    if case.mode == "train":
        from benchbench.runtimes.training import training_parts

        parts = training_parts(network, images, case.seed)
        return Running(lambda: [part() for part in parts.values()], synchronise, parts)
    call = inference(network)
    return Running(lambda: call(images), synchronise)


def _nothing() -> None:
    """The CPU is done when the call returns."""
