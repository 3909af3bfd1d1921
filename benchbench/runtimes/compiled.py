"""PyTorch compiled by inductor: fused kernels in C++ on the CPU, in Triton on a GPU.

On the CPU the weights are frozen, as they are when a network is deployed: batch norms fold into
convolutions, and weights are laid out once as the kernels want them.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from benchbench.cases import Case
from benchbench.errors import UserError
from benchbench.inputs import make_input
from benchbench.networks import build
from benchbench.runtimes.activity import activity
from benchbench.runtimes.ahead import made
from benchbench.runtimes.eager import inference, synchroniser
from benchbench.runtimes.formats import feed, place, tensors_of
from benchbench.runtimes.running import Running

if TYPE_CHECKING:
    from torch import Tensor, nn

MOST_NETWORKS = 1000  # of a process
CACHE = "inductor"  # the folder of generated code and what compilers made of it


class CompiledNetwork(NamedTuple):
    """A network that inductor has compiled, and the eager one it came from."""

    case: Case
    network: nn.Module
    compiled: nn.Module
    images: Tensor

    def running(self) -> Running:
        """The case, running on these very tensors."""
        call = inference(self.compiled)
        return Running(lambda: call(self.images), synchroniser(self.case))

    def copied(self) -> Running:
        """Compiled code holds its weights: a copy would have to be compiled anew.

        Raises:
            TypeError: always.
        """
        raise TypeError("compiled networks cannot be copied")

    def outputs(self, images: Tensor) -> list[Tensor]:
        """What the network makes of (N, 3, H, W): every tensor, fp32, on the CPU."""
        return tensors_of(inference(self.compiled)(feed(images, self.case)))

    def activations(self) -> dict[str, Any]:
        """Whether the network computes on numbers that a trained one would have."""
        return activity(self.network, self.images)

    def tensors(self) -> list[Tensor]:
        """Parameters, buffers and the input."""
        return [*self.network.parameters(), *self.network.buffers(), self.images]


def make(case: Case, network: nn.Module, folder: Path) -> Mapping[str, float]:
    """Compile it, with nothing compiled before; the code stays in the folder."""
    started = perf_counter()
    _compile(case, place(network, case), folder)
    return {"compile": perf_counter() - started}


def prepare(case: Case, *, calibrated: bool = True) -> CompiledNetwork:
    """Compile the network, with the C++ or Triton code that was made of it before.

    Raises:
        UserError: the network cannot be built or compiled, or the input cannot be read.
    """
    network = place(build(case, case.device_name, calibrated=calibrated), case)
    images = feed(make_input(case), case)
    return CompiledNetwork(case, network, _compile(case, network, made(case)), images)


def _compile(case: Case, network: nn.Module, folder: Path) -> nn.Module:
    # It imports parts of PyTorch that warn of each other.
    with warnings.catch_warnings(action="ignore"):
        return _compiled(case, network, folder)


def _compiled(case: Case, network: nn.Module, folder: Path) -> nn.Module:
    import torch
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor import config
    from torch._inductor.exc import InductorError

    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / CACHE)
    config.freezing = case.device == "cpu"
    config.compile_threads = 1  # no process of a compiler's shall wait beside what is timed
    mode = "max-autotune" if case.runtime_options.get("autotune") else None
    # Every network counts as one more compilation of the code it shares with its family.
    torch._dynamo.config.recompile_limit = MOST_NETWORKS
    torch._dynamo.config.accumulated_recompile_limit = MOST_NETWORKS
    compiled = cast("nn.Module", torch.compile(network, dynamic=False, mode=mode))
    images = feed(torch.zeros(case.input_shape), case)  # no inference tensor, or it compiles again
    try:
        inference(compiled)(images)
    except (TorchDynamoException, InductorError) as error:
        from benchbench.errors import first_line

        what = f"model={case.name} runtime=compiled"
        raise UserError(f"{what}: inductor fails: {first_line(error)}") from error
    return compiled
