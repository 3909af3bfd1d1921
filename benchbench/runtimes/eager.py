"""Eager PyTorch: what a network costs as its author wrote it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from benchbench.cases import Case
from benchbench.inputs import make_input
from benchbench.networks import build
from benchbench.runtimes.formats import feed, place

if TYPE_CHECKING:
    from torch import Tensor, nn


class Running(NamedTuple):
    """A case that is ready to be called; `synchronise` waits until the device is done.

    `parts` are what a call does one after the other, where they are of interest apart.
    """

    call: Callable[[], object]
    synchronise: Callable[[], None]
    parts: Mapping[str, Callable[[], object]] = {}


class Prepared(NamedTuple):
    """A case's network and input where the case wants them; never timed itself."""

    case: Case
    network: nn.Module
    images: Tensor

    def running(self) -> Running:
        """The case, running on these very tensors."""
        return _running(self.network, self.images, self.case)

    def copied(self) -> Running:
        """The case on a copy: where weights come to lie is a matter of luck, worth 1 %.

        Raises:
            Exception: whatever a network says that cannot be copied.
        """
        network = copy.deepcopy(self.network)
        if network is self.network:
            raise TypeError("the network gives itself for a copy")
        return _running(network, self.images.clone(), self.case)


def prepare(case: Case, *, calibrated: bool = True) -> Prepared:
    """Build the network, put network and input where the case says.

    Raises:
        UserError: the network cannot be built, or the input cannot be read.
    """
    network = place(build(case, case.device_name, calibrated=calibrated), case)
    return Prepared(case, network, feed(make_input(case), case))


def load(case: Case) -> Callable[[Tensor], object]:
    """The network of a case where the case says: a call runs it on what `feed` made.

    Raises:
        UserError: the network cannot be built.
    """
    return _inference(place(build(case, case.device_name), case))


def _running(network: nn.Module, images: Tensor, case: Case) -> Running:
    import torch

    synchronise = torch.cuda.synchronize if case.device == "cuda" else _nothing
    if case.mode == "train":
        from benchbench.runtimes.training import training_parts

        parts = training_parts(network, images, case.seed)
        return Running(lambda: [part() for part in parts.values()], synchronise, parts)
    call = _inference(network)
    return Running(lambda: call(images), synchronise)


def _inference(network: nn.Module) -> Callable[[Tensor], object]:
    import torch

    def call(images: Tensor) -> object:
        with torch.inference_mode():
            return network(images)

    return call


def _nothing() -> None:
    """The CPU is done when the call returns."""
