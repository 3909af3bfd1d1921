"""What a network's profiled time goes to, in the kinds of operators of ShuffleNetV2's Figure 2.

The figure (arXiv:1807.11164) tells convolutions, element-wise operators, data movement and the
rest apart. Here depthwise convolutions, norms and pooling are kinds of their own.
"""

from __future__ import annotations

from benchbench.experiments.operators import layer_times, operator_times
from benchbench.records import Record

DEPTHWISE = "depthwise convolution"
CONVOLUTION = "convolution, linear"
OTHER = "other"
# The first kind with a part of an operator's name, as PyTorch or a runtime calls it.
PARTS = {
    "data movement": (
        *("reorder", "concat", "cat", "split", "unbind", "chunk", "transpose", "permute"),
        *("reshape", "squeeze", "flatten", "contiguous", "clone", "copy", "pad", "gather"),
    ),
    CONVOLUTION: ("conv", "linear", "gemm", "matmul", "addmm", "fullyconnected"),
    "norm": ("batch_norm", "batchnorm", "normalization"),
    "pooling": ("pool", "mean", "reduce"),
    "element-wise": (
        *("relu", "silu", "swish", "sigmoid", "hardtanh", "clip", "clamp", "mul", "add", "div"),
        *("multiply", "eltwise", "elementwise", "subgraph"),
    ),
}
KINDS = (CONVOLUTION, DEPTHWISE, "norm", "element-wise", "data movement", "pooling", OTHER)


def kind_of(operator: str) -> str:
    """The kind of an operator by its name; a depthwise convolution is a convolution by name."""
    name = operator.lower()
    return next((kind for kind, parts in PARTS.items() if any(p in name for p in parts)), OTHER)


def time_shares(record: Record) -> dict[str, float]:
    """The share of each kind in the profiled time, in the order of `KINDS`; none if not profiled.

    Depthwise convolutions are told apart where names in the profile are those of layers.
    """
    seconds = dict.fromkeys(KINDS, 0.0)
    for item in operator_times(record):
        seconds[kind_of(item.operator)] += item.seconds
    for layer in layer_times(record):
        if layer.kind.startswith("depthwise"):
            seconds[DEPTHWISE] += layer.seconds
            seconds[CONVOLUTION] -= layer.seconds
    total = sum(seconds.values())
    return {kind: max(0.0, value) / total for kind, value in seconds.items()} if total else {}
