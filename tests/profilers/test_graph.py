"""What runtimes execute of two convolutions, in bytes derived by hand, and what costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from exported import TwoConvolutions, exported
from torch import Tensor, nn

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement
from benchbench.profilers.graph import graph

# Of 16x16 maps, in fp32: input, weights, bias and output of each convolution. Channels are whole
# blocks of 8 and 16, so that blocked layouts pad nothing.
WIDE = 4 * (3 * 256 + 32 * 3 * 9 + 32 + 32 * 256)
NARROW = 4 * (32 * 256 + 16 * 32 + 16 + 16 * 256)
# What may have to be laid out anew, read once and written once: the input or the output.
REORDERED = {2 * 4 * 3 * 256, 2 * 4 * 16 * 256}


def read(case: Case) -> tuple[Measurement, Measurement]:
    nodes, memory = graph(case, BudgetSettings(), lambda _: True)
    assert (nodes.metric, memory.metric) == ("graph_nodes", "memory_access_graph")
    return nodes, memory


@pytest.mark.parametrize(
    ("runtime", "pattern", "provider"),
    [
        ("onnxruntime", "Conv+Relu", "CPUExecutionProvider"),
        ("openvino", "Convolution+Relu", "CPU"),
    ],
)
def test_two_convolutions(
    case: Callable[..., Case], tmp_path: Path, runtime: str, pattern: str, provider: str
) -> None:
    """Their ReLUs are no nodes; whatever is beside them lays a tensor out anew."""
    made = exported(case(runtime=runtime, resolution=16), TwoConvolutions().eval(), tmp_path)
    nodes, memory = read(made)
    rows = nodes.details["nodes"]
    fused = [row for row in rows if row["pattern"]]
    others = [row for row in rows if not row["pattern"]]
    assert [row["bytes"] for row in fused] == [WIDE, NARROW]
    assert nodes.details["fused"] == {pattern: 2}
    assert all(row["operator"].startswith("Reorder") for row in others)
    assert {row["bytes"] for row in others} <= REORDERED
    assert (
        nodes.value == len(rows) == nodes.details["operators"][fused[0]["operator"]] + len(others)
    )
    assert memory.value == WIDE + NARROW + sum(row["bytes"] for row in others)
    assert nodes.details["providers"] == [provider]
    assert nodes.details["opset"] == {"ai.onnx": 20}
    assert nodes.details["ir_version"] >= 9
    assert (nodes.value, memory.value) == tuple(item.value for item in read(made))


class Pooled(nn.Module):
    """Its flattening in the middle is a view."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3, 5)

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.amax((2, 3), keepdim=True).flatten(1)
        scores: Tensor = self.last(pooled)
        return scores


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_view_is_left_out(case: Callable[..., Case], tmp_path: Path, runtime: str) -> None:
    made = exported(case(runtime=runtime, resolution=16), Pooled().eval(), tmp_path)
    nodes, _ = read(made)
    assert "Reshape" not in nodes.details["operators"]
    assert sum(nodes.details["left_out"].values()) >= 1
    (linear,) = [row for row in nodes.details["nodes"] if row["outputs"][0]["shape"] == [1, 5]]
    assert linear["bytes"] == 4 * (3 + 3 * 5 + 5 + 5)


def test_a_graph_that_does_not_tell_is_absent_with_the_reason(case: Callable[..., Case]) -> None:
    found = list(graph(case(runtime="compiled"), BudgetSettings(), lambda _: True))
    assert [item.metric for item in found] == ["graph_nodes", "memory_access_graph"]
    reason = "runtime=compiled does not tell what its kernels read"
    assert {item.reason for item in found} == {reason}


def test_what_cannot_be_read_says_why(case: Callable[..., Case], tmp_path: Path) -> None:
    """A provider that writes no model, or a file that is none."""
    made = exported(case(runtime="onnxruntime", resolution=16), Pooled().eval(), tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    nodes, memory = read(made)
    assert nodes.value is None
    assert memory.reason == nodes.reason
    assert "model.onnx" in str(nodes.reason)
