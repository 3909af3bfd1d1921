"""ONNX Runtime's graph after optimisation: nodes from the model it writes, sizes from its profile.

The model has each node's tensors by name but not their shapes: the blocked layout (NCHWc) pads
channels, and its operators have no shape inference. The profile has the shape and element type of
everything a node wrote, but not of weights that were packed for its kernel. Together they have all.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchbench.cases import Case
from benchbench.errors import first_line
from benchbench.inputs import make_input
from benchbench.runtimes.formats import feed
from benchbench.runtimes.graph import Graph, Node, Operand, Profiled, Timed, Unreadable
from benchbench.runtimes.onnx_graph import MODEL
from benchbench.runtimes.onnxruntime import Session, options, providers

if TYPE_CHECKING:
    import onnx
    import onnxruntime

OPTIMISED, PROFILE = "optimised.onnx", "profile"
# Element types as the profile names them, and their bytes.
BYTES = {
    name: size
    for size, names in {
        8: ("double", "int64", "uint64"),
        4: ("float", "int32", "uint32"),
        2: ("float16", "bfloat16", "int16", "uint16"),
        1: ("int8", "uint8", "bool"),
    }.items()
    for name in names
}
NAMES = {"float64": "double", "float32": "float"}  # of numpy, where they are others
# Their output is their input under another shape, unless it is the graph's own.
VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout")
SUFFIX = "_kernel_time"
ADDED = 4  # inputs of a convolution that adds a tensor to its result
CONVOLUTIONS = ("Conv", "FusedConv")
LAUNCHES = "on CUDA the profile of ONNX Runtime times how long a kernel takes to start"

Event = Mapping[str, Any]  # a node in a call, as the profile has it


def read(case: Case, folder: Path) -> Graph:
    """The graph of what was exported into a folder.

    Raises:
        Unreadable: the model cannot be written (TensorRT's), or the profile is of another one.
    """
    import onnx

    with _session(case, folder) as (session, written):
        _bound(session, case)()
        calls = _calls(Path(session.end_profiling()))
        model = onnx.load(written / OPTIMISED, load_external_data=False)
    return graph_of(model.graph, calls[0] if calls else ())


@contextmanager
def profiled(case: Case, folder: Path) -> Iterator[Profiled]:
    """The case under ONNX Runtime's profiler, whose times are whole microseconds.

    Raises:
        Unreadable: on CUDA, where it does not wait for kernels.
    """
    if case.device != "cpu":
        raise Unreadable(LAUNCHES)
    import onnx

    with _session(case, folder) as (session, written):
        model = onnx.load(written / OPTIMISED, load_external_data=False)
        kernels = {node.name: _kernel(node) for node in model.graph.node}

        def finish() -> list[list[Timed]]:
            calls = _calls(Path(session.end_profiling()))[1:]
            return [[_timed(event, kernels) for event in call] for call in calls]

        yield Profiled(_bound(session, case), finish)


@contextmanager
def _session(case: Case, folder: Path) -> Iterator[tuple[onnxruntime.InferenceSession, Path]]:
    """A session of the case that keeps a profile, and the folder with its optimised model."""
    import onnxruntime as ort

    with TemporaryDirectory() as written:
        own = options(case)
        own.enable_profiling = True
        own.profile_file_prefix = str(Path(written) / PROFILE)
        own.optimized_model_filepath = str(Path(written) / OPTIMISED)
        try:
            session = ort.InferenceSession(folder / MODEL, own, providers=providers(case))
        except Exception as error:  # its exceptions have no class of their own
            raise Unreadable(first_line(error)) from error
        yield session, Path(written)


def _bound(session: onnxruntime.InferenceSession, case: Case) -> Callable[[], None]:
    """A call on the case's input, with as little of Python in it as can be."""
    binding = session.io_binding()
    images = feed(make_input(case), case).cpu()
    binding.bind_cpu_input(session.get_inputs()[0].name, images.numpy())
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return Session(session, binding, images).run


def _calls(path: Path) -> list[list[Event]]:
    """The nodes of each call, in order: all calls execute the same ones."""
    events = [event for event in json.loads(path.read_text()) if event.get("cat") == "Node"]
    events = [event for event in events if event["name"].endswith(SUFFIX)]
    count = len({event["name"] for event in events})
    calls = [events[start : start + count] for start in range(0, len(events), count or 1)]
    if any([e["name"] for e in call] != [e["name"] for e in calls[0]] for call in calls):
        raise Unreadable("calls in the profile do not execute the same nodes")
    return calls


def _timed(event: Event, kernels: Mapping[str, str]) -> Timed:
    name, operator = _name(event), event["args"]["op_name"]
    return Timed(name, operator, kernels.get(name, operator), event["dur"] / 1e6)


def _name(event: Event) -> str:
    return str(event["name"]).removesuffix(SUFFIX)


def graph_of(graph: onnx.GraphProto, events: Sequence[Event]) -> Graph:
    """The nodes of an optimised model with the sizes that a call of it had.

    Raises:
        Unreadable: the two are not of the same graph.
    """
    pairs = list(_paired(list(graph.node), events))
    sizes = _stored(graph)
    for node, event in pairs:
        written = [name for name in node.output if name]
        shapes = event["args"]["output_type_shape"]
        if len(written) != len(shapes):
            raise Unreadable(f"node {_name(event)}: the profile does not have all of its outputs")
        sizes |= {
            name: _operand(name, *next(iter(shape.items())))
            for name, shape in zip(written, shapes, strict=True)
        }
    own = {output.name for output in graph.output}
    views = [node for node, _ in pairs if node.op_type in VIEWS and not own & set(node.output)]
    return Graph(
        tuple(_node(*pair, sizes) for pair in pairs if pair[0] not in views),
        Counter(node.op_type for node in views),
    )


def _paired(
    nodes: Sequence[onnx.NodeProto], events: Sequence[Event]
) -> Iterator[tuple[onnx.NodeProto, Event]]:
    """Events with their nodes; those without a name are called by their operator in the profile."""
    names = {node.name for node in nodes if node.name}
    waiting: defaultdict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in nodes:
        waiting[node.name or f"unnamed {node.op_type}"].append(node)
    for event in events:
        name = _name(event)
        key = name if name in names else f"unnamed {event['args']['op_name']}"
        if not waiting[key]:
            raise Unreadable(f"node {name} of the profile is not in the optimised model")
        yield waiting[key].pop(0), event
    if left := [key for key, value in waiting.items() if value]:
        raise Unreadable(f"node {left[0]} of the optimised model is not in the profile")


def _stored(graph: onnx.GraphProto) -> dict[str, Operand]:
    """Weights and inputs, whose shapes the model has."""
    found = {
        item.name: _operand(item.name, _element_type(item.data_type), item.dims)
        for item in graph.initializer
    }
    for item in graph.input:
        tensor = item.type.tensor_type
        shape = [dimension.dim_value for dimension in tensor.shape.dim]
        found[item.name] = _operand(item.name, _element_type(tensor.elem_type), shape)
    return found


def _element_type(number: int) -> str:
    import onnx

    name = str(onnx.helper.tensor_dtype_to_np_dtype(number))
    return NAMES.get(name, name)


def _operand(name: str, element_type: str, shape: Sequence[int]) -> Operand:
    if element_type not in BYTES:
        raise Unreadable(f"tensor {name}: elements of type {element_type}")
    return Operand(name, tuple(shape), element_type, prod(shape) * BYTES[element_type])


def _node(node: onnx.NodeProto, event: Event, sizes: Mapping[str, Operand]) -> Node:
    unknown = [name for name in node.input if name and name not in sizes]
    if unknown:
        raise Unreadable(f"node {_name(event)}: nothing writes its input {unknown[0]}")
    return Node(
        name=_name(event),
        operator=node.op_type,
        pattern=_pattern(node),
        inputs=tuple(sizes[name] for name in node.input if name),
        outputs=tuple(sizes[name] for name in node.output if name),
        kernel=_kernel(node),
        provider=str(event["args"]["provider"]),
    )


def _kernel(node: onnx.NodeProto) -> str:
    """The operator with its domain: of blocked layouts it is another than ONNX's own."""
    return ".".join(filter(None, (node.domain, node.op_type)))


def _pattern(node: onnx.NodeProto) -> str:
    """The exported operators that a node stands for, where they are more than one."""
    operator = str(node.op_type)
    if operator == "QuickGelu":  # x * sigmoid(alpha x)
        return "Sigmoid+Mul"
    if operator.startswith("QLinear"):
        return f"DequantizeLinear+{operator.removeprefix('QLinear')}+QuantizeLinear"
    parts = [operator.removeprefix("Fused")]
    added = operator in CONVOLUTIONS and len([name for name in node.input if name]) == ADDED
    parts += ["Add"] if added else []
    parts += [item.s.decode() for item in node.attribute if item.name == "activation" and item.s]
    fused = len(parts) > 1 or (operator.startswith("Fused") and node.domain)
    if fused:
        return "+".join(parts)
    return operator if operator.startswith("Q") and node.domain else ""
