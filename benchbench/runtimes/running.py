"""The protocol of every runtime: make what can be made beforehand, prepare a case, then call it.

A runtime is a module of this package with `prepare` and, where it exports or compiles, `make`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from benchbench.cases import Case
from benchbench.support import OF_TORCH

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn


class Running(NamedTuple):
    """A case that is ready to be called; `synchronise` waits until the device is done.

    `parts` are what a call does one after the other, where they are of interest apart. `written`
    reads what the last call wrote (every tensor, fp32, on the CPU), where a call returns nothing
    and works on memory by its address.

    A Running is used after everything else of the case may be gone. So `call` holds all the memory
    that a call reads or writes, and never its address alone.
    """

    call: Callable[[], object]
    synchronise: Callable[[], None]
    parts: Mapping[str, Callable[[], object]] = {}
    written: Callable[[], list[Tensor]] | None = None


class Prepared(Protocol):
    """A case's network in its runtime, its input where the case wants it; never timed itself."""

    @property
    def case(self) -> Case:
        """What is executed, and how."""

    def running(self) -> Running:
        """The case, running on these very tensors."""

    def copied(self) -> Running:
        """The case on a copy: where weights come to lie is a matter of luck, worth 1 %.

        Raises:
            Exception: whatever a network says that cannot be copied.
        """

    def outputs(self, images: Tensor) -> list[Tensor]:
        """Every tensor the network makes of (N, 3, H, W), fp32, on the CPU: they are that too."""

    def activations(self) -> dict[str, Any]:
        """Whether the network computes on numbers that a trained one would have."""

    def tensors(self) -> list[Tensor]:
        """Every tensor of PyTorch's that a call reads, so far as the network registers them."""


class Make(Protocol):
    """What a runtime makes of a network before it can be loaded."""

    def __call__(self, case: Case, network: nn.Module, folder: Path) -> Mapping[str, float]:
        """Leave it in a folder; seconds of each step."""


class Runtime(Protocol):
    """A module of this package."""

    def prepare(self, case: Case, *, calibrated: bool = True) -> Prepared:
        """Build the network, or load what was made of it, as the case says."""


def runtime_of(case: Case) -> Runtime:
    """The module that executes a case."""
    return cast("Runtime", import_module(f"benchbench.runtimes.{case.runtime}"))


def make_of(case: Case) -> Make | None:
    """What has to be done before the case can be loaded; None where nothing has to."""
    return getattr(runtime_of(case), "make", None)


def prepare(case: Case, *, calibrated: bool = True) -> Prepared:
    """A case in its runtime, equal to eager fp32 as far as its precision allows.

    Where the case names the folder of what was made beforehand, it is loaded from there and its
    answer compared with the one that lies there. Eager networks may be left without calibrated
    weights, for what their values do not change.

    Raises:
        UserError: the network cannot be built or executed, the input cannot be read, or the
            answer is another.
    """
    from benchbench.runtimes.equality import check_equality

    prepared = runtime_of(case).prepare(case, calibrated=calibrated)
    loaded = case.runtime not in OF_TORCH  # from a file whose weights are calibrated
    if case.prepared is not None and (calibrated or loaded):
        check_equality(prepared, case)
    return prepared


def needs_preparation(case: Case) -> bool:
    """Whether there is anything to make, or to compare with eager fp32."""
    return case.mode == "inference" and (case.runtime, case.precision) != ("eager", "fp32")
