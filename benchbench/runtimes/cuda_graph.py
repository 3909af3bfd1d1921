"""PyTorch replayed from a CUDA graph: eager's kernels, started by the device instead of Python."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from benchbench.cases import Case
from benchbench.errors import UserError
from benchbench.runtimes.cuda import CaptureFailed, open_cuda, replay
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
        return Running(_captured(self.eager).replay, synchroniser(self.eager.case))

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
        graph = _captured(self.eager)
        self.eager.images.copy_(feed(images, self.eager.case))
        graph.replay()
        synchroniser(self.eager.case)()
        return tensors_of(graph.result[-1])

    def activations(self) -> dict[str, Any]:
        """Whether the network computes on numbers that a trained one would have."""
        return self.eager.activations()


class Captured(NamedTuple):
    """A graph, and what its last capture returned: every replay writes there."""

    replay: Callable[[], None]
    result: list[object]


def prepare(case: Case, *, calibrated: bool = True) -> GraphedNetwork:
    """Build the network on the GPU.

    Raises:
        UserError: the network cannot be built, or the input cannot be read.
    """
    return GraphedNetwork(prepare_eager(case, calibrated=calibrated))


def _captured(eager: EagerNetwork) -> Captured:
    """Its graph.

    Raises:
        UserError: something in the network cannot be captured.
    """
    network, result = inference(eager.network), list[object]()

    def call() -> None:
        result[:] = [network(eager.images)]

    try:
        return Captured(replay(call, open_cuda(eager.case)), result)
    except CaptureFailed as error:
        raise UserError(f"model={eager.case.name} runtime=cuda_graph: {error}") from error
