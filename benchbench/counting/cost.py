"""From one walk to the counts of a network: in total and layer by layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import groupby
from typing import NamedTuple

from torch import nn

from benchbench.counting.blocks import blocks
from benchbench.counting.dependencies import operator_rows, unread
from benchbench.counting.formulas import Convolution
from benchbench.counting.ledgers import executed_bytes, fused_bytes, paper_bytes
from benchbench.counting.padding import padded_multiply_adds
from benchbench.counting.split import convolution_rows, with_element_size
from benchbench.counting.walk import Executed, Walk
from benchbench.measurements import Layer, Measurement, exact
from benchbench.metrics import METRICS

NAMED = 3  # operators in a remark; how many there are is said as well


class Cost(NamedTuple):
    measurements: tuple[Measurement, ...]
    layers: tuple[Layer, ...]  # in order of execution

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)


class _Charged(NamedTuple):
    """An executed operator with what the ledgers charge it."""

    op: Executed
    fused: int
    ops: int
    padded: int


def cost(network: nn.Module, walked: Walk, block: int = 1) -> Cost:
    """The counts of `network` as it was walked: batch and element size included.

    `block`: how many channels the device computes on at once.
    """
    fused = fused_bytes(walked)
    charged = [
        _Charged(op, moved, executed_bytes(op), padded_multiply_adds(op, block))
        for op, moved in zip(walked.executed, fused, strict=True)
    ]
    params_by_layer = _own_params(network)
    layers = tuple(_layers(charged, params_by_layer))
    layers += tuple(_idle(params_by_layer, {layer.name for layer in layers}))
    totals = {name: sum(getattr(layer, name) for layer in layers) for name in _SUMMED}
    return Cost(
        measurements=(
            exact("params", sum(params_by_layer.values())),
            exact("multiply_adds", totals["multiply_adds"], operators=_by_operator(walked)),
            exact("multiply_adds_padded", sum(c.padded for c in charged), vector_block=block),
            exact(
                "launches",
                totals["launches"],
                dispatched=walked.dispatched,
                operators=operator_rows(walked, fused),
                blocks=[list(block) for block in blocks(network, walked)],
            ),
            exact("activations", totals["activations"]),
            exact(
                "memory_access_paper",
                totals["memory_access_paper"],
                convolutions=convolution_rows(walked),
            ),
            exact(
                "memory_access_ops",
                totals["memory_access_ops"],
                kernels=[_kernel(c, c.ops) for c in charged],
            ),
            exact(
                "memory_access_fused",
                totals["memory_access_fused"],
                kernels=[_kernel(c, c.fused) for c in charged if c.op.multiply_adds or c.fused],
                **_remarks_on_outputs(walked),
            ),
        ),
        layers=layers,
    )


def _remarks_on_outputs(walked: Walk) -> dict[str, list[str]]:
    """What the fused ledger leaves out, since it counts as written only what somebody reads."""
    found = unread(walked)
    if not found:
        return {}
    named = [f"{op.operator} in {op.layer or 'the network itself'}" for op in found[:NAMED]]
    more = ", ..." if len(found) > NAMED else ""
    return {
        "remarks": [
            "memory_access_fused leaves out the writing of results that no operator reads and no "
            f"output is known to hold: {len(found)} ({', '.join(named)}{more})"
        ]
    }


def with_elements_of(size: int, walked_size: int, found: Cost) -> Cost:
    """The counts of the same operators on elements of another size, in bytes.

    int8 tensors cannot be walked: PyTorch's operators do not take them. Every tensor is taken to
    shrink alike, also the biases that quantised networks keep in 32 bits.
    """

    def bytes_of(value: int) -> int:
        return value * size // walked_size

    def measurement(item: Measurement) -> Measurement:
        if METRICS[item.metric].unit != "B":
            return item
        details = dict(item.details)
        if "kernels" in details:
            details["kernels"] = [
                [layer, work, bytes_of(moved), padded]
                for layer, work, moved, padded in details["kernels"]
            ]
        if "convolutions" in details:
            details["convolutions"] = [
                with_element_size(row, size) for row in details["convolutions"]
            ]
        return exact(item.metric, bytes_of(int(item.flat[0])), **details)

    return Cost(
        tuple(map(measurement, found.measurements)),
        tuple(
            replace(
                layer,
                memory_access_paper=bytes_of(layer.memory_access_paper),
                memory_access_ops=bytes_of(layer.memory_access_ops),
                memory_access_fused=bytes_of(layer.memory_access_fused),
            )
            for layer in found.layers
        ),
    )


_SUMMED = tuple(
    field.name
    for field in fields(Layer)
    if field.name not in ("name", "kind", "output_shape", "params")
)


def _kernel(charged: _Charged, moved: int) -> list[str | int]:
    """Layer, multiply-adds, bytes and padded multiply-adds of what an operator starts.

    Only what starts a kernel has multiply-adds, so its first operator's are all of them.
    """
    return [charged.op.layer, charged.op.multiply_adds, moved, charged.padded]


def _layers(charged: list[_Charged], params: dict[str, int]) -> Iterator[Layer]:
    """One layer for each module whose own code executes something, in order of first execution."""
    order = {name: index for index, name in enumerate(dict.fromkeys(c.op.layer for c in charged))}
    by_layer = sorted(charged, key=lambda c: order[c.op.layer])  # stable: execution order within
    for name, group in groupby(by_layer, key=lambda c: c.op.layer):
        yield _layer(name, list(group), params.get(name, 0))


def _idle(params: dict[str, int], executed: set[str]) -> Iterator[Layer]:
    """Modules with parameters and no operator of their own: others' code uses them, or none."""
    for name, count in params.items():
        if name not in executed:
            yield Layer(name, "parameters", (), count, *[0] * len(_SUMMED))


def _layer(name: str, charged: list[_Charged], params: int) -> Layer:
    ops = [c.op for c in charged]
    return Layer(
        name=name,
        kind=" + ".join(dict.fromkeys(kind(op) for op in ops)),
        output_shape=tuple(ops[-1].result.shape),
        params=params,
        multiply_adds=sum(op.multiply_adds for op in ops),
        activations=sum(op.result.numel() for op in ops if op.convolution is not None),
        launches=len(ops),
        memory_access_paper=sum(paper_bytes(op) for op in ops),
        memory_access_ops=sum(c.ops for c in charged),
        memory_access_fused=sum(c.fused for c in charged),
    )


def kind(op: Executed) -> str:
    """What a reader calls the operator: "depthwise 3x3 / 2", "linear", "silu"."""
    if op.convolution is None:
        name = op.operator.removesuffix("_").removeprefix("native_")
        return "linear" if name in ("addmm", "mm") else name
    return _convolution_kind(op.convolution)


def _convolution_kind(conv: Convolution) -> str:
    size = "x".join(str(n) for n in conv.weight.shape[2:])
    stride = f" / {max(conv.stride)}" if max(conv.stride) > 1 else ""
    transposed = "transposed " if conv.transposed else ""
    channels = conv.input.shape[1]
    if conv.groups == 1:
        return f"{transposed}conv {size}{stride}"
    if conv.groups == channels:
        return f"{transposed}depthwise {size}{stride}"
    return f"{transposed}conv {size}{stride}, {conv.groups} groups"


def _own_params(network: nn.Module) -> dict[str, int]:
    """Parameters by module path, a shared one at its first place."""
    counts: Counter[str] = Counter()
    for name, parameter in network.named_parameters():
        counts[name.rpartition(".")[0]] += parameter.numel()
    return dict(counts)


def _by_operator(walked: Walk) -> dict[str, dict[str, int]]:
    """How often each operator ran, its multiply-adds and the elements it produced."""
    found: dict[str, dict[str, int]] = {}
    for op in walked.executed:
        row = found.setdefault(op.operator, {"launches": 0, "multiply_adds": 0, "elements": 0})
        row["launches"] += 1
        row["multiply_adds"] += op.multiply_adds
        row["elements"] += op.result.numel()
    return found
