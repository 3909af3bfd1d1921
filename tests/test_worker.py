"""Processes that measure: what they send, how they fail, and that none is left behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchbench.cases import Case
from benchbench.config import BudgetSettings, ProfilerSettings
from benchbench.cores import cores, measured_cores
from benchbench.errors import UserError
from benchbench.measure import measure
from benchbench.processes import Interrupted
from benchbench.worker import Work, explain, is_out_of_memory, run

BRIEF = BudgetSettings(
    name="brief",
    processes=1,
    seconds=0.05,
    warm_up_seconds=0.0,
    warm_up_limit_seconds=0.1,
    min_samples=7,
)


def quiet(name: str, fraction: float) -> None:
    """No progress bar."""


def nobody(index: int, result: object) -> None:
    """Whom results do not interest."""


def test_a_profile_from_counts_to_memory(case: Callable[..., Case]) -> None:
    everything = ProfilerSettings(complexity=True, fvcore=True, latency=True, memory=True)
    seen: list[tuple[str, float]] = []
    (measured,) = measure([case()], everything, BRIEF, lambda *beat: seen.append(beat))
    by_name = {m.metric: m for m in measured.measurements}
    assert {"params", "flops_fvcore", "peak_memory", "peak_memory_kernel"} <= by_name.keys()
    latency = by_name["latency"]
    assert len(latency.flat) >= 7
    (process,) = latency.processes
    assert process["calls_per_sample"] >= 1
    assert process["core"] in cores()  # one thread has one core for itself
    assert process["activations"]["problems"] == []
    assert by_name["cold_start"].value > 0
    # At least the weights and the input are resident: 3,504,872 parameters of 4 bytes.
    assert by_name["peak_memory"].value > 4 * 3_504_872
    assert measured.environment["torch"]["threads"] == 1
    assert {"complexity", "latency", "fvcore", "memory"} == {name for name, _ in seen}
    assert not psutil.Process().children(recursive=True)[1:]  # multiprocessing keeps a tracker


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_set_before_torch_is_there(
    case: Callable[..., Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    (tmp_path / "threads.py").write_text(
        "import os, pathlib, torch\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        found = os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS']\n"
        "        pathlib.Path('seen').write_text(f'{found} {torch.get_num_threads()}')\n"
        "        return x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    received: list[Any] = []
    work = Work((case(target="threads.Net", threads=threads),), ("latency",), BRIEF)
    run(work, quiet, lambda _, result: received.append(result))
    assert Path("seen").read_text() == f"('{threads}', '{threads}') {threads}"
    assert received[0]["torch"]["threads"] == threads
    latency = next(item for item in received if getattr(item, "metric", "") == "latency")
    (process,) = latency.processes
    placed = process.get("cores") or [process["core"]]
    assert len(placed) >= threads
    assert {*placed} <= {*measured_cores(cores(), threads)}


def test_a_network_that_sets_its_threads_is_refused(
    case: Callable[..., Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record would say one thread."""
    (tmp_path / "greedily.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        torch.set_num_threads(2)\n"
        "        return x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="threads=1: model=mine sets torch's number of threads"):
        run(Work((case(name="mine", target="greedily.Net"),), ("latency",), BRIEF), quiet, nobody)


def test_fvcore_is_left_out_where_it_would_take_minutes(case: Callable[..., Case]) -> None:
    """MobileNetV2 at 64 pixels has 24.6 M multiply-adds: 3,000 images are over 50 G."""
    both = ProfilerSettings(complexity=True, fvcore=True)
    (measured,) = measure([case(batch_size=3000)], both, BRIEF, quiet)
    found = next(m for m in measured.measurements if m.metric == "flops_fvcore")
    assert found.value is None
    assert "50 G" in str(found.reason)


def test_an_allocator_that_refuses_is_one_line(case: Callable[..., Case]) -> None:
    """602 TB of input."""
    with pytest.raises(UserError, match="not enough memory on cpu for batch_size=1000000000") as e:
        run(Work((case(batch_size=10**9),), ("latency",), BRIEF), quiet, nobody)
    assert "\n" not in str(e.value)


def kill_children_soon(number: int) -> threading.Thread:
    """Send a signal to the worker, as the kernel does when memory runs out."""

    def kill() -> None:
        for _ in range(200):
            for child in psutil.Process().children():
                if "spawn_main" in " ".join(child.cmdline()):
                    time.sleep(0.5)
                    os.kill(child.pid, number)
                    return
            time.sleep(0.05)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGKILL, "memory ran out; try a smaller batch_size"),
        (signal.SIGSEGV, "exit code -11"),
    ],
)
def test_a_killed_worker_is_an_error_that_says_so(
    case: Callable[..., Case], number: int, message: str
) -> None:
    endless = BudgetSettings(seconds=600.0, min_samples=10**9)
    thread = kill_children_soon(number)
    with pytest.raises(UserError, match=message):
        run(Work((case(),), ("latency",), endless), quiet, nobody)
    thread.join()


def test_a_worker_killed_beside_its_sampler_is_still_one_line(
    case: Callable[..., Case],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The sampler of memory-profiler outlives the worker a moment, and must not be heard."""
    (tmp_path / "greedy.py").write_text(
        "import os, signal, time, torch\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        time.sleep(0.1)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="memory ran out"):
        run(Work((case(target="greedy.Net"),), ("memory",), BRIEF), quiet, nobody)
    time.sleep(1.0)
    assert capfd.readouterr().err == ""


def test_a_network_that_fails_when_it_runs_is_named(
    case: Callable[..., Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It prints, too: into the child's stderr, never into the parent's stdout."""
    (tmp_path / "failing.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        print('noise')\n"
        "        raise RuntimeError('first line\\nsecond line')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError) as raised:
        run(Work((case(name="mine", target="failing.Net"),), ("latency",), BRIEF), quiet, nobody)
    assert str(raised.value) == "model=mine failed on cpu: RuntimeError: first line"


def test_ctrl_c_keeps_what_was_measured(case: Callable[..., Case]) -> None:
    """The main thread is interrupted while it waits; the child hands over its samples."""
    received: list[Any] = []
    started = threading.Event()

    def progress(name: str, fraction: float) -> None:
        if fraction > 0 and not started.is_set():
            started.set()
            threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()

    work = Work((case(),), ("latency",), BudgetSettings(seconds=600.0, min_samples=10**9))
    with pytest.raises(Interrupted):
        run(work, progress, lambda _, result: received.append(result))
    (latency,) = (item for item in received if getattr(item, "metric", "") == "latency")
    assert latency.flat


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_which_errors_mean_that_memory_ran_out(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_cuda_out_of_memory_names_the_value_to_change(case: Callable[..., Case]) -> None:
    line = explain(
        OutOfMemoryError("CUDA out of memory.\nmore"), case(device="cuda", batch_size=64)
    )
    assert line == (
        "not enough memory on cuda:0 for batch_size=64 resolution=64 of mobilenet_v2: "
        "CUDA out of memory."
    )
