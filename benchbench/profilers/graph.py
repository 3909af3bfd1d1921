"""What a runtime executes after its own optimisation: nodes, fused patterns, bytes. No clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement, absent, exact
from benchbench.profilers.beat import Beat
from benchbench.runtimes.ahead import made
from benchbench.runtimes.graph import READABLE, Graph, Node, Operand, Unreadable, reader_of
from benchbench.runtimes.onnx_graph import MODEL


def graph(case: Case, budget: BudgetSettings, beat: Beat) -> Iterator[Measurement]:
    """`graph_nodes` and `memory_access_graph`; nothing where the runtime has no graph to read.

    Counted are nodes that every call executes: no constants, inputs and outputs, nothing that is
    computed once at compilation, and no views, which `left_out` has by operator. A node reads each
    of its distinct inputs once, weights among them, and writes its outputs once; blocked layouts
    count with what pads them. `fused` compares with the exported file, into whose convolutions
    torch's exporter has already folded batch norms.
    """
    beat(0.0)
    try:
        if case.runtime not in READABLE:
            raise Unreadable(f"runtime={case.runtime} does not tell what its kernels read")
        folder = made(case)
        found, versions = reader_of(case).read(case, folder), _versions(folder)
    except Unreadable as error:
        yield absent("graph_nodes", str(error))
        yield absent("memory_access_graph", str(error))
        return
    yield exact("graph_nodes", len(found.nodes), **details(found), **versions)
    yield exact("memory_access_graph", sum(node.memory_access for node in found.nodes))


def details(found: Graph) -> dict[str, Any]:
    """A row for each node, and what there is how often."""
    nodes = found.nodes
    return {
        "nodes": [_row(node) for node in nodes],
        "operators": dict(Counter(node.operator for node in nodes).most_common()),
        "fused": dict(Counter(node.pattern for node in nodes if node.pattern).most_common()),
        "left_out": dict(found.left_out),
        "providers": sorted({node.provider for node in nodes}),
    }


def _row(node: Node) -> dict[str, Any]:
    plain = {key: getattr(node, key) for key in ("name", "operator", "pattern", "kernel")}
    return plain | {
        "provider": node.provider,
        "inputs": [_operand(operand) for operand in node.inputs],
        "outputs": [_operand(operand) for operand in node.outputs],
        "bytes": node.memory_access,
    }


def _operand(operand: Operand) -> dict[str, Any]:
    return operand._asdict() | {"shape": list(operand.shape)}


def _versions(folder: Path) -> dict[str, Any]:
    """Of the exported file: the operator sets it uses, by domain, and of the format itself."""
    import onnx

    model = onnx.load(folder / MODEL, load_external_data=False)
    used = {node.domain for node in model.graph.node}
    opset = {
        item.domain or "ai.onnx": item.version for item in model.opset_import if item.domain in used
    }
    return {"opset": opset, "ir_version": model.ir_version}
