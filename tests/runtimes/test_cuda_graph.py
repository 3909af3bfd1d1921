"""A graph on a device that poisons freed memory: what was captured lives as long as its replay."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from poisoned_gpu import PoisonedGpu
from torch import Tensor, nn

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.errors import UserError
from benchbench.inputs import make_input
from benchbench.profilers.latency import latency
from benchbench.runtimes import cuda_graph
from benchbench.runtimes.ahead import make
from benchbench.runtimes.cuda import CaptureFailed, Replay, replay
from benchbench.runtimes.equality import check_copy, overwrite_freed
from benchbench.runtimes.running import Running, prepare


class Small(nn.Module):
    """A convolution, a norm, and a buffer that every call puts another tensor in the place of."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, stride=2)
        self.norm = nn.BatchNorm2d(16)
        self.head = nn.Linear(16, 5)
        self.register_buffer("scale", torch.full((16,), 2.0))

    def forward(self, x: Tensor) -> Tensor:
        self.scale = self.scale * 1.0
        mean = self.norm(self.conv(x)).relu().mean((2, 3))
        scores: Tensor = self.head(mean * self.scale)
        return scores


@pytest.fixture
def graphed(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> Case:
    """A case of the small network under a module of its own, on what looks like a CPU."""
    module = type(pytest)("small_module")
    module.Small = Small  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "small_module", module)
    return case(target="small_module.Small", resolution=32, runtime="cuda_graph")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> PoisonedGpu:
    device = PoisonedGpu()
    monkeypatch.setattr(cuda_graph, "open_cuda", device.cuda)
    return device


def eager(case: Case, images: Tensor) -> Tensor:
    """What PyTorch makes of the same network, without any of our runtimes."""
    from benchbench.networks import build

    with torch.inference_mode():
        found: Tensor = build(case, "cpu")(images)
    return found


@pytest.mark.parametrize("how", ["running", "copied"])
def test_a_replay_reads_what_was_captured_after_all_else_is_gone(
    graphed: Case, gpu: PoisonedGpu, how: str
) -> None:
    running: Running = getattr(prepare(graphed), how)()
    gc.collect()
    running.call()
    torch.testing.assert_close(gpu.answer(), eager(graphed, make_input(graphed)))


def test_a_replay_of_any_call_holds_what_the_call_holds(graphed: Case, gpu: PoisonedGpu) -> None:
    """As `graph_time` is taken, of a runtime that is no graph itself."""
    prepared = prepare(replace(graphed, runtime="eager"))
    graph = replay(prepared.running().call, gpu.cuda(), prepared.tensors)
    del prepared
    gc.collect()
    graph()
    assert isinstance(graph.result, Tensor)
    torch.testing.assert_close(graph.result, eager(graphed, make_input(graphed)))


def test_networks_in_turn_on_ever_new_copies(graphed: Case, gpu: PoisonedGpu) -> None:
    """A driver ends a process that reads freed memory: every interleaved run died of it."""
    gpu.faults = True
    budget = BudgetSettings(
        seconds=0.02, warm_up_seconds=0.0, warm_up_limit_seconds=0.0, min_samples=3
    )
    cases = [replace(graphed, seed=seed, turn="all") for seed in (0, 1)]
    found = dict(latency(cases, budget, lambda _: True, 0))
    assert all(found[index].samples for index in (0, 1))


def test_an_answer_is_of_the_images_that_were_given_and_what_is_timed_keeps_its_own(
    graphed: Case, gpu: PoisonedGpu
) -> None:
    prepared = prepare(graphed)
    running = prepared.running()
    others = make_input(replace(graphed, seed=3))
    (answer,) = prepared.outputs(others)
    torch.testing.assert_close(answer, eager(graphed, others))
    assert running.written is not None
    running.call()
    torch.testing.assert_close(running.written()[0], eager(graphed, make_input(graphed)))


def test_the_comparison_with_eager_finds_a_replay_that_holds_nothing(
    graphed: Case, gpu: PoisonedGpu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = replace(graphed, prepared=str(tmp_path))
    make(made, tmp_path)
    check_copy(prepare(made), made)

    def forgetful(*whole: Any) -> Replay:
        return replace(replay(*whole), call=lambda: None, read=())

    monkeypatch.setattr(cuda_graph, "replay", forgetful)
    message = "runtime=cuda_graph precision=fp32 once it is copied for timing does not compute"
    with pytest.raises(UserError, match=f"{message}.*5 of its outputs are not finite"):
        check_copy(cuda_graph.prepare(made), made)


def test_a_network_that_cannot_be_captured_is_named(
    graphed: Case, gpu: PoisonedGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise CaptureFailed("no CUDA graph: operation not permitted")

    prepared = prepare(graphed)
    monkeypatch.setattr(cuda_graph, "replay", fails)
    with pytest.raises(UserError, match="runtime=cuda_graph: no CUDA graph: operation not"):
        prepared.running()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_real_device_a_copy_survives_and_freed_memory_is_overwritten(graphed: Case) -> None:
    case = replace(graphed, device="cuda")
    prepared = prepare(case)
    running = prepared.copied()
    gc.collect()
    overwrite_freed(prepared.tensors())
    running.call()
    assert running.written is not None
    (found,), expected = running.written(), eager(case, make_input(case))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
