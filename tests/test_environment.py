"""The fingerprint, with a GPU that is made up: no real one has run this code yet."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchbench.cases import Case
from benchbench.environment import machine_environment, torch_environment
from benchbench.profilers import memory as memory_profiler
from benchbench.records import record
from benchbench.runtimes.eager import Running


def test_the_machine_is_described() -> None:
    found = machine_environment()
    assert found["machine"]["cpu"]
    assert found["machine"]["affinity"]
    assert found["machine"]["memory_bytes"] > 2**30
    assert found["packages"]["torch"].startswith("2.")


def test_variables_that_change_timings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_PROC_BIND", "true")
    monkeypatch.setenv("MY_PASSWORD", "secret")
    found = machine_environment()["variables"]
    assert found["OMP_PROC_BIND"] == "true"
    assert "MY_PASSWORD" not in found


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """One GPU as torch describes it; NVML knows nothing of it."""
    properties = SimpleNamespace(
        name="Imaginary GPU", total_memory=8 * 2**30, major=9, minor=0, uuid="0000-11"
    )
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)


@pytest.mark.usefixtures("gpu")
def test_a_gpu_is_described_and_what_nvml_does_not_tell_is_none(
    case: Callable[..., Case],
) -> None:
    found = torch_environment(case(device="cuda"))
    assert found["gpu"]["name"] == "Imaginary GPU"
    assert found["gpu"]["compute_capability"] == "9.0"
    assert found["gpu"]["power_limit_watts"] is None
    assert found["gpu"]["driver"] is None
    assert "cudnn_allow_tf32" in found["torch"]


def test_nvml_answers_question_by_question(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, gpu: None
) -> None:
    """A driver that does not tell the power limit still tells its version and clock."""
    import pynvml

    def refuse(_: Any) -> int:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", lambda uuid: uuid)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetPowerManagementLimit", refuse)
    monkeypatch.setattr(pynvml, "nvmlSystemGetDriverVersion", lambda: "580.1")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMaxClockInfo", lambda *_: 1980)
    found = torch_environment(case(device="cuda"))["gpu"]
    assert (found["driver"], found["power_limit_watts"], found["maximum_clock_mhz"]) == (
        *("580.1", None),
        1980,
    )
    monkeypatch.setattr(pynvml, "nvmlDeviceGetPowerManagementLimit", lambda _: 700_000)
    assert torch_environment(case(device="cuda"))["gpu"]["power_limit_watts"] == 700


def test_peak_on_cuda_is_the_allocators(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, torch.device]] = []

    def answer(name: str, value: int = 0) -> Callable[[torch.device], int]:
        def ask(device: torch.device) -> int:
            asked.append((name, device))
            return value

        return ask

    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", answer("reset"))
    monkeypatch.setattr(torch.cuda, "synchronize", answer("synchronise"))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", answer("allocated", 123))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", answer("reserved", 456))
    calls: list[int] = []
    running = Running(lambda: calls.append(1), lambda: None)
    monkeypatch.setattr(memory_profiler, "prepare", lambda _: running)
    monkeypatch.setattr(memory_profiler, "SECONDS", 0.001)
    from benchbench.config import BudgetSettings

    two = case(device="cuda", device_index=2)
    found = list(memory_profiler.memory(two, BudgetSettings(), lambda _: True))
    assert {m.metric: m.value for m in found} == {"peak_memory": 123, "peak_memory_reserved": 456}
    assert [name for name, _ in asked] == ["reset", "synchronise", "allocated", "reserved"]
    assert {str(device) for _, device in asked} == {"cuda:2"}
    assert calls


@pytest.mark.usefixtures("gpu")
def test_a_record_is_called_after_the_gpu_and_not_after_the_cpu(case: Callable[..., Case]) -> None:
    from benchbench.measure import Measured
    from benchbench.measurements import exact

    cuda = case(device="cuda")
    measured = Measured(cuda, machine_environment(), [exact("params", 1)])
    cpu = measured.environment["machine"]["cpu"]
    assert record(measured, task="profile", settings={}, command="").device_name != cpu
    measured.receive(torch_environment(cuda))
    assert record(measured, task="profile", settings={}, command="").device_name == "Imaginary GPU"
