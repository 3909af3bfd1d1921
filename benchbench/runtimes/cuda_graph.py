"""PyTorch replayed from a CUDA graph: eager's kernels, started by the device instead of Python."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from benchbench.cases import Case
from benchbench.errors import UserError
from benchbench.runtimes.cuda import CaptureFailed, Replay, open_cuda, replay
from benchbench.runtimes.eager import EagerNetwork, inference, synchroniser
from benchbench.runtimes.eager import prepare as prepare_eager
from benchbench.runtimes.formats import feed, tensors_of
from benchbench.runtimes.running import Running

if TYPE_CHECKING:
    from torch import Tensor


class GraphedNetwork(NamedTuple):
    """A network on a GPU, with the input that its graphs are captured on."""

    eager: EagerNetwork

    @property
    def case(self) -> Case:
        """What is executed, and how."""
        return self.eager.case

    def running(self) -> Running:
        """A graph of the network on these very tensors."""
        graph = _captured(self.eager)
        written = partial(_written, graph, self.eager.case)
        return Running(graph, synchroniser(self.eager.case), written=written)

    def copied(self) -> Running:
        """A graph of a copy.

        Raises:
            Exception: whatever a network says that cannot be copied.
        """
        case, network, images = self.eager
        copied = EagerNetwork(case, copy.deepcopy(network), images.clone())
        return GraphedNetwork(copied).running()

    def outputs(self, images: Tensor) -> list[Tensor]:
        """What a replay makes of (N, 3, H, W): every tensor, fp32, on the CPU."""
        case, network, _ = self.eager
        # On a tensor of its own, so that what is timed keeps the case's input.
        graph = _captured(EagerNetwork(case, network, feed(images, case)))
        graph()
        return _written(graph, case)

    def activations(self) -> dict[str, Any]:
        """Whether the network computes on numbers that a trained one would have."""
        return self.eager.activations()

    def tensors(self) -> list[Tensor]:
        """Parameters, buffers and the input."""
        return self.eager.tensors()


def prepare(case: Case, *, calibrated: bool = True) -> GraphedNetwork:
    """Build the network on the GPU.

    Raises:
        UserError: the network cannot be built, or the input cannot be read.
    """
    return GraphedNetwork(prepare_eager(case, calibrated=calibrated))


def _captured(eager: EagerNetwork) -> Replay:
    """Its graph.

    Raises:
        UserError: something in the network cannot be captured.
    """
    network = inference(eager.network)
    try:
        return replay(lambda: network(eager.images), open_cuda(eager.case), eager.tensors)
    except CaptureFailed as error:
        raise UserError(f"model={eager.case.name} runtime=cuda_graph: {error}") from error


def _written(graph: Replay, case: Case) -> list[Tensor]:
    """The output of the last launch: every tensor, fp32, on the CPU."""
    synchroniser(case)()
    return tensors_of(graph.result)
