"""Two times of a CUDA device: with the queue kept full, and replayed as a CUDA graph.

Neither contains the host's launches, as `latency` does; its ratio to `graph_time` says how much
of what a user waits for they are. The L2 is flushed before every call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import fmean

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement, absent
from benchbench.profilers.beat import Beat
from benchbench.profilers.garbage import without_garbage_collection
from benchbench.runtimes.cuda import (
    Batch,
    CaptureFailed,
    Cuda,
    Timed,
    event_seconds,
    fit,
    longer,
    open_cuda,
    replay,
)
from benchbench.runtimes.running import prepare
from benchbench.sensors import Sensors, Watch, open_sensors
from benchbench.statistics.intervals import median_interval

BLOCK_SECONDS = 1e-2  # of device time: a thousand times an event's 0.5 µs would be 0.5 ms
SHORTEST_SAMPLE = 1e-3  # seconds: shorter calls give a sample a block
PRECISION = 0.01  # of the median, to either side
MOST_RETRIES = 3  # in a row, of blocks during which the device may have waited for the host
INTERRUPTED = "interrupted before the first block was done"


@dataclass
class Blocks:
    """What the blocks of one metric gave so far."""

    batch: Batch
    samples: list[float] = field(default_factory=list)  # seconds
    retried: int = 0
    ran_empty: int = 0  # kept all the same
    stopped: str = "interrupted"
    _in_a_row: int = 0

    def take(self, timed: Timed, watch: Watch) -> None:
        """Keep a block, unless the host was late or the clock low and that may yet change."""
        if timed.ran_empty and self._in_a_row < MOST_RETRIES:
            # Once may be a hiccup of the host's; more often, its lead is too short.
            self.batch = longer(self.batch, timed) if self._in_a_row else self.batch
            self._in_a_row += 1
            self.retried += 1
            return
        if not timed.ran_empty:
            self._in_a_row = 0
        if watch.accepts():
            self.ran_empty += timed.ran_empty
            mean = fmean(timed.seconds)
            self.samples += timed.seconds if mean >= SHORTEST_SAMPLE else [mean]


def device_time(case: Case, budget: BudgetSettings, beat: Beat) -> Iterator[Measurement]:
    """`device_time` and `graph_time`; nothing at all on a device that is not CUDA."""
    if case.device != "cuda":
        return
    cuda = open_cuda(case)
    sensors = open_sensors(cuda.uuid)
    prepared = prepare(case)
    call = prepared.running().call
    yield _measured("device_time", call, cuda, sensors, budget, lambda done: beat(done / 2))
    if not beat(0.5):
        yield absent("graph_time", INTERRUPTED)
        return
    try:
        graph = replay(call, cuda, prepared.tensors)
    except CaptureFailed as failed:
        yield absent("graph_time", str(failed))
        return
    yield _measured("graph_time", graph, cuda, sensors, budget, lambda done: beat(0.5 + done / 2))


def launch_bound(latency_seconds: float, graph_seconds: float) -> float | None:
    """How many times longer a user waits than the kernels alone take; None if they take no time.

    Of the medians of one process: at 1 the device is always busy, at 3 two thirds are launches.
    """
    return latency_seconds / graph_seconds if graph_seconds > 0 else None


def _measured(
    metric: str,
    call: Callable[[], object],
    cuda: Cuda,
    sensors: Sensors,
    budget: BudgetSettings,
    beat: Beat,
) -> Measurement:
    """Blocks of a call, at the clock that the GPU settles at under just these blocks."""
    blocks = Blocks(fit(call, cuda, BLOCK_SECONDS))
    watch = Watch(sensors)

    def load() -> bool:
        event_seconds(call, cuda, blocks.batch)
        return beat(0.0)

    with without_garbage_collection():
        watch.calibrate(load, clock=cuda.clock)
        _fill(blocks, call, cuda, watch, budget, beat)
    if not blocks.samples:
        return absent(metric, INTERRUPTED)
    details = {
        "l2_flush_bytes": cuda.flush_bytes,
        "calls_per_block": blocks.batch.calls,
        "lead_seconds": blocks.batch.lead_seconds,
        "blocks_retried": blocks.retried,
        "queue_ran_empty": blocks.ran_empty,
        "stopped": blocks.stopped,
        "sensors": watch.summary(),
    }
    return Measurement(metric, samples=(tuple(blocks.samples),), details={"processes": [details]})


def _fill(
    blocks: Blocks,
    call: Callable[[], object],
    cuda: Cuda,
    watch: Watch,
    budget: BudgetSettings,
    beat: Beat,
) -> None:
    """Time blocks until they say enough, or for the budget's time and at least its samples."""
    started = cuda.clock()
    done = 0.0
    while beat(min(done, 1.0)):
        blocks.take(event_seconds(call, cuda, blocks.batch), watch)
        spent = (cuda.clock() - started) / max(budget.seconds, 1e-9)
        done = min(spent, len(blocks.samples) / max(budget.min_samples, 1))
        if len(blocks.samples) >= budget.min_samples and _precise(blocks.samples):
            blocks.stopped = "precise enough"
            return
        if done >= 1:
            blocks.stopped = "at the end of the budget"
            return


def _precise(samples: list[float]) -> bool:
    """Whether the 95 % interval of this process's median is within 1 % of its middle."""
    interval = median_interval(samples)
    if interval is None:
        return False
    middle = (interval.low + interval.high) / 2
    return interval.high - middle <= PRECISION * middle
