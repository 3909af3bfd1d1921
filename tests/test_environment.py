"""The fingerprint, with a GPU that is made up: no real one has run this code yet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fake_gpu import FakePrepared
from made import record

from benchbench import environment as environment_module
from benchbench.cases import Case
from benchbench.environment import (
    NOT_IN_FINGERPRINT,
    differences,
    fingerprint,
    machine_environment,
    torch_environment,
)
from benchbench.profilers import memory as memory_profiler
from benchbench.runtimes.eager import Running


def test_the_machine_is_described() -> None:
    found = machine_environment()
    assert found["machine"]["cpu"]
    assert found["machine"]["affinity"]
    assert found["machine"]["memory_bytes"] > 2**30
    assert found["packages"]["torch"].startswith("2.")


def test_variables_that_change_timings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.setenv("OMP_PROC_BIND", "close")
    monkeypatch.setenv("MY_PASSWORD", "secret")
    found = machine_environment()
    assert found["variables"]["OMP_WAIT_POLICY"] == "active"
    assert found["left_out"]["OMP_PROC_BIND"] == "close"
    assert not {"MY_PASSWORD", "OMP_PROC_BIND"} & found["variables"].keys()


def test_what_is_left_out_and_kinds_of_cores_change_no_other_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Records of machines with one kind of core keep their fingerprint."""
    monkeypatch.setattr(environment_module, "left_out", dict)
    monkeypatch.setattr(environment_module, "kinds", lambda cores: {"": cores})
    before = machine_environment()
    assert "core_kinds" not in before["machine"]
    assert "left_out" not in before
    monkeypatch.setattr(environment_module, "left_out", lambda: {"OMP_PLACES": "cores"})
    assert fingerprint(machine_environment()) == fingerprint(before)
    monkeypatch.setattr(environment_module, "kinds", lambda _: {"cpu_core": [0], "cpu_atom": [1]})
    assert differences(before, machine_environment()) == [
        'machine.core_kinds: missing / {"cpu_atom": [1], "cpu_core": [0]}'
    ]


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
    monkeypatch.setattr(memory_profiler, "prepare", lambda _, **__: FakePrepared(running))
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


@pytest.fixture
def complete(case: Callable[..., Case], gpu: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An environment with every key there can be, as it comes back from a database."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    found = machine_environment() | torch_environment(case(device="cuda"))
    found |= {"git": {"commit": "1f", "dirty": False}, "weights": {"format": "timm"}}
    return json.loads(json.dumps(found | {"fingerprint": fingerprint(found)}))


def leaves(tree: Mapping[str, Any], *above: str) -> Iterator[tuple[str, ...]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, *above, key)
        else:
            yield (*above, key)


def changed(tree: Any, path: tuple[str, ...], *value: Any) -> Any:
    """A copy with another value there, or without that key."""
    copy = deepcopy(tree)
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner.pop(path[-1])
    if value:
        inner[path[-1]] = value[0]
    return copy


def test_differences_are_exactly_what_the_fingerprint_digests(complete: Any) -> None:
    """Every key in turn gets another value, none, an empty one, or goes."""
    assert differences(complete, deepcopy(complete)) == []
    paths = list(leaves(complete))
    assert len(paths) > 40
    for path in paths:
        for value in (("another",), (None,), ({},), ([],), ()):
            other = changed(complete, path, *value)
            found = differences(complete, other)
            assert bool(found) == (fingerprint(complete) != fingerprint(other)), path
            assert all(line.startswith(".".join(path) + ": ") for line in found)
            assert len(found) <= 1
        changes = differences(complete, changed(complete, path, "another"))
        assert bool(changes) == (path[0] not in NOT_IN_FINGERPRINT), path


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"a": {"cpu": "A", "smt": "on"}}, {"a": {"cpu": "B", "smt": "on"}}, ['a.cpu: "A" / "B"']),
        ({"a": 1}, {"a": 1.0}, ["a: 1 / 1.0"]),  # equal in Python, and not when digested
        ({"a": True}, {"a": 1}, ["a: true / 1"]),
        ({"a": None}, {}, ["a: null / missing"]),
        ({"a": {}}, {}, ["a: {} / missing"]),
        ({}, {"a": {"b": 1}}, ['a: missing / {"b": 1}']),
        ({"a": ["x", "avx2", "y"]}, {"a": ["x", "y", "amx"]}, ['a: ["avx2"] / ["amx"]']),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}, ['a: ["x", "y"] / ["y", "x"]']),
        ({"a": [0, 1]}, {"a": [1]}, ["a: [0] / []"]),
        ({"b": 1, "a": 1, "git": 1}, {"b": 2, "a": 2, "git": 2}, ["a: 1 / 2", "b: 1 / 2"]),
    ],
)
def test_a_difference_shows_both_sides(one: Any, other: Any, expected: list[str]) -> None:
    assert differences(one, other) == expected
    assert fingerprint(one) != fingerprint(other)


def test_the_fingerprint_holds_nothing_that_moves(complete: Any) -> None:
    assert fingerprint(machine_environment()) == fingerprint(machine_environment())
    names = {path[-1] for path in leaves(complete)}
    assert {"turbo", "libc", "huge_pages", "cpu_quota", "interop_threads"} <= names
    assert not names & {"cpu MHz", "load", "frequency_mhz"}


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("intel_pstate/no_turbo", "0\n", "on"),
        ("intel_pstate/no_turbo", "1\n", "off"),
        ("cpufreq/boost", "1\n", "on"),
        ("cpufreq/boost", "0\n", "off"),
        ("cpufreq/boost", "?\n", None),
    ],
)
def test_turbo_as_each_driver_tells_it(
    file: str, text: str, expected: str | None, tmp_path: Path
) -> None:
    assert environment_module._turbo(tmp_path) is None
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_text(text)
    assert environment_module._turbo(tmp_path) == expected
