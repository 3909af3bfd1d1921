"""Nodes and their bytes from a model and a profile that were made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from onnx import GraphProto, NodeProto, TensorProto, helper

from benchbench.runtimes.graph import Node, Operand, Unreadable
from benchbench.runtimes.onnxruntime_graph import graph_of

NCHWC, MICROSOFT = "com.microsoft.nchwc", "com.microsoft"


def event(name: str, operator: str, *outputs: dict[str, list[int]]) -> dict[str, Any]:
    """A node in the profile, as far as it is read."""
    given = {"op_name": operator, "provider": "CPU", "output_type_shape": list(outputs)}
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": 5, "args": given}


def weight(name: str, kind: int, *shape: int) -> TensorProto:
    """Without its numbers, which lie in another file as a rule."""
    return TensorProto(name=name, data_type=kind, dims=shape)


def graph(nodes: list[NodeProto], weights: list[TensorProto], output: str) -> GraphProto:
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 8, 8])
    scores = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    return helper.make_graph(nodes, "hand-made", [images], [scores], weights)


def test_padded_channels_unnamed_nodes_and_views() -> None:
    """20 channels lie in blocks of 16: 32 are written, and read again by what follows."""
    nodes = [
        helper.make_node("Conv", ["images", "w", "b"], ["x"], "conv", domain=NCHWC,
                         activation="Relu"),
        helper.make_node("Mul", ["x", "x"], ["y"]),
        helper.make_node("Conv", ["y", "w2", "b", "x"], ["z"], "second", domain=NCHWC),
        helper.make_node("Reshape", ["z", "shape"], ["flat"], "view"),
        helper.make_node("Reshape", ["flat", "shape"], ["end"], "last"),
    ]  # fmt: skip
    weights = [
        weight("w", TensorProto.FLOAT, 32, 3, 3, 3),
        weight("b", TensorProto.FLOAT, 32),
        weight("w2", TensorProto.FLOAT, 32, 32, 1, 1),
        weight("shape", TensorProto.FLOAT, 2),
    ]
    padded = {"float": [1, 32, 8, 8]}
    events = [
        event("conv", "Conv", padded),
        event("Mul_17", "Mul", padded),
        event("second", "Conv", padded),
        event("view", "Reshape", {"float": [1, 2048]}),
        event("last", "Reshape", {"float": [1, 2048]}),
    ]
    found = graph_of(graph(nodes, weights, "end"), events)
    plane = 4 * 32 * 64
    by_name = {node.name: node for node in found.nodes}
    assert {name: node.memory_access for name, node in by_name.items()} == {
        "conv": 4 * (3 * 64 + 32 * 27 + 32) + plane,
        "Mul_17": plane + plane,  # both of its inputs are the same tensor
        "second": 4 * (32 * 32 + 32) + 3 * plane,
        "last": 2 * 4 * 2048 + 4 * 2,  # the graph's own output is memory of its own
    }
    assert [node.pattern for node in found.nodes] == ["Conv+Relu", "", "Conv+Add", ""]
    assert by_name["conv"].kernel == "com.microsoft.nchwc.Conv"
    assert dict(found.left_out) == {"Reshape": 1}


def test_int8_is_one_byte() -> None:
    names = ["images", "s", "z", "w", "ws", "wz", "os", "oz", "b"]
    node = helper.make_node("QLinearConv", names, ["x"], "conv", domain=MICROSOFT)
    sigmoid = helper.make_node("QuickGelu", ["x"], ["y"], "swish", domain=MICROSOFT)
    weights = [
        *(weight(name, TensorProto.FLOAT, 1) for name in ("s", "os")),
        *(weight(name, TensorProto.UINT8, 1) for name in ("z", "oz")),
        weight("w", TensorProto.INT8, 8, 3, 1, 1),
        weight("ws", TensorProto.FLOAT, 8),
        weight("wz", TensorProto.INT8, 8),
        weight("b", TensorProto.INT32, 8),
    ]
    shape = {"uint8": [1, 8, 8, 8]}
    events = [event("conv", "QLinearConv", shape), event("swish", "QuickGelu", shape)]
    convolution, swish = graph_of(graph([node, sigmoid], weights, "y"), events).nodes
    scales = 4 + 1 + 4 * 8 + 8 + 4 + 1
    assert convolution.memory_access == 4 * 3 * 64 + 8 * 3 + 4 * 8 + scales + 8 * 64
    assert convolution.pattern == "DequantizeLinear+Conv+QuantizeLinear"
    assert (swish.memory_access, swish.pattern) == (2 * 8 * 64, "Sigmoid+Mul")


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "node relu of the optimised model is not in the profile"),
        ([event("other", "Clip", {"float": [1]})], "node other of the profile is not"),
        ([event("relu", "Relu")], "does not have all of its outputs"),
        ([event("relu", "Relu", {"string": [1]})], "elements of type string"),
    ],
)
def test_a_profile_of_another_graph_is_no_evidence(events: Any, message: str) -> None:
    node = helper.make_node("Relu", ["images"], ["y"], "relu")
    with pytest.raises(Unreadable, match=message):
        graph_of(graph([node], [], "y"), events)


def test_an_input_that_nothing_writes_is_no_evidence() -> None:
    node = helper.make_node("Relu", ["ghost"], ["y"], "relu")
    with pytest.raises(Unreadable, match="nothing writes its input ghost"):
        graph_of(graph([node], [], "y"), [event("relu", "Relu", {"float": [4]})])


def test_a_tensor_is_read_once_and_written_once() -> None:
    x, y = Operand("x", (2,), "float", 8), Operand("y", (4,), "float", 16)
    assert Node("n", "Add", "", (x, x), (y,), "k", "p").memory_access == 8 + 16
    assert Node("n", "Add", "", (x, y), (y,), "k", "p").memory_access == 8 + 16 + 16
