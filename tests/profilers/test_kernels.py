"""Which kernel ran: torch's profiler on small stacks, and the graph of a runtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement
from benchbench.profilers.kernels import kernels
from benchbench.profilers.torch_trace import LAYER, convolutions

BUDGET = BudgetSettings(seconds=0.0, warm_up_seconds=0.0)
GROUPED = "architectures.guideline_stacks.GroupedConvolutions"


def executed(case: Callable[..., Case], groups: int, **changes: object) -> Measurement:
    arguments = {"channels": 32, "groups": groups, "blocks": 3}
    made = case(target=GROUPED, arguments=arguments, resolution=16, **changes)
    (found,) = kernels(replace(made, input_channels=32), BUDGET, lambda _: True)
    return found


def test_every_convolution_has_a_kernel_and_a_layer(case: Callable[..., Case]) -> None:
    rows = executed(case, 1).details["kernels"]
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert all("conv" in row[1] and row[2] == 1 for row in rows)


def test_compiled_convolutions_are_seen_without_names_of_layers(case: Callable[..., Case]) -> None:
    rows = executed(case, 1, runtime="compiled", runtime_options={"autotune": False}).details
    assert [row[0] for row in rows["kernels"]] == ["", "", ""]
    assert all("conv" in row[1] and row[2] == 1 for row in rows["kernels"])


def test_a_runtimes_own_graph_tells_too(case: Callable[..., Case]) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    options = {"provider": "auto", "opset": 20}
    found = executed(case, 1, runtime="onnxruntime", runtime_options=options)
    assert len(found.details["kernels"]) == 3
    assert all("Conv" in row[1] for row in found.details["kernels"])


def event(name: str, *children: SimpleNamespace, own: float = 1.0) -> SimpleNamespace:
    return SimpleNamespace(
        name=name, cpu_children=list(children), self_cpu_time_total=own, kernels=[]
    )


def test_a_convolution_that_runs_once_a_group_says_so() -> None:
    """Four serial ones inside a grouped convolution, and what puts them together."""
    parts = [event("aten::_slow_conv2d_forward", event("aten::addmm")) for _ in range(4)]
    grouped = event(
        "aten::conv2d", event("aten::_convolution", *parts, event("aten::cat", own=9.0))
    )
    whole = event("aten::conv2d", event("aten::mkldnn_convolution"))
    call = [event(LAYER + "0", grouped), event(LAYER + "1", event("aten::relu_")), whole]
    assert list(convolutions(call, on_device=False)) == [
        ("0", "_slow_conv2d_forward", 4),
        ("", "mkldnn_convolution", 1),
    ]


def test_a_network_without_convolutions_has_none_to_show(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = case(target="torch.nn.ReLU", arguments={})
    (found,) = kernels(made, BUDGET, lambda _: True)
    assert found.value is None
    assert "no convolution was seen" in str(found.reason)
