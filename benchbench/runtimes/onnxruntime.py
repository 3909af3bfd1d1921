"""ONNX Runtime: the graph that torch exports, optimised and executed without Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchbench.cases import Case
from benchbench.errors import UserError
from benchbench.inputs import make_input
from benchbench.runtimes import onnx_graph
from benchbench.runtimes.ahead import activations_from, made
from benchbench.runtimes.eager import synchroniser
from benchbench.runtimes.formats import dtype, feed
from benchbench.runtimes.onnx_graph import MODEL
from benchbench.runtimes.running import Running

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime
    from torch import Tensor

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
QUIET = 3  # errors alone
make = onnx_graph.make


class Session(NamedTuple):
    """A session and what its input and outputs are bound to."""

    session: onnxruntime.InferenceSession
    binding: onnxruntime.IOBinding
    images: Tensor  # the binding has its address alone

    def run(self) -> None:
        """Run it on the input that is bound."""
        self.session.run_with_iobinding(self.binding)

    def written(self) -> list[Tensor]:
        """What the last run wrote: every tensor, fp32, on the CPU."""
        return [_tensor(value.numpy()) for value in self.binding.get_outputs()]


class OnnxNetwork(NamedTuple):
    """The graph of a case, as one session has it."""

    case: Case
    model: Path
    session: Session
    found: Mapping[str, Any]  # of its activations

    def running(self) -> Running:
        """The session, on the input that is bound."""
        return _running(self.session, self.case)

    def copied(self) -> Running:
        """Another session: weights are read and laid out anew."""
        session = _open(self.case, self.model, self.session.images.clone())
        return _running(session, self.case)

    def outputs(self, images: Tensor) -> list[Tensor]:
        """What the graph makes of (N, 3, H, W): every tensor, fp32, on the CPU."""
        session = self.session.session
        fed = feed(images, self.case).cpu().numpy()
        found = session.run(None, {session.get_inputs()[0].name: fed})
        return [_tensor(array) for array in found]

    def activations(self) -> dict[str, Any]:
        """Whether the network computes on numbers that a trained one would have."""
        return dict(self.found)

    def tensors(self) -> list[Tensor]:
        """The input alone: weights are in the session's own memory."""
        return [self.session.images]


def prepare(case: Case, *, calibrated: bool = True) -> OnnxNetwork:
    """Load the graph; its weights are always `calibrated`.

    Raises:
        UserError: the provider is not there, or the input cannot be read.
    """
    images = feed(make_input(case), case)
    folder = made(case)
    session = _open(case, folder / MODEL, images)
    return OnnxNetwork(case, folder / MODEL, session, activations_from(folder))


def _running(session: Session, case: Case) -> Running:
    return Running(session.run, synchroniser(case), written=session.written)


def _tensor(array: np.ndarray) -> Tensor:
    """A copy: ONNX Runtime lends its own memory, which the next run writes to."""
    import torch

    return torch.from_numpy(array).to(torch.float32, copy=True)


def _open(case: Case, path: Path, images: Tensor) -> Session:
    import onnxruntime as ort

    session = ort.InferenceSession(path, options(case), providers=providers(case))
    wanted = providers(case)[0]
    name = wanted if isinstance(wanted, str) else wanted[0]
    if name not in session.get_providers():
        raise UserError(
            f"runtime.provider: {name} cannot be used here; this onnxruntime has "
            f"{', '.join(ort.get_available_providers())}"
        )
    binding = session.io_binding()
    given = session.get_inputs()[0].name
    binding.bind_input(
        name=given,
        device_type=case.device,
        device_id=case.device_index,
        element_type=_element_type(case),
        shape=tuple(images.shape),
        buffer_ptr=images.data_ptr(),
    )
    for output in session.get_outputs():  # it allocates them itself, on every call
        binding.bind_output(output.name, case.device, case.device_index)
    return Session(session, binding, images)


def _element_type(case: Case) -> Any:
    import numpy as np
    import torch

    return np.float16 if dtype(case) == torch.float16 else np.float32


def options(case: Case) -> onnxruntime.SessionOptions:
    """One pool of as many threads as the case has, silent when nothing runs."""
    import onnxruntime as ort

    found = ort.SessionOptions()
    found.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    found.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    found.intra_op_num_threads = case.threads
    found.inter_op_num_threads = 1
    found.log_severity_level = QUIET
    # Threads that go on spinning after a call would be beside what runs next.
    found.add_session_config_entry("session.force_spinning_stop", "1")
    return found


def providers(case: Case) -> list[Any]:
    """The one that was asked for, then those it hands to what it has no kernels for."""
    asked = case.runtime_options["provider"]
    first = case.device if asked == "auto" else asked
    tf32 = "1" if case.precision == "tf32" else "0"
    of_cuda = {"device_id": str(case.device_index), "use_tf32": tf32}
    fp16 = "1" if case.precision == "fp16" else "0"
    of_tensorrt = {"device_id": str(case.device_index), "trt_fp16_enable": fp16}
    chosen: dict[str, list[Any]] = {
        "cpu": [],
        "cuda": [(PROVIDERS["cuda"], of_cuda)],
        "tensorrt": [
            (PROVIDERS["tensorrt"], of_tensorrt),
            (PROVIDERS["cuda"], of_cuda),
        ],
    }
    return [*chosen[first], PROVIDERS["cpu"]]
