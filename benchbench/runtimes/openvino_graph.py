"""OpenVINO's graph as its CPU plugin compiled it, from the runtime model.

Whether a node is executed follows from the graph and never from its counters, which are in whole
microseconds: what takes less reads as not executed, and what stays behind may be preempted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchbench.cases import Case
from benchbench.inputs import make_input
from benchbench.runtimes.graph import Graph, Node, Operand, Profiled, Timed, Unreadable
from benchbench.runtimes.onnx_graph import MODEL
from benchbench.runtimes.openvino import compile_model, fill

if TYPE_CHECKING:
    import openvino

PROVIDER = "CPU"
CONSTANT = "Const"
ENDS = ("Input", "Output", CONSTANT)
VIEWS = ("Reshape",)  # never executed: what follows reads the same memory
IN_PLACE = ("Split", "Concatenation")  # where they have no implementation
WEIGHTED = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")  # weights are input 1
FLOATS = ("f64", "f32", "f16", "bf16")


class _Vertex(NamedTuple):
    """A node of the runtime model."""

    node: openvino.Node
    found: Mapping[str, str]  # what the plugin says of it

    @property
    def kind(self) -> str:
        return self.found["layerType"]

    @property
    def implementation(self) -> str:
        """`unknown_f32` where it has none of its own."""
        return self.found["primitiveType"]


def read(case: Case, folder: Path) -> Graph:
    """The graph of what was exported into a folder, compiled as the case says.

    Raises:
        Unreadable: a layout or an element type that we do not know.
    """
    request = _request(case, folder)
    # The counters know what a node that was fused away was: the runtime model has its name alone.
    operators = {item.node_name: item.node_type for item in request.profiling_info}
    return graph_of(request.get_compiled_model().get_runtime_model(), operators)


@contextmanager
def profiled(case: Case, folder: Path) -> Iterator[Profiled]:
    """The case with its counters on.

    They are means since it was compiled, rounded down to whole microseconds. The first call,
    which is slow, is taken off again; half a microsecond makes up for the rounding.
    """
    request = _request(case, folder)
    fill(request, make_input(case))
    first: dict[str, int] = {}
    calls = 0

    def call() -> None:
        nonlocal calls
        request.infer()
        calls += 1
        if calls == 1:
            first.update({item.node_name: _microseconds(item) for item in request.profiling_info})

    def finish() -> list[list[Timed]]:
        found = [item for item in request.profiling_info if _microseconds(item)]
        return [[_timed(item, first[item.node_name], calls) for item in found]] if calls > 1 else []

    yield Profiled(call, finish)


def _microseconds(item: openvino.ProfilingInfo) -> int:
    taken: timedelta = item.real_time
    return round(taken / timedelta(microseconds=1))


def _timed(item: openvino.ProfilingInfo, first: int, calls: int) -> Timed:
    rest = max(calls * (_microseconds(item) + 0.5) - first, 0.0)
    return Timed(item.node_name, item.node_type, item.exec_type, rest / (calls - 1) / 1e6)


def _request(case: Case, folder: Path) -> openvino.InferRequest:
    import openvino

    return compile_model(openvino.Core().read_model(folder / MODEL), case, PERF_COUNT=True)


def graph_of(model: openvino.Model, operators: Mapping[str, str]) -> Graph:
    """The executed nodes of a runtime model; `operators` by the name of an original node.

    Raises:
        Unreadable: a layout or an element type that we do not know.
    """
    every = [_vertex(node) for node in model.get_ordered_ops()]
    constant: set[str] = set()  # computed once, when the graph is compiled
    for vertex in every:
        sources = [port.get_source_output().get_node() for port in vertex.node.inputs()]
        known = sources and all(source.get_friendly_name() in constant for source in sources)
        if vertex.kind == CONSTANT or known:
            constant.add(vertex.node.get_friendly_name())
    inner = [vertex for vertex in every if vertex.kind not in ENDS]
    inner = [vertex for vertex in inner if vertex.node.get_friendly_name() not in constant]
    free = [_costs_nothing(vertex) for vertex in inner]
    return Graph(
        tuple(_node(v, constant, operators) for v, is_free in zip(inner, free, strict=True)
              if not is_free),
        Counter(v.kind for v, is_free in zip(inner, free, strict=True) if is_free),
    )  # fmt: skip


def _vertex(node: openvino.Node) -> _Vertex:
    # A result is no node of the plugin's own in every version.
    found = {name: value.astype(str) for name, value in node.get_rt_info().items()}
    return _Vertex(node, found)


def _costs_nothing(vertex: _Vertex) -> bool:
    if vertex.kind in VIEWS:
        return True
    if vertex.kind in IN_PLACE:
        return vertex.implementation.startswith("unknown")
    return vertex.kind == "Reorder" and _same_memory(vertex)


def _same_memory(vertex: _Vertex) -> bool:
    """Whether a reorder changes nothing: of 1x1 maps, channels first and last are the same."""
    given, made = vertex.node.input(0).get_source_output(), vertex.node.output(0)
    if given.get_element_type() != made.get_element_type():
        return False
    source = _vertex(given.get_node())
    before, after = (
        _order(layout, list(port.get_shape()))
        for layout, port in ((_layout(source, given), given), (_layout(vertex, made), made))
    )
    return before is not None and before == after


def _order(layout: str, shape: list[int]) -> list[str] | None:
    """The dimensions of more than one element, outermost first; None where they are blocked."""
    if not layout.isalpha() or not layout.islower():
        return None
    return [letter for letter in layout if shape[ord(letter) - ord("a")] > 1]


def _layout(vertex: _Vertex, port: Any) -> str:
    layouts = vertex.found["outputLayouts"].split(",")
    return layouts[port.get_index()] if len(layouts) > 1 else layouts[0]


def _node(vertex: _Vertex, constant: set[str], operators: Mapping[str, str]) -> Node:
    originals = vertex.found["originalLayersNames"].split(",")
    fused = [operators[name] for name in originals if name in operators]
    return Node(
        name=vertex.node.get_friendly_name(),
        operator=vertex.kind,
        pattern="+".join(fused) if len(fused) > 1 else "",
        inputs=tuple(_inputs(vertex, constant)),
        outputs=tuple(_operand(vertex, port) for port in vertex.node.outputs()),
        kernel=vertex.implementation,
        provider=PROVIDER,
    )


def _inputs(vertex: _Vertex, constant: set[str]) -> Iterator[Operand]:
    for index, port in enumerate(vertex.node.inputs()):
        source = port.get_source_output()
        operand = _operand(_vertex(source.get_node()), source)
        is_weight = index == 1 and vertex.kind in WEIGHTED
        if is_weight and source.get_node().get_friendly_name() in constant:
            operand = _as_computed(operand, vertex.found["runtimePrecision"])
        yield operand


def _as_computed(weight: Operand, precision: str) -> Operand:
    """Weights are kept in the file's precision, but packed in that of the layer that reads them."""
    if weight.element_type not in FLOATS or precision not in FLOATS:
        return weight
    bits = int(re.sub(r"\D", "", precision))
    return weight._replace(element_type=precision, bytes=prod(weight.shape) * bits // 8)


def _operand(vertex: _Vertex, port: Any) -> Operand:
    """What a port writes, as it lies in memory: blocked layouts pad their blocks."""
    element = port.get_element_type()
    shape = tuple(port.get_shape())
    stored = _padded(shape, _layout(vertex, port))
    bits = prod(stored) * element.bitwidth
    name = f"{vertex.node.get_friendly_name()}:{port.get_index()}"
    return Operand(name, stored, element.get_type_name(), -(-bits // 8))


def _padded(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    """`aBcd16b`: dimension b in blocks of 16, the last one filled up."""
    blocks = [1] * len(shape)
    for block, letter in re.findall(r"(\d+)([a-z])", layout):
        index = ord(letter) - ord("a")
        if index >= len(shape):
            raise Unreadable(f"layout {layout} of a tensor of {list(shape)}")
        blocks[index] *= int(block)
    return tuple(-(-size // block) * block for size, block in zip(shape, blocks, strict=True))
