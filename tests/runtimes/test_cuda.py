"""Event timing on a made-up device: what it was told to take is what must come out."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace, TracebackType
from typing import Any

import pytest
import torch
from fake_gpu import FakeGpu

from benchbench.cases import Case
from benchbench.runtimes.cuda import (
    MOST_LEAD_SECONDS,
    Batch,
    CaptureFailed,
    Timed,
    capture,
    completions,
    event_seconds,
    fit,
    flush_bytes,
    longer,
    open_cuda,
    replay,
)

KERNELS = (2e-6, 3e-6, 1e-6)  # 6 µs a call, which the host needs 15 µs to launch


def test_device_time_has_neither_the_flush_nor_the_hosts_gaps() -> None:
    gpu = FakeGpu(KERNELS, launch=5e-6, flush=1e-3)
    found = event_seconds(gpu.call, gpu.cuda(), Batch(4, lead_seconds=1e-3))
    assert found.seconds == pytest.approx([6e-6] * 4, rel=1e-3)
    assert not found.ran_empty
    # A flush, three kernels and two marks a call; the lead's mark was before.
    assert found.host_seconds == pytest.approx(4 * 6 * 5e-6)


def test_without_a_lead_the_hosts_gaps_are_in_it_and_it_says_so() -> None:
    """The same device, let loose at once: each kernel waits for its launch."""
    gpu = FakeGpu(KERNELS, launch=5e-6, flush=0.0)
    found = event_seconds(gpu.call, gpu.cuda(), Batch(4, lead_seconds=0.0))
    assert min(found.seconds) > 15e-6
    assert found.ran_empty


def test_a_lead_is_too_short_when_the_host_takes_longer() -> None:
    gpu = FakeGpu(KERNELS, launch=5e-6)
    needed = 4 * 6 * 5e-6
    assert event_seconds(gpu.call, gpu.cuda(), Batch(4, 0.9 * needed)).ran_empty
    assert not event_seconds(gpu.call, gpu.cuda(), Batch(4, 1.1 * needed)).ran_empty


def test_every_call_has_a_time_of_its_own() -> None:
    gpu = FakeGpu(())
    lengths = iter([3e-3, 1e-3, 2e-3])
    found = event_seconds(lambda: gpu.queue(next(lengths)), gpu.cuda(), Batch(3, 1e-3))
    assert found.seconds == pytest.approx([3e-3, 1e-3, 2e-3])


@pytest.mark.parametrize(
    ("kernels", "calls"),
    [((1e-3,) * 3, 4), ((7e-5,) * 3, 48), ((1e-6,), 256), ((1.0,), 1)],
)
def test_a_batch_of_ten_milliseconds(kernels: tuple[float, ...], calls: int) -> None:
    """Four calls of 3 ms, 48 of 0.21 ms, the most there are of 1 µs, one of a second."""
    gpu = FakeGpu(kernels)
    batch = fit(gpu.call, gpu.cuda(), 0.01)
    assert batch.calls == calls
    assert not event_seconds(gpu.call, gpu.cuda(), batch).ran_empty


def test_a_queue_of_limited_depth_gets_fewer_calls() -> None:
    """300 kernels a call and room for 1000 launches: three calls and their flushes fit."""
    gpu = FakeGpu((2e-6,) * 300, depth=1000)
    batch = fit(gpu.call, gpu.cuda(), 0.01)
    assert batch.calls in (2, 3)  # of 17 that make up 10 ms, halved
    found = event_seconds(gpu.call, gpu.cuda(), batch)
    assert not found.ran_empty
    assert found.seconds == pytest.approx([600e-6] * batch.calls)


def test_a_call_that_alone_is_too_much_for_the_queue_is_said_to_be() -> None:
    gpu = FakeGpu((2e-6,) * 1500, launch=5e-6, depth=1000)
    batch = fit(gpu.call, gpu.cuda(), 0.01)
    assert batch.calls == 1
    assert event_seconds(gpu.call, gpu.cuda(), batch).ran_empty


@pytest.mark.parametrize(
    ("lead", "needed", "expected"), [(0.01, 0.03, 0.06), (0.4, 0.3, MOST_LEAD_SECONDS)]
)
def test_a_lead_is_twice_what_the_host_needed_within_reason(
    lead: float, needed: float, expected: float
) -> None:
    late = Timed([1.0] * 3, host_seconds=needed, ran_empty=True)
    assert longer(Batch(3, lead), late) == Batch(3, expected)


def test_a_graph_is_its_kernels_and_one_launch() -> None:
    gpu = FakeGpu(KERNELS, launch=5e-6)
    graph = replay(gpu.call, gpu.cuda(), list)
    calls = gpu.calls
    found = event_seconds(graph, gpu.cuda(), Batch(10, 1e-3))
    assert found.seconds == pytest.approx([6e-6] * 10, rel=1e-3)
    assert found.host_seconds == pytest.approx(10 * 4 * 5e-6)
    assert gpu.calls == calls  # the network itself is not called again


def test_a_call_that_cannot_be_captured_says_what_stopped_it() -> None:
    """torch ends the broken capture with an error of its own, on top of the one that matters."""
    cause = RuntimeError("operation not permitted when stream is capturing\nmore")
    error = RuntimeError("capture_end failed")
    error.__context__ = cause
    gpu = FakeGpu(KERNELS, capture_error=error)
    with pytest.raises(CaptureFailed) as raised:
        replay(gpu.call, gpu.cuda(), list)
    assert str(raised.value) == ("no CUDA graph: operation not permitted when stream is capturing")
    again = event_seconds(gpu.call, gpu.cuda(), Batch(1, 1e-3))
    assert again.seconds == pytest.approx([6e-6], rel=1e-3)


class Torch:
    """torch's streams and graphs: leaving a failed capture raises and restores no stream."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.current = "main"
        self.replayed = 0
        stream = SimpleNamespace(wait_stream=lambda _: None)
        main = SimpleNamespace(name="main", wait_stream=lambda _: None)
        graph = SimpleNamespace(replay=self._replay)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: main)
        monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: graph)
        monkeypatch.setattr(torch.cuda, "stream", lambda _: Entered(self, "side", "main"))
        monkeypatch.setattr(torch.cuda, "graph", lambda _: Entered(self, "capturing", "main"))
        monkeypatch.setattr(torch.cuda, "set_stream", self._set_stream)

    def _replay(self) -> None:
        self.replayed += 1

    def _set_stream(self, stream: Any) -> None:
        self.current = stream.name


class Entered:
    def __init__(self, world: Torch, inside: str, after: str) -> None:
        self.world, self.inside, self.after = world, inside, after

    def __enter__(self) -> None:
        self.world.current = self.inside

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self.inside == "capturing":
            raise RuntimeError("the capture was invalidated")
        self.world.current = self.after


def test_capture_warms_up_on_a_side_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Torch(monkeypatch)
    where: list[str] = []
    graph = capture(lambda: where.append(world.current))
    assert where == ["side"] * 3 + ["capturing"]
    graph()
    assert (world.replayed, len(where), world.current) == (1, 4, "main")


def test_a_failed_capture_leaves_the_stream_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Torch(monkeypatch)

    def call() -> None:
        if world.current == "capturing":
            raise RuntimeError("a number was asked for")

    with pytest.raises(RuntimeError):
        capture(call)
    assert world.current == "main"


def test_batches_follow_each_other_without_a_gap_and_never_three_at_once() -> None:
    gpu = FakeGpu((1e-3,), launch=5e-6)
    done = completions(gpu.call, gpu.cuda(), 10)
    started = gpu.now
    for number in range(1, 51):
        next(done)
        gpu.now += 2e-3  # who listens takes his time, but less than a batch
        assert gpu.calls == 10 * (number + 1)
    assert len(gpu.busy) == 1  # never idle
    assert gpu.ends[-1] - started == pytest.approx(51 * 10e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (SimpleNamespace(L2_cache_size=50 * 2**20), 100 * 2**20),
        (SimpleNamespace(L2_cache_size=0), 256 * 2**20),
        (SimpleNamespace(), 256 * 2**20),
    ],
)
def test_the_flush_is_twice_the_l2(properties: Any, expected: int) -> None:
    assert flush_bytes(properties) == expected


def test_a_device_is_opened_with_its_buffer_and_its_clock(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spin of a millisecond at 1980 MHz is 1.98 million cycles."""
    properties = SimpleNamespace(uuid="1-2", L2_cache_size=1000, clock_rate=1_980_000)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    buffer = torch.ones(2000, dtype=torch.uint8)
    sizes: list[int] = []
    monkeypatch.setattr(torch, "empty", lambda size, **_: (sizes.append(size), buffer)[1])
    cycles: list[int] = []
    monkeypatch.setattr(torch.cuda, "_sleep", cycles.append)
    cuda = open_cuda(case(device="cuda"))
    assert sizes == []  # a graph is captured without it, and so is its peak of memory
    cuda.flush()
    cuda.flush()
    cuda.spin(1e-3)
    assert (cuda.uuid, cuda.flush_bytes, sizes) == ("1-2", 2000, [2000])
    assert not buffer.any()
    assert cycles == [1_980_000]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_real_device_a_failed_capture_does_no_harm(case: Callable[..., Case]) -> None:
    cuda = open_cuda(case(device="cuda"))
    ones = torch.ones(1024, 1024, device="cuda")
    before = torch.cuda.current_stream()
    with pytest.raises(CaptureFailed):
        replay(lambda: (ones @ ones).sum().item(), cuda, list)
    assert torch.cuda.current_stream() == before
    assert float((ones @ ones)[0, 0]) == 1024


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_real_device_the_queue_is_kept_full_and_a_graph_replays(
    case: Callable[..., Case],
) -> None:
    cuda = open_cuda(case(device="cuda"))
    counter = torch.zeros(2**20, device="cuda")

    def call() -> None:
        for _ in range(20):
            counter.add_(1)

    for timed in (call, replay(call, cuda, list)):
        found = event_seconds(timed, cuda, fit(timed, cuda, 0.01))
        assert not found.ran_empty
        assert min(found.seconds) > 0
    before = float(counter[0])
    replay(call, cuda, list)()  # three calls to warm up, one that is only captured, one replay
    assert float(counter[0]) == before + 4 * 20
