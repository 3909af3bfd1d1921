"""Wall-clock time of a call, of one network or of several in turn: one process's share of it.

What the machine does to a process comes and goes within seconds, and where the weights of a
network come to lie in memory is worth 1 % of its time for as long as they lie there. So the
networks take turns in short blocks, in the order of Latin squares, and every so often all of them
move to fresh copies. Measured (mobilenet_v3_small against itself, one pinned thread, 5 networks in
turn, 9 processes of 1.2 s a network, on a machine whose calls took 6 to 8 ms): the ratio's spread
between processes was 0.8 to 1.7 % with blocks of 20 ms and 0.2 to 0.5 % with blocks of 5. What is
copied last tends to be faster, by up to 1 %, so every other order of copying is the one before it
in reverse.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import log
from random import Random
from statistics import fmean
from time import perf_counter
from typing import Any

from benchbench import sentinels
from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement, absent
from benchbench.profilers.beat import Beat
from benchbench.profilers.eviction import evictor
from benchbench.profilers.garbage import without_garbage_collection
from benchbench.profilers.probe import control_probe
from benchbench.profilers.stopwatch import (
    Sample,
    Stopwatch,
    calls_per_sample,
    clock_resolution,
    timer_cost,
)
from benchbench.profilers.warm_up import WarmUp, warm_up
from benchbench.runtimes.running import Prepared, Running, prepare
from benchbench.sensors import Watch, open_sensors
from benchbench.statistics.blocks import block_values
from benchbench.statistics.intervals import median_interval
from benchbench.statistics.orders import orders
from benchbench.statistics.steady import stop_reason

BLOCK_SECONDS = 0.005  # in turn: longer ones are noisier, because the machine drifts meanwhile
LONE_BLOCK_SECONDS = 0.1  # of a single network, whose only rival is the control probe
EPOCH_SECONDS = 0.2  # of each network, on one copy
CALLS_ON_A_NEW_COPY = 3
LARGEST_PADDING = 2**16  # bytes between one copy and the next, so that it lies elsewhere
FEWEST_ROUNDS = 3  # of an epoch, so that its median leaves a disturbed one out
FEWEST_EPOCHS = 4
PRECISE = 0.0025  # half width of the interval of a log ratio that is worth no more time


@dataclass
class Contestant:
    """One network of the turn, and what was measured of it."""

    prepared: Prepared
    running: Running | None
    warm_up: WarmUp
    activations: dict[str, Any] | None  # None: another process has looked at them
    copied: bool = True  # False: it cannot be copied, so it stays where it is
    calls: int = 1  # per sample
    samples: list[Sample] = field(default_factory=list)
    block_samples: list[int] = field(default_factory=list)  # how many samples each block has

    def on_new_copy(self) -> Running:
        """The network where memory has room for it now."""
        if self.copied:
            try:
                return self.prepared.copied()
            except Exception:  # noqa: BLE001 - a network may forbid it in any way
                self.copied = False
        return self.prepared.running()


@dataclass
class Turns:
    """All networks of a process, taking turns, and the fixed work beside them."""

    contestants: list[Contestant]
    stopwatch: Stopwatch
    probe: Any
    evict: Any  # None, or what throws data out of the caches before every call
    random: Random
    probe_seconds: list[float] = field(default_factory=list)
    epoch_rounds: list[int] = field(default_factory=list)
    paddings: list[bytearray] = field(default_factory=list)
    watch: Watch | None = None  # over a GPU's clock

    def block_values(self) -> list[list[float]]:
        """Seconds of each network in each round."""
        return [
            block_values([sample.own for sample in each.samples], each.block_samples)
            for each in self.contestants
        ]


def latency(
    cases: Sequence[Case], budget: BudgetSettings, beat: Beat, number: int
) -> Iterator[tuple[int, Measurement]]:
    """Host time from call to completion, the device synchronised after every sample.

    Yields measurements with the index of their case: of a single case also the time to build it
    and its first call. `number` is that of the process; orders and places follow from it.
    Cases of one `turn` take turns, and one turn comes after the other.
    """
    turns = dict.fromkeys(case.turn for case in cases)
    for done, turn in enumerate(turns):
        if done and not beat(done / len(turns)):
            return
        indices = [index for index, case in enumerate(cases) if case.turn == turn]
        found = _latency(
            [cases[index] for index in indices], budget, _part(beat, done, len(turns)), number
        )
        yield from ((indices[place], measurement) for place, measurement in found)


def _part(beat: Beat, done: int, parts: int) -> Beat:
    """The beat of one of several parts of equal length."""
    return lambda fraction: beat((done + fraction) / parts)


def _latency(
    cases: Sequence[Case], budget: BudgetSettings, beat: Beat, number: int
) -> Iterator[tuple[int, Measurement]]:
    """The same for cases that all take turns with each other."""
    prepared: Prepared | None = None
    if len(cases) == 1:
        prepared, found = _cold_start(cases[0])
        yield from ((0, measurement) for measurement in found)
    evict, evicted_bytes = evictor(cases[0]) if cases[0].cache == "cold" else (None, 0)
    stopwatch = _stopwatch(cases[0])
    # The weights are the same in every process, and to look costs dozens of networks a minute.
    looked_at = number == 0 or len(cases) == 1
    contestants = [
        _contestant(prepared or prepare(case), stopwatch, budget, beat, looked_at=looked_at)
        for case in cases
    ]
    turns = Turns(contestants, stopwatch, control_probe(cases[0]), evict, Random(number))
    turns.watch = _watch(cases[0], turns, beat)
    before = sentinels.read()
    with without_garbage_collection():
        stopped = _take_turns(turns, budget, beat, number)
    seen = sentinels.difference(before, sentinels.read(), cases[0].threads)
    shared = {
        "stopped": stopped,
        "probe": turns.probe_seconds,
        "epoch_rounds": turns.epoch_rounds,
        "sentinels": seen,
        "evicted_bytes": evicted_bytes,
        "timer_cost": timer_cost(),
        "clock_resolution": clock_resolution(),
    }
    if turns.watch is not None:
        shared["sensors"] = turns.watch.summary()
    for index, contestant in enumerate(contestants):
        yield index, _measurement(contestant, shared)
        yield from ((index, found) for found in _parts(contestant, turns, budget, beat))
    stopwatch.close()


def _stopwatch(case: Case) -> Stopwatch:
    import torch

    synchronise = torch.cuda.synchronize if case.device == "cuda" else _nothing
    return Stopwatch(synchronise, case.threads if case.device == "cpu" else 0)


def _nothing() -> None:
    """The CPU is done when the call returns."""


def _watch(case: Case, turns: Turns, beat: Beat) -> Watch | None:
    """The guard of a GPU's clock, calibrated under the first network; None for the CPU."""
    if case.device != "cuda":
        return None
    import torch

    running = turns.contestants[0].prepared.running()

    def load() -> bool:
        turns.stopwatch.time(running.call, turns.contestants[0].calls)
        return beat(0.0)

    uuid = torch.cuda.get_device_properties(case.device_index).uuid
    watch = Watch(open_sensors(str(uuid)))
    watch.calibrate(load)
    return watch


def _cold_start(case: Case) -> tuple[Prepared | None, list[Measurement]]:
    """What the first user of a fresh process waits for: the network, and its first answer.

    Eager networks are built without calibrating them, and once more for what follows.
    """
    started = perf_counter()
    prepared = prepare(case, calibrated=case.runtime != "eager")
    built = perf_counter()
    running = prepared.running()
    running.synchronise()
    called = perf_counter()
    running.call()
    running.synchronise()
    first = Measurement("cold_start", samples=((perf_counter() - called,),))
    found = [Measurement("build_time", samples=((built - started,),)), first]
    return (None if case.runtime == "eager" else prepared), found


def _contestant(
    prepared: Prepared, stopwatch: Stopwatch, budget: BudgetSettings, beat: Beat, *, looked_at: bool
) -> Contestant:
    case = prepared.case
    alive = prepared.activations() if looked_at else None
    running = prepared.running()
    curve = warm_up(running.call, stopwatch, budget, beat)
    # What throws data out of the caches does so before every sample.
    calls = 1 if case.cache == "cold" else calls_per_sample(curve.typical, timer_cost())
    return Contestant(prepared, running, curve, alive, calls=calls)


def _take_turns(turns: Turns, budget: BudgetSettings, beat: Beat, number: int) -> str:
    """Rounds on ever new copies, until precise or the budget is spent. Why it stopped."""
    rows = orders(len(turns.contestants))
    seconds = budget.seconds * len(turns.contestants)
    epoch_seconds = min(EPOCH_SECONDS * len(turns.contestants), seconds)
    started = perf_counter()
    rounds = count(number)
    for epoch in count(number):
        moved = perf_counter()
        _move(turns, _copying_order(rows, epoch))
        turns.epoch_rounds.append(0)
        begun = perf_counter()
        lasts = max(epoch_seconds, begun - moved)  # a session takes longer to make than a copy
        while perf_counter() - begun < lasts or turns.epoch_rounds[-1] < FEWEST_ROUNDS:
            spent = (perf_counter() - started) / max(seconds, 1e-9)
            if not beat(min(spent, 1.0)):
                return "interrupted"
            _round(turns, rows[next(rounds) % len(rows)])
        why = _reason_to_stop(turns, budget, perf_counter() - started >= seconds)
        if why is not None:
            return why
    raise AssertionError("epochs do not end by themselves")


def _copying_order(rows: Sequence[Sequence[int]], epoch: int) -> Sequence[int]:
    """Every other order is the one before it in reverse: what is copied last tends to be faster."""
    row = rows[epoch // 2 % len(rows)]
    return row[::-1] if epoch % 2 else row


def _move(turns: Turns, order: Sequence[int]) -> None:
    """Put every network, in this order, where memory has room for a copy of it."""
    for contestant in turns.contestants:
        contestant.running = None
    gc.collect()  # a step of training, for one, holds on to itself
    for index in order:
        turns.paddings.append(bytearray(turns.random.randrange(1, LARGEST_PADDING)))
        contestant = turns.contestants[index]
        contestant.running = contestant.on_new_copy()
        for _ in range(CALLS_ON_A_NEW_COPY):
            contestant.running.call()


def _round(turns: Turns, order: Sequence[int]) -> None:
    """One block of each network, then the control probe."""
    for index in order:
        _block(turns.contestants[index], turns)
    turns.probe_seconds.append(turns.stopwatch.time(turns.probe).own)
    turns.epoch_rounds[-1] += 1


def _block(contestant: Contestant, turns: Turns) -> None:
    """Samples for a while; all over again where the clock's guard does not accept them."""
    samples = _samples(contestant, turns)
    while turns.watch is not None and not turns.watch.accepts():
        samples = _samples(contestant, turns)
    contestant.samples += samples
    contestant.block_samples.append(len(samples))


def _samples(contestant: Contestant, turns: Turns) -> list[Sample]:
    """Samples of one block. An untimed call comes first: others have used the caches since."""
    assert contestant.running is not None
    call = contestant.running.call
    if turns.evict is None:
        call()
    begun, samples = perf_counter(), list[Sample]()
    lasts = BLOCK_SECONDS if len(turns.contestants) > 1 else LONE_BLOCK_SECONDS
    while not samples or perf_counter() - begun < lasts:
        if turns.evict is not None:
            turns.evict()
        samples.append(turns.stopwatch.time(call, contestant.calls))
    return samples


def _reason_to_stop(turns: Turns, budget: BudgetSettings, spent: bool) -> str | None:
    """Precise enough, or the budget; never before there are enough samples."""
    fewest = min(len(contestant.samples) for contestant in turns.contestants)
    if fewest < budget.min_samples:
        return None
    if len(turns.epoch_rounds) >= FEWEST_EPOCHS:
        if len(turns.contestants) == 1:
            why = stop_reason([sample.seconds for sample in turns.contestants[0].samples])
        else:
            why = "precise" if _ratios_are_precise(turns) else None
        if why is not None:
            return why
    return "budget" if spent else None


def _ratios_are_precise(turns: Turns) -> bool:
    """Whether each network's share of a round is known well enough, whatever the round was."""
    logs = [[log(value) for value in values] for values in turns.block_values()]
    means = [fmean(of_round) for of_round in zip(*logs, strict=True)]
    for values in logs:
        shares = [value - mean for value, mean in zip(values, means, strict=True)]
        interval = median_interval(shares)
        if interval is None or interval.high - interval.low > 2 * PRECISE:
            return False
    return True


def _measurement(contestant: Contestant, shared: dict[str, Any]) -> Measurement:
    if not contestant.samples:
        return absent("latency", "interrupted before the first sample")
    details = shared | {
        "warm_up": contestant.warm_up.as_dict(),
        "calls_per_sample": contestant.calls,
        "block_samples": contestant.block_samples,
        "waited_ns": [round(1e9 * sample.waited) for sample in contestant.samples],
        "copied": contestant.copied,
    }
    if contestant.activations is not None:
        details["activations"] = contestant.activations
    seconds = tuple(sample.seconds for sample in contestant.samples)
    return Measurement("latency", samples=(seconds,), details={"processes": [details]})


def _parts(
    contestant: Contestant, turns: Turns, budget: BudgetSettings, beat: Beat
) -> Iterator[Measurement]:
    """What a call does one after the other, each waited for: apart from the whole call's time."""
    running = contestant.running
    if running is None or not running.parts:
        return
    samples: dict[str, list[float]] = {name: [] for name in running.parts}
    started = perf_counter()
    enough = False
    while not enough and beat(1.0):
        for name, part in running.parts.items():
            if turns.evict is not None:
                turns.evict()
            samples[name].append(turns.stopwatch.time(part).seconds)
        done = len(samples[name])
        enough = done >= budget.min_samples and perf_counter() - started >= budget.seconds / 2
    for name, seconds in samples.items():
        if seconds:
            yield Measurement(f"{name}_time", samples=(tuple(seconds),))
