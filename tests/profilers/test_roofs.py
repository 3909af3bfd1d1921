"""Roofs with a clock that the test turns, and once as they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement
from benchbench.profilers import roofs as module

BUDGET = BudgetSettings()
NAMES = ["peak_multiply_adds", "peak_bandwidth", "launch_cost"]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GEMM_SIZES", {"cpu": (8, 32)})
    monkeypatch.setattr(module, "BUFFER_KIBIBYTES", {"cpu": (1, 16)})


def measured(case: Case, beat: Callable[[float], bool] = lambda _: True) -> dict[str, Measurement]:
    return {item.metric: item for item in module.roofs(case, BUDGET, beat)}


def slow_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Every block takes that long, whatever is called in it."""
    now = 0.0

    def tick() -> float:
        nonlocal now
        now += seconds
        return now

    monkeypatch.setattr(module, "perf_counter", tick)
    monkeypatch.setattr(module, "perf_counter_ns", lambda: round(tick() * 1e9))


def test_work_over_time(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one call in 1/8 s: 32^3 multiply-adds; 16 KiB read and 16 KiB written."""
    slow_clock(monkeypatch, 0.125)
    found = measured(case())
    assert list(found) == NAMES
    gemm, bandwidth, launch = found.values()
    assert gemm.value == pytest.approx(8 * 32**3)
    assert gemm.details["best"] == "GEMM 32"
    assert set(gemm.details["rates"]) == {"GEMM 8", "GEMM 32"}
    assert max(gemm.details["rates"]["GEMM 8"]) == pytest.approx(8 * 8**3)
    assert bandwidth.value == pytest.approx(8 * 2 * 16 * 1024)
    assert set(bandwidth.details["rates"]) == {
        *("copy 1 KiB", "copy 16 KiB", "read 1 KiB", "read 16 KiB")
    }
    assert launch.value == pytest.approx(0.125)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_the_bytes_an_element_are_as_many_bytes(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    slow_clock(monkeypatch, 0.125)
    found = measured(case(precision=precision))
    assert found["peak_bandwidth"].value == pytest.approx(8 * 2 * 16 * 1024)


def test_the_fastest_block_is_the_roof(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of blocks of 4, 1 and 2 s the second shows what the device can do."""
    monkeypatch.setattr(module, "_blocks", lambda *_: (4.0, 1.0, 2.0))
    found = measured(case())
    assert found["peak_multiply_adds"].value == 8**3  # over 1 s there is nothing larger
    assert found["launch_cost"].value == 2.0  # no bound, so the median


def test_a_slow_device_is_spared_the_larger_sizes(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_clock(monkeypatch, 1.0)
    gemm = measured(case())["peak_multiply_adds"]
    assert list(gemm.details["rates"]) == ["GEMM 8"]
    assert gemm.details["left_out"] == ["GEMM 8 takes over 0.5 s a call"]


def test_what_the_device_cannot_do_is_absent_with_the_reason(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Half'\nand more")

    slow_clock(monkeypatch, 0.125)
    monkeypatch.setattr(torch, "mm", refuse)
    monkeypatch.setattr(torch, "dot", refuse)
    gemm, bandwidth, _ = measured(case(precision="fp16")).values()
    assert gemm.value is None
    assert gemm.reason is not None
    assert gemm.reason.startswith('GEMM 8 in fp16: "addmm_impl_cpu_" not implemented')
    assert bandwidth.value == pytest.approx(8 * 2 * 16 * 1024)  # a copy is left
    assert bandwidth.details["best"] == "copy 16 KiB"


def test_half_of_the_probes_make_no_roof(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told to stop after three: both matrix products are done, of the buffers one."""
    slow_clock(monkeypatch, 0.125)
    answers = iter([True] * 3)
    found = measured(case(), lambda _: next(answers, False))
    assert found["peak_multiply_adds"].value is not None
    assert found["peak_bandwidth"].value is None
    assert "interrupted" in str(found["launch_cost"].reason)


def test_on_the_clock_as_it_is(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    """Many calls a block, and the mode that is faster does not leak out of the profiler."""
    monkeypatch.setattr(module, "GEMM_SECONDS", 0.02)
    monkeypatch.setattr(module, "OTHER_SECONDS", 0.02)
    for item in module.roofs(case(), BUDGET, lambda _: True):
        assert not torch.is_inference_mode_enabled()
        assert item.value is not None
        assert item.value > 0
