"""Timing on a CUDA device: events in a queue that is kept full, a flushed L2, captured graphs.

What is needed of torch.cuda is one NamedTuple of functions, so that a made-up device with known
durations can stand behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from benchbench.cases import Case
from benchbench.errors import first_line

if TYPE_CHECKING:
    import torch

UNKNOWN_L2_BYTES = 128 * 2**20  # more than any has yet
FASTEST_CLOCK_HERTZ = 3e9  # of a GPU whose own is unknown
CAPTURE_WARM_UP_CALLS = 3
LEAST_LEAD_SECONDS = 1e-4
MOST_LEAD_SECONDS = 0.5
MOST_CALLS = 256  # of a batch: a driver queues about a thousand launches


class Event(Protocol):
    """A mark in the device's queue: torch.cuda.Event with timing."""

    def record(self) -> None:
        """Put the mark behind all that was queued."""

    def query(self) -> bool:
        """Whether the device has come past it."""

    def synchronize(self) -> None:
        """Wait until it has."""

    def elapsed_time(self, end_event: Any) -> float:
        """Milliseconds from this mark to another."""


class Cuda(NamedTuple):
    """One CUDA device, as timing needs it."""

    uuid: str
    flush_bytes: int
    flush: Callable[[], object]  # queue a write of so many bytes: nothing else stays in the L2
    spin: Callable[[float], None]  # queue a wait of at least so many seconds
    event: Callable[[], Event]
    synchronise: Callable[[], None]
    # A call to what launches its graph, which holds no memory of the call's: `replay` does.
    capture: Callable[[Callable[[], object]], Callable[[], None]]
    clock: Callable[[], float] = perf_counter  # the host's, seconds


class Timed(NamedTuple):
    """A batch of calls: device seconds of each, and host seconds to queue them all.

    `ran_empty`: the device was let loose before all was queued, so it may have waited for the
    host, and the seconds may contain that.
    """

    seconds: list[float]
    host_seconds: float
    ran_empty: bool


class Batch(NamedTuple):
    """How many calls are queued at once, and for how long the device must wait meanwhile."""

    calls: int
    lead_seconds: float


@dataclass(frozen=True)
class Replay:
    """A call that became a CUDA graph, together with all that the graph reads and writes.

    Kernels in a graph know memory by its address alone, and a graph keeps none of it alive. What
    was captured is held here for that reason, so that it lives as long as its replay.
    """

    launch: Callable[[], None]
    call: Callable[[], object]  # holds the network and its input
    read: Sequence[torch.Tensor]  # what the network registered when it was captured
    result: object  # what the captured call returned: every launch writes there

    def __call__(self) -> None:
        """Queue the graph once."""
        self.launch()


class CaptureFailed(Exception):
    """A call that cannot become a CUDA graph."""


def open_cuda(case: Case) -> Cuda:
    """The device of a case, with a buffer twice its L2 to flush that with.

    The buffer is there from the first flush on: where nothing is flushed, it would be counted in
    the peak of memory.
    """
    import torch

    properties = torch.cuda.get_device_properties(case.device_index)
    size = flush_bytes(properties)

    @cache
    def buffer() -> torch.Tensor:
        return torch.empty(size, dtype=torch.uint8, device=case.device_name)

    # So many cycles take a second at the highest clock, and longer at any other.
    hertz = getattr(properties, "clock_rate", 0) * 1e3 or FASTEST_CLOCK_HERTZ
    return Cuda(
        uuid=str(properties.uuid),
        flush_bytes=size,
        flush=lambda: buffer().zero_(),
        spin=lambda seconds: torch.cuda._sleep(math.ceil(seconds * hertz)),
        event=lambda: torch.cuda.Event(enable_timing=True),
        synchronise=lambda: torch.cuda.synchronize(case.device_index),
        capture=capture,
    )


def flush_bytes(properties: torch._C._CudaDeviceProperties | Any) -> int:
    """Twice the L2 of a device, 256 MiB where that is unknown."""
    return 2 * (getattr(properties, "L2_cache_size", 0) or UNKNOWN_L2_BYTES)


def event_seconds(call: Callable[[], object], cuda: Cuda, batch: Batch) -> Timed:
    """Device time of each call of a batch: the host never waits until all of it is queued.

    The device spins first, so that the host gets ahead of it; each call stands between two
    events of its own, with a flush of the L2 before them.
    """
    marks = [(cuda.event(), cuda.event()) for _ in range(batch.calls)]
    lead = cuda.event()
    cuda.synchronise()
    cuda.spin(batch.lead_seconds)
    lead.record()
    started = cuda.clock()
    for start, end in marks:
        cuda.flush()
        start.record()
        call()
        end.record()
    host_seconds = cuda.clock() - started
    ran_empty = lead.query()
    cuda.synchronise()
    return Timed([start.elapsed_time(end) / 1e3 for start, end in marks], host_seconds, ran_empty)


def fit(call: Callable[[], object], cuda: Cuda, seconds: float) -> Batch:
    """A batch of so many device seconds, or as near to it as the queue's depth allows.

    A driver lets the host wait once about a thousand launches are queued. No lead is long enough
    then, and the calls are halved.
    """
    event_seconds(call, cuda, Batch(1, LEAST_LEAD_SECONDS))  # the first is not like the others
    alone = event_seconds(call, cuda, Batch(1, LEAST_LEAD_SECONDS))
    alone = event_seconds(call, cuda, _led(1, alone))
    calls = min(max(math.ceil(seconds / max(alone.seconds[0], 1e-9)), 1), MOST_CALLS)
    while True:
        batch = _led(calls, alone)
        if calls == 1 or not event_seconds(call, cuda, batch).ran_empty:
            return batch
        calls //= 2


def longer(batch: Batch, late: Timed) -> Batch:
    """The same calls with twice the lead that the host would have needed, within reason."""
    lead = max(batch.lead_seconds, 2 * late.host_seconds)
    return batch._replace(lead_seconds=min(lead, MOST_LEAD_SECONDS))


def _led(calls: int, alone: Timed) -> Batch:
    """Twice the time the host needs, because its next batch may take longer."""
    lead = 2 * calls * alone.host_seconds
    return Batch(calls, min(max(lead, LEAST_LEAD_SECONDS), MOST_LEAD_SECONDS))


def completions(call: Callable[[], object], cuda: Cuda, calls: int) -> Iterator[None]:
    """Run call after call for ever; yields whenever so many more are done.

    The next ones are queued by then: the device never waits for who listens, and never more
    than two batches stand in the queue.
    """
    ahead = _queue(call, cuda, calls)
    while True:
        done, ahead = ahead, _queue(call, cuda, calls)
        done.synchronize()
        yield


def _queue(call: Callable[[], object], cuda: Cuda, calls: int) -> Event:
    for _ in range(calls):
        call()
    event = cuda.event()
    event.record()
    return event


def replay(
    call: Callable[[], object], cuda: Cuda, reads: Callable[[], Sequence[torch.Tensor]]
) -> Replay:
    """The call as a CUDA graph: its kernels without their launches, on the same input.

    `reads` names the tensors that the call reads. It is asked right before the call is captured,
    because a network may put another tensor in the place of a buffer whenever it is called, and
    the graph goes on reading the one that was there.

    Raises:
        CaptureFailed: something in the call cannot be captured. The stream is usable all the same.
    """
    held: list[Any] = []

    def captured() -> None:
        held[:] = [reads(), call()]

    try:
        launch = cuda.capture(captured)
        return Replay(launch, call, *held)
    except RuntimeError as error:
        with suppress(RuntimeError):  # what the capture left behind shall not reach the next call
            cuda.synchronise()
        raise CaptureFailed(f"no CUDA graph: {first_line(_first(error))}") from error


def capture(call: Callable[[], object]) -> Callable[[], None]:
    """torch's capture, on a side stream that was warmed up, as its documentation wants it.

    Whoever launches the graph has to keep alive what the call reads and returns: see `Replay`.

    Raises:
        RuntimeError: what torch says. Its own context then leaves its side stream current.
    """
    import torch

    current, side = torch.cuda.current_stream(), torch.cuda.Stream()
    graph = torch.cuda.CUDAGraph()
    try:
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(CAPTURE_WARM_UP_CALLS):
                call()
        current.wait_stream(side)
        with torch.cuda.graph(graph):
            call()
    finally:
        torch.cuda.set_stream(current)
    return graph.replay


def _first(error: BaseException) -> BaseException:
    """The error that came first: ending a failed capture raises another one on top of it."""
    while error.__context__ is not None:
        error = error.__context__
    return error
