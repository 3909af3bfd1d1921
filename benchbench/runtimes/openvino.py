"""OpenVINO on the CPU: the ONNX graph that torch exports, laid out and fused for its kernels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchbench.cases import Case
from benchbench.errors import UserError
from benchbench.inputs import make_input
from benchbench.runtimes.ahead import activations_from, made
from benchbench.runtimes.eager import synchroniser
from benchbench.runtimes.onnx_graph import MODEL
from benchbench.runtimes.onnx_graph import make as make_onnx
from benchbench.runtimes.running import Running

if TYPE_CHECKING:
    import openvino
    from torch import Tensor, nn

# What the float layers are computed in. Its own default is bf16 wherever the processor has it.
INFERENCE_PRECISION = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}


class OpenVinoNetwork(NamedTuple):
    """The graph of a case, compiled once for its device."""

    case: Case
    model: openvino.Model
    request: openvino.InferRequest
    images: Tensor
    found: Mapping[str, Any]  # of its activations

    def running(self) -> Running:
        """The request, on the input that is bound."""
        return _running(self.request, self.images, self.case)

    def copied(self) -> Running:
        """The graph compiled once more: weights are laid out anew."""
        return _running(compile_model(self.model, self.case), self.images.clone(), self.case)

    def outputs(self, images: Tensor) -> list[Tensor]:
        """What the graph makes of (N, 3, H, W): every tensor, fp32, on the CPU."""
        import torch

        compiled = self.request.get_compiled_model()
        # By a request of its own: this one's input stays bound to what is timed.
        found = compiled.create_infer_request().infer([images.contiguous().numpy()])
        return [torch.from_numpy(found[output]).float() for output in compiled.outputs]

    def activations(self) -> dict[str, Any]:
        """Whether the network computes on numbers that a trained one would have."""
        return dict(self.found)

    def tensors(self) -> list[Tensor]:
        """The input alone: weights are in the graph's own memory."""
        return [self.images]


def make(case: Case, network: nn.Module, folder: Path) -> Mapping[str, float]:
    """Export the network in fp32 and, for int8, quantise it. Seconds of each step."""
    from dataclasses import replace

    exported = case if case.precision == "int8" else replace(case, precision="fp32")
    return make_onnx(exported, network, folder)


def prepare(case: Case, *, calibrated: bool = True) -> OpenVinoNetwork:
    """Load the graph and compile it; its weights are always `calibrated`.

    Raises:
        UserError: this processor does not compute in the case's precision, or the input cannot
            be read.
    """
    import openvino

    images = make_input(case)
    folder = made(case)
    model = openvino.Core().read_model(folder / MODEL)
    request = compile_model(model, case)
    return OpenVinoNetwork(case, model, request, images, activations_from(folder))


def compile_model(
    model: openvino.Model, case: Case, **properties: str | int | bool
) -> openvino.InferRequest:
    """A request of the graph, compiled for one stream of as many threads as the case has.

    Raises:
        UserError: this processor does not compute in the case's precision.
    """
    import openvino

    wanted = INFERENCE_PRECISION[case.precision]
    settings: dict[str, Any] = {
        "INFERENCE_NUM_THREADS": case.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": wanted,
        "ENABLE_CPU_PINNING": False,  # the process is, by us
    }
    compiled = openvino.Core().compile_model(model, "CPU", settings | properties)
    chosen = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if chosen != wanted:
        raise UserError(
            f"precision={case.precision} runtime=openvino: this processor computes in {chosen} "
            "instead; precision=fp32 works"
        )
    return compiled.create_infer_request()


def _running(request: openvino.InferRequest, images: Tensor, case: Case) -> Running:
    fill(request, images)
    return Running(request.infer, synchroniser(case), written=partial(_written, request))


def fill(request: openvino.InferRequest, images: Tensor) -> None:
    """Copy the input into the request's own memory, which it holds itself.

    It does not keep a tensor alive whose memory it shares. And reading PyTorch's memory,
    ShuffleNetV2 took up to 2.7 times as long, by where the tensor happened to lie.
    """
    request.get_input_tensor().data[:] = images.numpy()


def _written(request: openvino.InferRequest) -> list[Tensor]:
    """What the last inference wrote: every tensor, fp32, on the CPU, in memory of its own."""
    import torch

    outputs = request.get_compiled_model().outputs
    arrays = [request.get_tensor(output).data for output in outputs]
    return [torch.from_numpy(array).to(torch.float32, copy=True) for array in arrays]
