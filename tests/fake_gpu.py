"""A GPU whose every duration is known, and a driver that says what a test wants it to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import pynvml

from benchbench.cases import Case
from benchbench.runtimes.cuda import Cuda
from benchbench.runtimes.eager import Running

QUESTIONS = (
    "nvmlDeviceGetClockInfo",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetTotalEnergyConsumption",
    "nvmlDeviceGetTemperature",
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetCurrentClocksThrottleReasons",
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetComputeRunningProcesses",
    "nvmlDeviceGetGraphicsRunningProcesses",
)


def refusal(code: int = pynvml.NVML_ERROR_NOT_SUPPORTED) -> Callable[..., Any]:
    """A question that the driver does not answer."""

    def refuse(*_: Any) -> Any:
        raise pynvml.NVMLError(code)

    return refuse


def fake_nvml(**answers: Callable[..., Any]) -> Any:
    """NVML with these answers, which get what the question is about; it refuses all others."""
    known: dict[str, Any] = {question: refusal() for question in QUESTIONS}
    known |= {"nvmlInit": lambda: None, "nvmlDeviceGetHandleByUUID": lambda uuid: uuid}
    return SimpleNamespace(NVMLError=pynvml.NVMLError, **(known | answers))


class FakePrepared(NamedTuple):
    """What `prepare` gives, as far as the profilers of a GPU ask for it."""

    made: Running

    def running(self) -> Running:
        return self.made

    def tensors(self) -> list[Any]:
        return []


@dataclass
class FakeEvent:
    """A mark that the device passes when it has done all that was queued before."""

    gpu: FakeGpu
    at: float = float("nan")

    def record(self) -> None:
        self.at = self.gpu.queue(0.0)

    def query(self) -> bool:
        return self.gpu.now >= self.at

    def synchronize(self) -> None:
        self.gpu.now = max(self.gpu.now, self.at)

    def elapsed_time(self, end_event: FakeEvent) -> float:
        return 1e3 * (end_event.at - self.at)


@dataclass
class FakeGpu:
    """The host needs `launch` seconds to queue a kernel; the device runs one after the other."""

    kernels: Sequence[float]  # seconds of each in a call
    launch: float = 5e-6
    flush: float = 5e-5
    depth: int = 10**9  # launches that can wait; the next one blocks the host
    idle_watts: float = 100.0
    busy_watts: float = 400.0
    capture_error: RuntimeError | None = None
    now: float = 1000.0  # the host's clock
    ends: list[float] = field(default_factory=list)  # of everything queued
    busy: list[tuple[float, float]] = field(default_factory=list)  # from, to
    calls: int = 0
    _captured: list[float] | None = None

    def queue(self, seconds: float) -> float:
        """Launch something that takes so long; returns when it will be done."""
        if self._captured is not None:
            self._captured.append(seconds)
            return self.now
        if len(self.ends) >= self.depth:
            self.now = max(self.now, self.ends[-self.depth])
        self.now += self.launch
        start = max(self.now, self.ends[-1] if self.ends else 0.0)
        self.ends.append(start + seconds)
        if seconds and self.busy and self.busy[-1][1] == start:
            self.busy[-1] = (self.busy[-1][0], start + seconds)
        elif seconds:
            self.busy.append((start, start + seconds))
        return start + seconds

    def call(self) -> None:
        self.calls += 1
        for seconds in self.kernels:
            self.queue(seconds)

    def synchronise(self) -> None:
        self.now = max(self.now, self.ends[-1] if self.ends else 0.0)

    def capture(self, call: Callable[[], object]) -> Callable[[], None]:
        if self.capture_error is not None:
            raise self.capture_error
        self._captured = []
        call()
        total, self._captured = sum(self._captured), None

        def launch_all() -> None:
            self.queue(total)

        return launch_all

    def cuda(self, case: Case | None = None) -> Cuda:
        """What benchbench sees of it."""
        return Cuda(
            uuid="GPU-1",
            flush_bytes=2**20,
            flush=lambda: self.queue(self.flush),
            spin=self.queue,
            event=lambda: FakeEvent(self),
            synchronise=self.synchronise,
            capture=self.capture,
            clock=lambda: self.now,
        )

    def prepare(self, case: Case) -> FakePrepared:
        return FakePrepared(Running(self.call, self.synchronise))

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def joules(self, now: float) -> float:
        """What it took from second 0 on."""
        busy = sum(max(0.0, min(end, now) - start) for start, end in self.busy)
        return self.idle_watts * now + (self.busy_watts - self.idle_watts) * busy

    def watts(self) -> float:
        busy = bool(self.busy) and self.busy[-1][0] <= self.now < self.busy[-1][1]
        return self.busy_watts if busy else self.idle_watts
