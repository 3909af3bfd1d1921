"""Energy of a made-up GPU that draws 100 W idle and 400 W busy, by both sensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pynvml
import pytest
from fake_gpu import FakeGpu, fake_nvml, refusal

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement
from benchbench.profilers import energy as module
from benchbench.sensors import Sensors

BUDGET = BudgetSettings(seconds=1.0)
STEP = 0.1  # seconds between two steps of the counter


def millijoules(gpu: FakeGpu) -> int:
    """As the driver counts: it looks ten times a second."""
    return round(1e3 * gpu.joules(math.floor(gpu.now / STEP) * STEP))


def sensors_of(gpu: FakeGpu, **changes: Callable[..., Any]) -> Sensors:
    answers: dict[str, Callable[..., Any]] = {
        "nvmlDeviceGetPowerUsage": lambda _: round(1e3 * gpu.watts()),
        "nvmlDeviceGetTotalEnergyConsumption": lambda _: millijoules(gpu),
        "nvmlDeviceGetTemperature": lambda *_: 40,
    }
    return Sensors(fake_nvml(**(answers | changes)), "gpu")


def measured(
    gpu: FakeGpu,
    case: Case,
    monkeypatch: pytest.MonkeyPatch,
    sensors: Sensors | None = None,
    beat: Callable[[float], bool] = lambda _: True,
) -> dict[str, Measurement]:
    monkeypatch.setattr(module, "open_cuda", gpu.cuda)
    monkeypatch.setattr(module, "open_sensors", lambda _: sensors or sensors_of(gpu))
    monkeypatch.setattr(module, "prepare", gpu.prepare)
    monkeypatch.setattr(module, "sleep", gpu.sleep)
    return {item.metric: item for item in module.energy(case, BUDGET, beat)}


@pytest.fixture
def cuda_case(case: Callable[..., Case]) -> Case:
    return case(device="cuda")


def test_a_call_of_4_ms_takes_300_w_more_than_idle_by_both_sensors(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(400 - 100) W * 4 ms = 1.2 J. The counter's steps are seen up to 24 ms late."""
    gpu = FakeGpu((4e-3,), launch=5e-6)
    found = measured(gpu, cuda_case, monkeypatch)
    assert list(found) == ["energy", "energy_integrated"]
    assert found["energy_integrated"].flat == pytest.approx([1.2], rel=1e-3)
    assert found["energy"].flat == pytest.approx([1.2], rel=0.02)
    for measurement in found.values():
        (details,) = measurement.processes
        assert details["seconds"] >= 5
        assert details["idle_seconds"] >= 3
        assert details["seconds"] / details["calls"] == pytest.approx(4e-3, rel=1e-3)
        assert details["idle_watts"] == pytest.approx(100, rel=0.02)
        assert details["joules"] == pytest.approx(400 * details["seconds"], rel=0.02)
        assert details["idle_temperature_celsius"] == 40
        assert details["idle_utilisation"] == "not available"
        assert details["sensors"]["temperature_celsius"]["maximum"] == 40


def test_the_device_never_waits_while_it_is_measured(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = FakeGpu((2e-4,) * 5, launch=5e-6)
    found = measured(gpu, cuda_case, monkeypatch)["energy_integrated"]
    start, end = gpu.busy[-1]  # the last stretch without a gap
    assert end - start >= 6.5  # 1.5 s to settle, 5 s measured
    assert found.flat == pytest.approx([0.3], rel=1e-3)


def test_a_launch_bound_network_takes_less_power_for_longer(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Busy 1 ms of every 2 or more, and 300 W above idle in it: 0.3 J a call all the same."""
    gpu = FakeGpu((1e-3,), launch=2e-3)
    found = measured(gpu, cuda_case, monkeypatch)["energy"]
    assert found.flat == pytest.approx([0.3], rel=0.05)
    assert found.processes[0]["loaded_watts"] < 260


@pytest.mark.parametrize(
    ("question", "metric", "other"),
    [
        ("nvmlDeviceGetTotalEnergyConsumption", "energy", "energy_integrated"),
        ("nvmlDeviceGetPowerUsage", "energy_integrated", "energy"),
    ],
)
def test_a_sensor_that_is_not_there_is_not_available_and_the_other_is_used(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch, question: str, metric: str, other: str
) -> None:
    gpu = FakeGpu((4e-3,))
    sensors = sensors_of(gpu, **{question: refusal(pynvml.NVML_ERROR_NOT_SUPPORTED)})
    found = measured(gpu, cuda_case, monkeypatch, sensors)
    assert found[metric].value is None
    assert str(found[metric].reason).startswith("not available: the driver does not tell")
    assert found[other].value == pytest.approx(1.2, rel=0.02)


def test_without_a_driver_nothing_is_built_or_called(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = FakeGpu((4e-3,))
    found = measured(gpu, cuda_case, monkeypatch, Sensors(missing="NVML says: Driver Not Loaded"))
    assert {item.reason for item in found.values()} == {
        "not available: NVML says: Driver Not Loaded"
    }
    assert (len(found), gpu.calls) == (2, 0)


def test_a_counter_that_wraps_is_not_available(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = FakeGpu((4e-3,))
    least = millijoules(gpu)
    wrapped = sensors_of(
        gpu,
        # It wraps at 1,000 J from here, in the middle of the load.
        nvmlDeviceGetTotalEnergyConsumption=lambda _: (millijoules(gpu) - least) % 1_000_000 + 1,
    )
    found = measured(gpu, cuda_case, monkeypatch, wrapped)
    assert found["energy"].reason == "not available: the energy counter ran backwards"
    assert found["energy_integrated"].value == pytest.approx(1.2, rel=1e-3)


def test_less_than_idle_is_absent_and_not_zero(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's work ended when ours began."""
    gpu = FakeGpu((4e-3,), idle_watts=200, busy_watts=150)
    found = measured(gpu, cuda_case, monkeypatch)
    assert found["energy_integrated"].reason == ("not available: 150 W under load, but 200 W idle")
    assert found["energy"].value is None


@pytest.mark.parametrize("count", [10, 250])
def test_stopped_early_both_are_absent(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """In the idle time, and under load."""
    answers: Iterator[bool] = iter([True] * count)
    found = measured(FakeGpu((4e-3,)), cuda_case, monkeypatch, beat=lambda _: next(answers, False))
    assert next(answers, None) is None  # it did get there
    assert [item.reason for item in found.values()] == [module.INTERRUPTED] * 2


def test_progress_only_grows(cuda_case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    fractions: list[float] = []
    measured(
        FakeGpu((4e-3,)),
        cuda_case,
        monkeypatch,
        beat=lambda done: fractions.append(done) is None,
    )
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < 0.01
    assert 0.98 < fractions[-1] <= 1


def test_on_the_cpu_no_sensor_is_read(case: Callable[..., Case]) -> None:
    (found,) = module.energy(case(), BUDGET, lambda _: True)
    assert found.metric == "energy"
    assert found.reason == "not available: no energy sensor is read on the CPU"
