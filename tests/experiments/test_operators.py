"""Time joined with counts, on a record of round numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from made import record

from benchbench.cases import Case
from benchbench.experiments.operators import OperatorTime, attributed, layer_times, operator_times
from benchbench.measure import Measured
from benchbench.measurements import Layer, Measurement, exact
from benchbench.records import Record

LAYERS = (
    Layer("conv", "conv 3x3", (1, 8, 4, 4), 216, 3000, 128, 1, 10, 20, 40),
    Layer("norm", "batch_norm", (1, 8, 4, 4), 16, 0, 0, 1, 0, 40, 0),
    Layer("head", "linear", (1, 2), 18, 16, 0, 1, 0, 40, 60),
    Layer("unused", "parameters", (), 5, 0, 0, 0, 0, 0, 0),
)
ROWS: list[dict[str, Any]] = [
    {"layer": "conv", "operator": "conv2d", "kernel": "slow", "calls": 1, "seconds": 0.2},
    {"layer": "conv", "operator": "conv2d", "kernel": "mkldnn", "calls": 1, "seconds": 0.4},
    {"layer": "norm", "operator": "batch_norm", "kernel": "norm", "calls": 1, "seconds": 0.25},
    {"layer": "flatten", "operator": "flatten", "kernel": "view", "calls": 1, "seconds": 0.05},
    {"layer": None, "operator": "conv2d", "kernel": "slow", "calls": 2, "seconds": 0.1},
]


@pytest.fixture
def made(case: Callable[..., Case]) -> Record:
    kernels = [["conv", 3000, 40], ["head", 16, 60]]
    measurements = [
        exact("memory_access_fused", 100, kernels=kernels),
        Measurement("peak_multiply_adds", samples=((10_000.0,),)),
        Measurement("peak_bandwidth", samples=((400.0,),)),
        Measurement("operator_time", samples=((1.0,),), details={"operators": ROWS}),
    ]
    measured = Measured(case(), {"machine": {"cpu": "x"}}, measurements, LAYERS)
    return record(measured, task="profile", settings={}, command="")


def test_layers_are_joined_by_name(made: Record) -> None:
    times = layer_times(made)
    assert [item.layer for item in times] == ["conv", "norm", "head", "flatten", None]
    conv, norm, head, flatten, outside = times
    assert (conv.kind, conv.multiply_adds, conv.bytes) == ("conv 3x3", 3000, 40)
    assert conv.seconds == pytest.approx(0.6)
    assert conv.kernels == ("mkldnn", "slow")
    assert conv.bound_seconds == pytest.approx(0.3)  # 3000 / 10000, over 40 / 400
    assert conv.ratio == pytest.approx(2.0)
    assert (norm.seconds, norm.bound_seconds, norm.ratio) == (0.25, None, None)
    assert (head.seconds, head.kernels) == (0, ())  # counted, and not seen by the profiler
    assert head.bound_seconds == pytest.approx(0.15)
    assert (flatten.kind, flatten.seconds, outside.kind) == ("", 0.05, "")


def test_operators_are_added_up_by_kernel(made: Record) -> None:
    first, *others = operator_times(made)
    assert first == OperatorTime("conv2d", "mkldnn", 1, 0.4)
    assert others[0] == OperatorTime("conv2d", "slow", 3, pytest.approx(0.3))
    assert [item.operator for item in others[1:]] == ["batch_norm", "flatten"]


def test_the_share_in_counted_layers(made: Record) -> None:
    assert attributed(made) == pytest.approx(0.85)  # all but the view and what is outside


def test_where_nothing_was_profiled_there_is_nothing(case: Callable[..., Case]) -> None:
    measured = Measured(case(), {"machine": {"cpu": "x"}}, [exact("params", 1)], LAYERS)
    made = record(measured, task="profile", settings={}, command="")
    assert layer_times(made) == operator_times(made) == []
    assert attributed(made) is None


def test_nodes_of_a_runtimes_graph_are_not_joined_with_layers(made: Record) -> None:
    """Even where one is called like a layer: it may be three of them."""
    case = replace(made.case, runtime="onnxruntime")
    times = layer_times(replace(made, case=case))
    assert [(item.layer, item.kind) for item in times] == [
        *(("conv", "conv2d"), ("norm", "batch_norm"), ("flatten", "flatten")),
    ]
    assert [item.seconds for item in times] == pytest.approx([0.6, 0.25, 0.05])
    assert {(item.multiply_adds, item.bytes, item.ratio) for item in times} == {(0, 0, None)}
    assert attributed(replace(made, case=case)) is None
    assert operator_times(replace(made, case=case)) == operator_times(made)
