"""The physical limit, by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from made import record

from benchbench.cases import Case
from benchbench.experiments.bound import bound_of, kernels_of, layer_bounds
from benchbench.measure import Measured
from benchbench.measurements import Measurement, absent, exact
from benchbench.records import Record
from benchbench.roofline import Kernel, Roofs, lower_bound

ROOFS = Roofs(peak_multiply_adds=1000.0, peak_bandwidth=100.0)
# 500 multiply-adds take 0.5 s and 20 bytes 0.2 s; then 0.1 s and 0.4 s; then memory alone, 0.05 s.
KERNELS = [Kernel("a", 500, 20), Kernel("b", 100, 40), Kernel("a", 0, 5)]


def test_a_kernel_takes_the_longer_of_computing_and_memory() -> None:
    bound = lower_bound(KERNELS, ROOFS)
    assert bound.seconds == pytest.approx(0.5 + 0.4 + 0.05)
    assert bound.compute_seconds == pytest.approx(0.5 + 0.1)
    assert bound.memory_seconds == pytest.approx(0.2 + 0.4 + 0.05)
    assert (bound.kernels, bound.compute_bound) == (3, 1)


def test_layers_share_the_bound_out() -> None:
    bounds = layer_bounds(KERNELS, ROOFS)
    assert {name: bound.seconds for name, bound in bounds.items()} == pytest.approx(
        {"a": 0.55, "b": 0.4}
    )


def test_nothing_takes_no_time() -> None:
    assert lower_bound([], ROOFS).seconds == 0


COUNTED = (
    exact("launches", 7),
    exact("memory_access_fused", 65, kernels=[list(kernel) for kernel in KERNELS]),
)
MEASURED_ROOFS = (
    Measurement("peak_multiply_adds", samples=((900.0,), (1000.0,))),
    Measurement("peak_bandwidth", samples=((100.0,), (80.0,))),
    Measurement("launch_cost", samples=((0.01, 0.02, 0.03),)),
)
LATENCY = Measurement("latency", samples=((1.9, 1.9, 2.5),))


def made(case: Case, *measurements: Measurement, fingerprint: str = "here") -> Record:
    environment: dict[str, Any] = {"machine": {"cpu": "Imaginary CPU"}}
    measured = Measured(case, environment, list(measurements))
    found = record(measured, task="profile", settings={}, command="")
    return replace(found, environment=environment | {"fingerprint": fingerprint})


def test_latency_over_its_bound(case: Callable[..., Case]) -> None:
    """The best process makes the roof: 1000 and 100, and 1.9 s are twice 0.95 s."""
    found = bound_of(made(case(), *COUNTED, *MEASURED_ROOFS, LATENCY))
    assert found is not None
    assert found.roofs == ROOFS
    assert found.bound.seconds == pytest.approx(0.95)
    assert found.ratio == pytest.approx(2.0)
    assert found.launch_seconds == pytest.approx(7 * 0.02)


@pytest.mark.parametrize("missing", ["latency", "memory_access_fused", "peak_bandwidth"])
def test_without_one_of_its_parts_there_is_none(case: Callable[..., Case], missing: str) -> None:
    all_of_it = (*COUNTED, *MEASURED_ROOFS, LATENCY)
    rest = [item for item in all_of_it if item.metric != missing]
    assert bound_of(made(case(), *rest)) is None
    assert bound_of(made(case(), *rest, absent(missing, "a reason"))) is None


def test_counts_from_before_kernels_were_listed_have_no_bound(case: Callable[..., Case]) -> None:
    old = made(case(), exact("memory_access_fused", 65), *MEASURED_ROOFS, LATENCY)
    assert kernels_of(old) == ()
    assert bound_of(old) is None


def test_a_step_of_training_has_no_bound(case: Callable[..., Case]) -> None:
    """Its kernels are not counted."""
    assert bound_of(made(case(mode="train"), *COUNTED, *MEASURED_ROOFS, LATENCY)) is None
