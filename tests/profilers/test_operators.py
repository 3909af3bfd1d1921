"""Who took the time: small networks under the real profiler, and made-up traces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from exported import TwoConvolutions, exported
from torch import Tensor, nn

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.counting.walk import walk
from benchbench.measurements import Measurement
from benchbench.profilers import operators as module
from benchbench.profilers.operators import rows
from benchbench.profilers.torch_trace import LAYER, Occurrence, occurrences
from benchbench.runtimes.eager import EagerNetwork
from benchbench.runtimes.graph import Unreadable
from benchbench.runtimes.onnxruntime_graph import profiled as by_onnx_runtime

BUDGET = BudgetSettings(seconds=0.0, warm_up_seconds=0.0)


class Net(nn.Module):
    """Two convolutions, a norm, an activation used twice, and a sum of the network's own."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(32)
        self.act = nn.ReLU()
        self.tail = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1, groups=32), self.act)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.dense(x)))
        tail: Tensor = self.tail(x)
        return x + tail


def profiled(
    case: Case,
    monkeypatch: pytest.MonkeyPatch,
    network: nn.Module,
    images: Tensor,
    beat: Callable[[float], bool] = lambda _: True,
) -> Measurement:
    monkeypatch.setattr(module, "prepare", lambda _: EagerNetwork(case, network, images))
    (found,) = module.operators(case, BUDGET, beat)
    return found


def test_every_operator_is_in_the_layer_whose_code_calls_it(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Net().eval()
    found = profiled(case(), monkeypatch, network, torch.randn(1, 16, 32, 32))
    operators = found.details["operators"]
    assert [(row["layer"], row["operator"], row["calls"]) for row in operators] == [
        ("dense", "conv2d", 1),
        ("norm", "batch_norm", 1),
        ("act", "relu", 2),
        ("tail.0", "conv2d", 1),
        ("", "add", 1),
    ]
    kernels = {row["layer"]: row["kernel"] for row in operators}
    assert kernels["norm"] == "native_batch_norm"
    assert kernels["act"] == "clamp_min"
    assert kernels[""] == "add"
    assert len(found.flat) == module.FEWEST_CALLS
    assert all(0 < row["seconds"] < found.details["profiled_call_seconds"] for row in operators)
    # The walk names the same layers, so the two can be joined.
    walked = walk(network.to("meta"), torch.empty(1, 16, 32, 32, device="meta"))
    assert {op.layer for op in walked.executed} == set(kernels)


def test_kernels_of_convolutions_that_look_alike(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch's dispatch (aten/src/ATen/native/Convolution.cpp, `use_mkldnn`) at one thread.

    One image and a 1x1 filter, or groups that are not depthwise: the slow path, a grouped one
    by one. Depthwise ones, and 3x3 filters over more than an image: oneDNN.
    """
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this PyTorch has no oneDNN")
    network = nn.Sequential(
        nn.Conv2d(16, 16, 3, padding=1, groups=16),
        nn.Conv2d(16, 64, 1),
        nn.Conv2d(64, 64, 1, groups=2),
    ).eval()
    found = profiled(case(), monkeypatch, network, torch.randn(1, 16, 32, 32))
    kernels = [row["kernel"] for row in found.details["operators"]]
    assert kernels == ["mkldnn_convolution", "_slow_conv2d_forward", "_slow_conv2d_forward"]


def test_stopped_early_it_is_absent_and_no_hook_is_left(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = nn.modules.module._global_forward_pre_hooks
    answers = iter([True] * 4)  # the warm-up, and one call under the profiler
    found = profiled(
        case(), monkeypatch, Net().eval(), torch.randn(1, 16, 8, 8), lambda _: next(answers, False)
    )
    assert found.value is None
    assert "interrupted" in str(found.reason)
    assert not hooks


def event(name: str, micros: float, *children: Any, kernels: Sequence[Any] = ()) -> Any:
    """What the profiler makes of an operator: children take part of its time."""
    own = micros - sum(child.cpu_time_total for child in children)
    return SimpleNamespace(
        name=name,
        cpu_time_total=micros,
        self_cpu_time_total=own,
        cpu_children=list(children),
        kernels=[SimpleNamespace(name=kernel, duration=took) for kernel, took in kernels],
    )


def test_a_grouped_convolution_is_no_concatenation() -> None:
    """Most of its own time goes into the concatenation of what two slow convolutions made."""
    slow = event("aten::thnn_conv2d", 30, event("aten::_slow_conv2d_forward", 28))
    trace = event("aten::conv2d", 200, event("aten::_convolution", 190, slow, slow,
                  event("aten::cat", 100)))  # fmt: skip
    (found,) = occurrences([event(LAYER + "a.b", 300, trace)], on_device=False)
    assert found == Occurrence("a.b", "conv2d", "_slow_conv2d_forward", pytest.approx(200e-6))


def test_on_a_gpu_the_time_is_the_kernels() -> None:
    """Host time says nothing there; a view starts no kernel and is left out."""
    inner = event(
        "aten::cudnn_convolution",
        50,
        event("cudaLaunchKernel", 5),
        kernels=[("transpose", 3.0), ("sgemm", 11.0)],
    )
    layer = event(LAYER + "a", 100, event("aten::conv2d", 60, inner), event("aten::view", 9))
    outside = event("aten::add", 20, kernels=[("add_kernel", 2.0)])
    assert list(occurrences([layer, outside], on_device=True)) == [
        Occurrence("a", "conv2d", "sgemm", pytest.approx(14e-6)),
        Occurrence(None, "add", "add_kernel", pytest.approx(2e-6)),
    ]


def test_a_range_of_the_networks_own_hides_no_layer() -> None:
    """It may hold whole layers, or operators of the layer that opened it."""
    inside = event(LAYER + "b", 10, event("aten::relu", 4))
    trace = [
        event(LAYER + "a", 30, event("my range", 20, event("aten::mul", 5))),
        event("my range", 50, inside, event("aten::add", 3)),
    ]
    found = [(item.layer, item.operator) for item in occurrences(trace, on_device=False)]
    assert found == [("a", "mul"), ("b", "relu"), (None, "add")]


def test_rows_are_medians_over_calls_of_the_same_place() -> None:
    """The second `mul` of a layer is told apart from the first; an outlier moves nothing."""

    def call(first: float, second: float, kernel: str = "k") -> list[Occurrence]:
        return [Occurrence("a", "mul", kernel, first), Occurrence("a", "mul", "other", second)]

    found = rows([call(1, 10), call(2, 20), call(90, 30, kernel="odd")])
    shared = {"layer": "a", "operator": "mul", "calls": 1}
    assert found == [
        shared | {"kernel": "k", "seconds": 2},
        shared | {"kernel": "other", "seconds": 20},
    ]
    same = [Occurrence("a", "mul", "k", 1.0), Occurrence("a", "mul", "k", 2.0)]
    assert rows([same]) == [shared | {"kernel": "k", "calls": 2, "seconds": 3.0}]


def test_kernels_that_inductor_generated_are_operators_by_what_they_fuse() -> None:
    """It numbers them by graph and by kernel; ranges around them are no operators."""
    generated = event("graph_3_cpp_fused_silu_12", 20)
    convolution = event("mkldnn::_convolution_pointwise", 60, event("aten::empty", 1))
    inside = event("## Call CompiledFxGraph ##", 90, generated, convolution)
    found = list(occurrences([event("Torch-Compiled Region: 0/0", 100, inside)], on_device=False))
    assert [(item.operator, item.kernel) for item in found] == [
        ("cpp_fused_silu", "graph_3_cpp_fused_silu_12"),
        ("mkldnn::_convolution_pointwise", "mkldnn::_convolution_pointwise"),
    ]
    assert [item.seconds for item in found] == pytest.approx([20e-6, 60e-6])


@pytest.mark.parametrize(
    ("runtime", "samples", "convolution"),
    [("onnxruntime", module.FEWEST_CALLS, "Conv"), ("openvino", 1, "Convolution")],
)
def test_of_other_runtimes_the_nodes_of_their_own_graph(
    case: Callable[..., Case], tmp_path: Path, runtime: str, samples: int, convolution: str
) -> None:
    """OpenVINO has means alone: one sample."""
    made = exported(case(runtime=runtime, resolution=32), TwoConvolutions().eval(), tmp_path)
    (found,) = module.operators(made, BUDGET, lambda _: True)
    rows_found = found.details["operators"]
    convolutions = [row for row in rows_found if convolution in row["operator"]]
    assert len(convolutions) == 2
    assert len(found.flat) == samples
    names = [row["layer"] for row in rows_found]
    assert len(names) == len(set(names))
    assert not {"wide", "narrow"} & set(names)  # nodes are no layers
    assert all(row["calls"] == 1 and row["seconds"] >= 0 for row in rows_found)


def test_on_cuda_onnx_runtime_times_launches_alone(case: Callable[..., Case]) -> None:
    with pytest.raises(Unreadable, match="to start"), by_onnx_runtime(case(device="cuda"), Path()):
        pass
