"""What the probes let one expect, by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchbench.cases import Case
from benchbench.measurements import Measurement, absent, exact
from benchbench.prediction import prediction
from benchbench.roofline import Kernel, Roofs, predicted

ROOFS = {
    "peak_multiply_adds": Measurement("peak_multiply_adds", samples=((900.0, 1000.0),)),
    "peak_bandwidth": Measurement("peak_bandwidth", samples=((100.0,),)),
    "launch_cost": Measurement("launch_cost", samples=((0.01, 0.02, 0.03),)),
}
# Layer, multiply-adds, bytes, padded multiply-adds: at 1000 a second and 100 bytes a second.
OPS = [["a", 500, 20, 800], ["b", 100, 40, 100], ["b", 0, 5, 0]]
FUSED = [["a", 500, 20, 800], ["b", 100, 30, 100]]
COUNTS = {
    "memory_access_ops": exact("memory_access_ops", 65, kernels=OPS),
    "memory_access_fused": exact("memory_access_fused", 50, kernels=FUSED),
}


def test_padded_work_or_bytes_and_a_launch_each() -> None:
    kernels = [Kernel("a", 500, 20, 800), Kernel("b", 100, 40), Kernel("b", 0, 5, 0)]
    found = predicted(kernels, Roofs(1000.0, 100.0), 0.02)
    assert found == pytest.approx(0.8 + 0.4 + 0.05 + 3 * 0.02)


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [
        ("eager", 0.8 + 0.4 + 0.05 + 3 * 0.02),
        ("compiled", 0.8 + 0.3 + 2 * 0.02),
        ("onnxruntime", 0.8 + 0.3 + 2 * 0.02),
        ("cuda_graph", 0.8 + 0.4 + 0.05),  # a replay launches nothing by itself
    ],
)
def test_each_runtime_starts_its_own_kernels(
    case: Callable[..., Case], runtime: str, expected: float
) -> None:
    found = prediction(case(runtime=runtime), COUNTS, ROOFS)
    assert found is not None
    assert found.value == pytest.approx(expected)
    assert found.details["before_timing"] is True
    assert found.interval is None


def test_without_counts_or_roofs_there_is_none(case: Callable[..., Case]) -> None:
    assert prediction(case(), {}, ROOFS) is None
    assert prediction(case(mode="train"), COUNTS, ROOFS) is None
    for name in ROOFS:
        without = {key: value for key, value in ROOFS.items() if key != name}
        assert prediction(case(), COUNTS, without) is None
        assert prediction(case(), COUNTS, ROOFS | {name: absent(name, "no such type")}) is None


def test_what_was_timed_before_is_no_prediction(case: Callable[..., Case]) -> None:
    timed = Measurement("latency", samples=((1.0,),))
    found = prediction(case(), COUNTS | {"latency": timed}, ROOFS)
    assert found is not None
    assert found.details["before_timing"] is False
