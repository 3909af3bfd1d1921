"""Eager PyTorch: what a network costs as its author wrote it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from benchbench.cases import Case
from benchbench.inputs import make_input
from benchbench.networks import build
from benchbench.runtimes.formats import feed, place

if TYPE_CHECKING:
    from torch import Tensor


class Running(NamedTuple):
    """A case that is ready to be called; `synchronise` waits until the device is done."""

    call: Callable[[], object]
    synchronise: Callable[[], None]


def prepare(case: Case) -> Running:
    """Build the network, put network and input where the case says.

    Raises:
        UserError: the network cannot be built, or the input cannot be read.
    """
    import torch

    network = load(case)
    images = feed(make_input(case), case)
    return Running(
        lambda: network(images), torch.cuda.synchronize if case.device == "cuda" else _nothing
    )


def load(case: Case) -> Callable[[Tensor], object]:
    """The network of a case where the case says: a call runs it on what `feed` made.

    Raises:
        UserError: the network cannot be built.
    """
    import torch

    network = place(build(case, case.device_name), case)

    def call(images: Tensor) -> object:
        with torch.inference_mode():
            return network(images)

    return call


def _nothing() -> None:
    """The CPU is done when the call returns."""
