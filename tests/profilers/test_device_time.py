"""Device and graph time on a made-up GPU whose kernels, launches and clocks are known."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_gpu import FakeGpu, fake_nvml, refusal

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement
from benchbench.profilers import device_time as module
from benchbench.sensors import Sensors

BUDGET = BudgetSettings(seconds=0.5, warm_up_seconds=0.1, min_samples=12)


def sensors_at(clock: Callable[[], int]) -> Sensors:
    return Sensors(fake_nvml(nvmlDeviceGetClockInfo=lambda *_: clock()), "gpu")


STEADY = sensors_at(lambda: 1980)


def measured(
    gpu: FakeGpu,
    case: Case,
    monkeypatch: pytest.MonkeyPatch,
    sensors: Sensors = STEADY,
    beat: Callable[[float], bool] = lambda _: True,
) -> dict[str, Measurement]:
    monkeypatch.setattr(module, "open_cuda", gpu.cuda)
    monkeypatch.setattr(module, "open_sensors", lambda _: sensors)
    monkeypatch.setattr(module, "prepare", gpu.prepare)
    found = list(module.device_time(case, BUDGET, beat))
    assert [item.metric for item in found] == ["device_time", "graph_time"]
    return {item.metric: item for item in found}


@pytest.fixture
def cuda_case(case: Callable[..., Case]) -> Case:
    return case(device="cuda")


def test_times_of_a_network_that_is_launch_bound(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """51 kernels of 4 µs are 204 µs; to launch them takes the host 510 µs."""
    gpu = FakeGpu((4e-6,) * 51, launch=10e-6, flush=1e-3)
    found = measured(gpu, cuda_case, monkeypatch)
    for measurement in found.values():
        assert measurement.flat == pytest.approx([204e-6] * len(measurement.flat), rel=1e-6)
        assert len(measurement.samples) == 1
        assert measurement.processes[0]["queue_ran_empty"] == 0
        assert measurement.processes[0]["l2_flush_bytes"] == 2**20
        assert measurement.processes[0]["calls_per_block"] == 50  # 10 ms of them
        assert measurement.processes[0]["stopped"] == "precise enough"
        assert len(measurement.flat) == 12
        sensors = measurement.processes[0]["sensors"]
        assert (sensors["calibrated_sm_clock_mhz"], sensors["blocks_rejected"]) == (1980, 0)
        assert sensors["power_watts"] == "not available"


def test_calls_over_a_millisecond_are_samples_of_their_own(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measured(FakeGpu((1e-3, 1.6e-3)), cuda_case, monkeypatch)["device_time"]
    assert found.processes[0]["calls_per_block"] == 4
    assert found.flat == pytest.approx([2.6e-3] * 12)


def test_a_block_is_timed_again_when_the_host_was_late(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the batch is fitted, the host becomes ten times as slow; later leads are longer."""
    gpu = FakeGpu((4e-6,) * 50, launch=2e-6)

    def beat(_: float) -> bool:
        gpu.launch = 20e-6
        return True

    found = measured(gpu, cuda_case, monkeypatch, beat=beat)["device_time"]
    assert found.processes[0]["blocks_retried"] >= 2
    assert found.processes[0]["queue_ran_empty"] == 0
    assert found.flat == pytest.approx([200e-6] * len(found.flat), rel=1e-6)


def test_a_host_that_is_always_late_is_measured_and_said_to_be(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More kernels than the queue takes: no lead is long enough."""
    gpu = FakeGpu((2e-6,) * 1500, launch=5e-6, depth=1000)
    found = measured(gpu, cuda_case, monkeypatch)
    assert found["device_time"].processes[0]["queue_ran_empty"] >= 12
    assert found["device_time"].processes[0]["blocks_retried"] == 3
    assert found["graph_time"].processes[0]["queue_ran_empty"] == 0
    assert found["graph_time"].value == pytest.approx(3e-3)


class Throttled:
    """A GPU that is half as fast at half its clock, in blocks after the first that a test names."""

    def __init__(self, slow: Callable[[int], bool]) -> None:
        self.gpu = FakeGpu((2e-3,))
        self.slow = slow
        self.block = 0

    def sensors(self) -> Sensors:
        return sensors_at(self.clock)

    def clock(self) -> int:
        return 990 if self.gpu.kernels == (4e-3,) else 1980

    def beat(self, done: float) -> bool:
        """Called before every block; in the calibration nothing is done yet."""
        self.block += done > 0
        self.gpu.kernels = (4e-3,) if self.block and self.slow(self.block) else (2e-3,)
        return True


def test_throttled_blocks_are_rejected(cuda_case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third of the blocks is slow: none of their samples is kept."""
    monkeypatch.setattr(module, "_precise", lambda _: False)
    world = Throttled(lambda block: block % 3 == 0)
    found = measured(world.gpu, cuda_case, monkeypatch, world.sensors(), world.beat)["device_time"]
    assert found.flat == pytest.approx([2e-3] * len(found.flat))
    rejected = found.processes[0]["sensors"]["blocks_rejected"]
    kept = len(found.flat) / found.processes[0]["calls_per_block"]
    assert rejected == pytest.approx(kept / 2, abs=1)
    assert found.processes[0]["sensors"]["blocks_marked"] == 0


def test_three_in_a_row_and_the_rest_is_measured_at_the_lower_clock(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_precise", lambda _: False)
    world = Throttled(lambda block: block >= 4)
    found = measured(world.gpu, cuda_case, monkeypatch, world.sensors(), world.beat)["device_time"]
    sensors = found.processes[0]["sensors"]
    slow = [sample for sample in found.flat if sample > 3e-3]
    assert 0 < len(slow) < len(found.flat)
    assert sensors["blocks_rejected"] == 3
    assert len(slow) == found.processes[0]["calls_per_block"] * sensors["blocks_marked"] > 0
    assert sensors["remarks"][0].startswith("measured at 990 MHz, calibrated at 1980 MHz")


@pytest.mark.parametrize("sensors", [Sensors(missing="no driver"), Sensors(fake_nvml(), "gpu")])
def test_without_sensors_it_is_timed_all_the_same(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch, sensors: Sensors
) -> None:
    found = measured(FakeGpu((2e-3,)), cuda_case, monkeypatch, sensors)["device_time"]
    assert found.value == pytest.approx(2e-3)
    assert found.processes[0]["sensors"]["sm_clock_mhz"] == "not available"


def test_a_network_that_cannot_be_captured_has_its_device_time(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = FakeGpu((2e-3,), capture_error=RuntimeError("operation not permitted"))
    found = measured(gpu, cuda_case, monkeypatch)
    assert found["device_time"].value == pytest.approx(2e-3)
    assert found["graph_time"].value is None
    assert found["graph_time"].reason == "no CUDA graph: operation not permitted"


def beats(count: int) -> Callable[[float], bool]:
    """Go on so many times, then stop."""
    answers: Iterator[bool] = iter([True] * count)
    return lambda _: next(answers, False)


def test_stopped_in_the_warm_up_both_are_absent(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measured(FakeGpu((2e-3,)), cuda_case, monkeypatch, beat=beats(2))
    assert {item.value for item in found.values()} == {None}
    assert all("interrupted" in str(item.reason) for item in found.values())
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_samples_that_differ_are_taken_until_the_budget_ends(
    cuda_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls of 2.00, 2.02 ... 4.00 ms, mixed: the median's interval stays wide."""
    gpu = FakeGpu(())

    def call() -> None:
        gpu.calls += 1
        gpu.queue(2e-3 + 2e-5 * (37 * gpu.calls % 101))

    monkeypatch.setattr(gpu, "call", call)
    started = gpu.now
    fractions: list[float] = []
    found = measured(gpu, cuda_case, monkeypatch, beat=lambda done: fractions.append(done) is None)[
        "device_time"
    ]
    assert found.processes[0]["stopped"] == "at the end of the budget"
    assert found.value == pytest.approx(3e-3, rel=0.05)
    assert fractions == sorted(fractions)
    assert gpu.now - started > 0.5


def test_on_the_cpu_there_is_neither(case: Callable[..., Case]) -> None:
    assert list(module.device_time(case(), BUDGET, lambda _: True)) == []


def test_launch_bound_is_a_ratio_or_nothing() -> None:
    """Published for mobilenet_v2 at batch 1: 8.0 ms of latency; say 1.6 ms of kernels."""
    assert module.launch_bound(8.0e-3, 1.6e-3) == pytest.approx(5)
    assert module.launch_bound(8.0e-3, 0.0) is None


def test_a_refusing_clock_is_no_clock(cuda_case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, Any] = {"nvmlDeviceGetClockInfo": refusal()}
    found = measured(
        FakeGpu((2e-3,)), cuda_case, monkeypatch, Sensors(fake_nvml(**answers), "gpu")
    )["graph_time"]
    assert found.processes[0]["sensors"]["clock_settled"] == "not available"
