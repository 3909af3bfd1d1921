"""Kinds of operators by the names that PyTorch and the runtimes give them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from made import record

from benchbench.cases import Case
from benchbench.experiments.operator_kinds import KINDS, kind_of, time_shares
from benchbench.measure import Measured
from benchbench.measurements import Layer, Measurement


@pytest.mark.parametrize(
    ("kind", "operators"),
    [
        ("convolution, linear", ("conv2d", "linear", "FusedConv", "Gemm", "MatMul", "Convolution")),
        ("norm", ("batch_norm", "BatchNormalization")),
        ("element-wise", ("relu_", "silu_", "hardswish", "Clip", "mul_", "Add", "Multiply")),
        ("data movement", ("cat", "Concat", "ReorderOutput", "Transpose", "reshape", "Split")),
        ("pooling", ("mean", "max_pool2d", "GlobalAveragePool", "ReduceMean")),
        ("other", ("dropout", "anything")),
    ],
)
def test_operators_are_told_apart_by_name(kind: str, operators: tuple[str, ...]) -> None:
    assert {name: kind_of(name) for name in operators} == dict.fromkeys(operators, kind)
    assert kind in KINDS


def layer(name: str, kind: str) -> Layer:
    return Layer(name, kind, (1, 8, 4, 4), 0, 1, 1, 1, 1, 1, 1)


def test_shares_by_hand(case: Callable[..., Case]) -> None:
    """Of 10 ms: 4 in a convolution, 3 in a depthwise one, 2 in a norm, 1 in an addition."""
    times = [("a", "conv2d", 4), ("b", "conv2d", 3), ("c", "batch_norm", 2), (None, "add_", 1)]
    rows = [
        {"layer": name, "operator": operator, "kernel": "k", "calls": 1, "seconds": 1e-3 * ms}
        for name, operator, ms in times
    ]
    measured = Measured(
        case(),
        {"machine": {"cpu": "Imaginary CPU"}},
        [Measurement("operator_time", ((0.01,),), details={"operators": rows})],
        (layer("a", "conv 1x1"), layer("b", "depthwise 3x3")),
    )
    shares = time_shares(record(measured))
    assert list(shares) == list(KINDS)
    named = {kind: share for kind, share in shares.items() if share}
    assert named == pytest.approx(
        {
            "convolution, linear": 0.4,
            "depthwise convolution": 0.3,
            "norm": 0.2,
            "element-wise": 0.1,
        }
    )


def test_nothing_profiled_has_no_shares(case: Callable[..., Case]) -> None:
    measured = Measured(case(), {"machine": {"cpu": "Imaginary CPU"}})
    measured.receive(Measurement("latency", ((1.0,),)))
    assert time_shares(record(measured)) == {}
