"""Tables of profiled time verbatim, from a record of round numbers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from made import record
from rich.console import Console
from rich.text import Text

from benchbench.cases import Case
from benchbench.measure import Measured
from benchbench.measurements import Layer, Measurement, exact
from benchbench.records import Record
from benchbench.report.operators import operator_tables, operators_document, short

GPU_KERNEL = "void at::native::(anonymous namespace)::depthwise_kernel<float, 3>(float*, int)"
PAIRS = 7


def layers() -> tuple[Layer, ...]:
    """One convolution after another, each with a norm that joins it."""
    found = []
    for i in range(PAIRS):
        shape = (1, 8, 4, 4)
        found += [
            Layer(f"{i}.conv", "conv 3x3", shape, 8, 2_000_000, 128, 1, 10, 20, 4000),
            Layer(f"{i}.norm", "batch_norm", shape, 8, 0, 0, 1, 0, 40, 0),
        ]
    return tuple(found)


def row(layer: str | None, operator: str, kernel: str, seconds: float) -> dict[str, Any]:
    names = {"layer": layer, "operator": operator, "kernel": kernel}
    return names | {"calls": 1, "seconds": seconds}


@pytest.fixture
def made(case: Callable[..., Case]) -> Record:
    """Convolutions of 4 ms, the first of 9 ms, where the bound is 1 ms; norms of 1 ms."""
    rows = [row(None, "add", "add", 1e-3)]
    for i in range(PAIRS):
        kernel, seconds = ("mkldnn_convolution", 4e-3) if i else (GPU_KERNEL, 9e-3)
        rows.append(row(f"{i}.conv", "conv2d", kernel, seconds))
        rows.append(row(f"{i}.norm", "batch_norm", "native_batch_norm", 1e-3))
    details = {
        "operators": rows,
        "call_seconds": 0.05,
        "profiled_call_seconds": 0.06,
        "overhead": 1.2,
    }
    kernels = [[f"{i}.conv", 2_000_000, 4000] for i in range(PAIRS)]
    measurements = [
        exact("launches", 14),
        exact("memory_access_fused", 28_000, kernels=kernels),
        Measurement("peak_multiply_adds", samples=((2e9,),)),
        Measurement("peak_bandwidth", samples=((8e6,),)),
        Measurement("launch_cost", samples=((1e-6,),)),
        Measurement("latency", samples=((0.035,),)),
        Measurement("operator_time", samples=((0.041,),), details=details),
    ]
    measured = Measured(case(), {"machine": {"cpu": "x"}}, measurements, layers())
    return record(measured, task="profile", settings={}, command="")


TABLES = """\
layers that take most time (10 of 15, profiled)

                                           multiply-   memory,                     time over
 layer     kind        kernel                   adds     fused      time    share      bound
 ────────────────────────────────────────────────────────────────────────────────────────────
 0.conv    conv 3x3    depthwise_kernel      2.000 M  4.000 kB  9.000 ms   22.0 %        9.0
 1.conv    conv 3x3    mkldnn_convolution    2.000 M  4.000 kB  4.000 ms    9.8 %        4.0
 2.conv    conv 3x3    mkldnn_convolution    2.000 M  4.000 kB  4.000 ms    9.8 %        4.0
 3.conv    conv 3x3    mkldnn_convolution    2.000 M  4.000 kB  4.000 ms    9.8 %        4.0
 4.conv    conv 3x3    mkldnn_convolution    2.000 M  4.000 kB  4.000 ms    9.8 %        4.0
 5.conv    conv 3x3    mkldnn_convolution    2.000 M  4.000 kB  4.000 ms    9.8 %        4.0
 6.conv    conv 3x3    mkldnn_convolution    2.000 M  4.000 kB  4.000 ms    9.8 %        4.0
 0.norm    batch_norm  native_batch_norm       0.000   0.000 B  1.000 ms    2.4 %
 1.norm    batch_norm  native_batch_norm       0.000   0.000 B  1.000 ms    2.4 %
 2.norm    batch_norm  native_batch_norm       0.000   0.000 B  1.000 ms    2.4 %
 5 others                                      0.000   0.000 B  5.000 ms   12.2 %

 total                                       14.00 M  28.00 kB  41.00 ms  100.0 %        5.9

operators that take most time (4 of 4, profiled)

 operator    kernel              calls      time    share
 ─────────────────────────────────────────────────────────
 conv2d      mkldnn_convolution      6  24.00 ms   58.5 %
 conv2d      depthwise_kernel        1  9.000 ms   22.0 %
 batch_norm  native_batch_norm       7  7.000 ms   17.1 %
 add         add                     1  1.000 ms    2.4 %

 total                              15  41.00 ms  100.0 %

profiled apart from the timed run: a call took 60.00 ms instead of 50.00 ms (1.20 times), which \
makes light layers look heavier than they are
only 97.6 % of the time is in layers that were counted
bound   7.000 ms at 2.000 G multiply-adds/s and 8.000 MB/s (7 of 7 fused kernels compute-bound); \
latency is 5.00 times that; 14.00 µs for its eager launches alone
"""


def printed(made: Record) -> list[str]:
    console = Console(markup=False, width=120, record=True, file=io.StringIO())
    for part in operator_tables(made):
        console.print(part, soft_wrap=isinstance(part, Text))
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_the_tables(made: Record) -> None:
    assert printed(made) == TABLES.splitlines()


def test_a_beaten_bound_says_so(made: Record) -> None:
    """6 ms where 7 kernels of 1 ms are the least."""
    rest = [item for item in made.measurements if item.metric != "latency"]
    fast = replace(made, measurements=(*rest, Measurement("latency", samples=((0.006,),))))
    assert "0.86 times that" in printed(fast)[-1]
    assert "BEATEN" in printed(fast)[-1]
    assert "BEATEN" not in printed(made)[-1]


def test_without_roofs_there_is_time_and_no_bound(made: Record) -> None:
    rest = tuple(item for item in made.measurements if item.metric != "peak_bandwidth")
    bare = replace(made, measurements=rest)
    assert not [line for line in printed(bare) if line.startswith("bound")]
    assert operators_document(bare)["bound"] is None
    assert {item["ratio"] for item in operators_document(bare)["layer_times"]} == {None}


def test_without_the_profiler_there_is_the_bound_alone(made: Record) -> None:
    rest = tuple(item for item in made.measurements if item.metric != "operator_time")
    (line,) = printed(replace(made, measurements=rest))
    assert line.startswith("bound   7.000 ms")


def test_the_document(made: Record) -> None:
    document = json.loads(json.dumps(operators_document(made)))
    first, second = document["layer_times"][:2]
    assert (first["layer"], first["kind"], first["kernels"]) == ("0.conv", "conv 3x3", [GPU_KERNEL])
    assert first["ratio"] == pytest.approx(9.0)
    assert (second["layer"], second["ratio"]) == ("0.norm", None)
    assert sum(item["seconds"] for item in document["layer_times"]) == pytest.approx(0.041)
    assert sum(item["seconds"] for item in document["operator_times"]) == pytest.approx(0.041)
    assert document["attributed"] == pytest.approx(40 / 41)
    assert document["bound"]["bound"]["seconds"] == pytest.approx(0.007)
    assert document["bound"]["ratio"] == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("mkldnn_convolution", "mkldnn_convolution"),
        ("sm80_xmma_fprop_implicit_gemm_f32", "sm80_xmma_fprop_implicit_gemm_f32"),
        (GPU_KERNEL, "depthwise_kernel"),
        ("void cudnn::winograd::forward4x4<float, float>(Params)", "forward4x4"),
        ("Memcpy DtoD (Device -> Device)", "Memcpy DtoD"),
        ("<lambda>", "<lambda>"),
    ],
)
def test_short_names_of_kernels(kernel: str, expected: str) -> None:
    assert short(kernel) == expected


def test_of_a_runtimes_graph_there_are_nodes_and_no_counts(made: Record) -> None:
    """Time adds up, but nothing is multiplied or moved that we counted."""
    lines = printed(replace(made, case=replace(made.case, runtime="openvino")))
    assert lines[0] == "nodes that take most time (10 of 14, profiled)"
    assert lines[2].split() == ["node", "operator", "kernel", "time", "share"]
    assert lines[4].split() == ["0.conv", "conv2d", "depthwise_kernel", "9.000", "ms", "22.5", "%"]
    assert not [line for line in lines if "layers that were counted" in line]


def test_where_inductor_names_no_layer_there_are_operators_alone(made: Record) -> None:
    (timed,) = [item for item in made.measurements if item.metric == "operator_time"]
    rows = [dict(row) | {"layer": None} for row in timed.details["operators"]]
    rest = [item for item in made.measurements if item.metric != "operator_time"]
    nameless = replace(timed, details={**timed.details, "operators": rows})
    case = replace(made.case, runtime="compiled")
    lines = printed(replace(made, case=case, measurements=(*rest, nameless)))
    assert lines[0] == "operators that take most time (4 of 4, profiled)"
    assert lines[-4].startswith(" total                              15  41.00 ms")
