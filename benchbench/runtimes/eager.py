"""Eager PyTorch: what a network costs as its author wrote it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from benchbench.cases import Case, build
from benchbench.inputs import make_input
from benchbench.runtimes.formats import dtype, memory_format, place


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

    network = place(build(case, case.device_name), case)
    images = make_input(case).to(
        device=case.device_name, dtype=dtype(case), memory_format=memory_format(case)
    )

    def call() -> object:
        with torch.inference_mode():
            return network(images)

    return Running(call, torch.cuda.synchronize if case.device == "cuda" else _nothing)


def _nothing() -> None:
    """The CPU is done when the call returns."""
