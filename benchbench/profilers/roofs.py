"""What the device reaches at most, measured: never a data sheet's figure.

A roof has to bound every kernel of a network, so each is the fastest block of the fastest
probe. Interference only ever slows a block down, and what was reached once can be reached:
a median would be a bound that networks beat on a quiet minute.

- `peak_multiply_adds`: square matrix products in the case's element type and threads. A
  convolution by Winograd's algorithm (arXiv:1509.09308) multiplies less often than counted, up
  to 2.25 times less for 3x3 filters, so it may lie above this roof.
- `peak_bandwidth`: bytes read and written, copying a buffer or reading two (a dot product), at the
  best of many sizes. Light networks live in caches: where the second-level cache copied
  85 GB/s and read 150, the third level read 28 and memory 15, so any one size would be a roof
  under which some kernels do not fit. For a network that really streams from memory the roof is
  far away.
- `launch_cost`: seconds of an operator that does nothing worth mentioning, called from Python.
  It is an estimate and no bound, so all its blocks are kept and their median stands for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter, perf_counter_ns
from typing import NamedTuple

import torch

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.errors import first_line
from benchbench.measurements import Measurement, absent
from benchbench.profilers.beat import Beat
from benchbench.runtimes.formats import dtype

GEMM_SIZES = {"cpu": (512, 1024, 2048), "cuda": (4096, 8192)}  # rows and columns
BUFFER_KIBIBYTES = {
    "cpu": (64, 256, 512, 1024, 4096, 16384, 65536),
    "cuda": (1024, 4096, 16384, 65536, 262144),
}
BLOCK_SECONDS = 0.01  # long enough for the clock, and for the device to keep up the pace
GEMM_SECONDS = 0.2  # of blocks, by probe
OTHER_SECONDS = 0.05
SLOWEST_CALL = 0.5  # seconds: beyond it larger sizes of a probe are left out
INTERRUPTED = "interrupted before all probes were done"


class Load(NamedTuple):
    """What a probe calls, and how much it does: multiply-adds, bytes, or one operator."""

    call: Callable[[], object]
    work: int


NO_INT8 = "PyTorch has no matrix product of int8 that every processor runs"


class Probe(NamedTuple):
    metric: str
    kind: str  # "copy"; its probes come small before large
    size: str  # "64 KiB"
    seconds: float  # of blocks
    make: Callable[[], Load]


class Found(NamedTuple):
    """Seconds that one call took, by block, and the work of it."""

    probe: Probe
    work: int
    blocks: tuple[float, ...]


def roofs(case: Case, budget: BudgetSettings, beat: Beat) -> Iterator[Measurement]:
    """The two roofs and the launch cost; absent where the device cannot do it in this type."""
    if case.precision == "int8":
        yield absent("peak_multiply_adds", NO_INT8)
    found: list[Found] = []
    left_out: dict[str, str] = {}  # kinds of probes, and why none larger is worth trying
    probes = probes_of(case)
    stopped: set[str] = set()
    with torch.inference_mode():
        for number, probe in enumerate(probes):
            if not beat(number / len(probes)):
                stopped = {item.metric for item in probes[number:]}
                break
            if probe.kind not in left_out:
                _try(probe, case, found, left_out)
    # Outside: a generator that waits would leave the mode on for whoever reads from it.
    for metric in dict.fromkeys(probe.metric for probe in probes):
        # Half of the probes make no roof: the other half may reach higher.
        reason = INTERRUPTED if metric in stopped else None
        yield absent(metric, reason) if reason else _measurement(metric, found, left_out)


def probes_of(case: Case) -> list[Probe]:
    """All probes of a case."""
    gemm = [
        Probe("peak_multiply_adds", "GEMM", str(size), GEMM_SECONDS, partial(_gemm, case, size))
        for size in GEMM_SIZES[case.device]
    ]
    buffers = [
        Probe("peak_bandwidth", kind, f"{size} KiB", OTHER_SECONDS, partial(make, case, size))
        for kind, make in (("copy", _copy), ("read", _read))
        for size in BUFFER_KIBIBYTES[case.device]
    ]
    empty = Probe("launch_cost", "add_", "1", OTHER_SECONDS, partial(_empty, case))
    return [*([] if case.precision == "int8" else gemm), *buffers, empty]


def _gemm(case: Case, size: int) -> Load:
    """size^3 multiply-adds. Random numbers: a GPU that multiplies zeros runs cooler and faster."""
    left, right, result = (_random(case, size, size) for _ in range(3))
    return Load(lambda: torch.mm(left, right, out=result), size**3)


def _copy(case: Case, kibibytes: int) -> Load:
    """One buffer read and one written."""
    source, target = _buffers(case, kibibytes)
    return Load(lambda: target.copy_(source), 2 * source.numel() * source.element_size())


def _read(case: Case, kibibytes: int) -> Load:
    """Two buffers read, and one number written."""
    left, right = _buffers(case, kibibytes)
    return Load(lambda: torch.dot(left, right), 2 * left.numel() * left.element_size())


def _empty(case: Case) -> Load:
    """An addition in place to a single number."""
    number = torch.zeros(1, device=case.device_name)
    return Load(lambda: number.add_(1), 1)


def _buffers(case: Case, kibibytes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two full buffers; written, because memory nobody wrote to may all be one page of zeros."""
    elements = kibibytes * 1024 // dtype(case).itemsize
    return _ones(case, elements), _ones(case, elements)


def _ones(case: Case, elements: int) -> torch.Tensor:
    return torch.ones(elements, dtype=dtype(case), device=case.device_name)


def _random(case: Case, *shape: int) -> torch.Tensor:
    return torch.randn(shape, device=case.device_name).to(dtype(case))


def _try(probe: Probe, case: Case, found: list[Found], left_out: dict[str, str]) -> None:
    wait = torch.cuda.synchronize if case.device == "cuda" else _nothing
    try:
        load = probe.make()
        blocks = _blocks(load.call, wait, probe.seconds)
    except RuntimeError as error:  # no such operator in this type, or no memory left
        why = first_line(error)
        left_out[probe.kind] = f"{probe.kind} {probe.size} in {case.precision}: {why}"
        return
    found.append(Found(probe, load.work, blocks))
    if min(blocks) > SLOWEST_CALL:
        left_out[probe.kind] = f"{probe.kind} {probe.size} takes over {SLOWEST_CALL} s a call"


def _blocks(
    call: Callable[[], object], wait: Callable[[], None], seconds: float
) -> tuple[float, ...]:
    """Seconds of one call, by block, for so many seconds."""
    _seconds(call, wait, calls=1)  # chooses a kernel, touches memory for the first time
    calls = max(1, math.ceil(BLOCK_SECONDS / _seconds(call, wait, calls=1)))
    blocks: list[float] = []
    started = perf_counter()
    while not blocks or perf_counter() - started < seconds:
        blocks.append(_seconds(call, wait, calls=calls))
    return tuple(blocks)


def _seconds(call: Callable[[], object], wait: Callable[[], None], *, calls: int) -> float:
    """Mean seconds of so many calls in a row, until the device is done."""
    wait()
    started = perf_counter_ns()
    for _ in range(calls):
        call()
    wait()
    return max(perf_counter_ns() - started, 1) / 1e9 / calls


def _nothing() -> None:
    """The CPU is done when the call returns."""


def _measurement(metric: str, found: list[Found], left_out: dict[str, str]) -> Measurement:
    mine = [item for item in found if item.probe.metric == metric]
    if not mine:
        return absent(metric, "; ".join(left_out.values()))
    if metric == "launch_cost":
        return Measurement(metric, samples=(mine[0].blocks,))
    rates = {
        f"{item.probe.kind} {item.probe.size}": [item.work / block for block in item.blocks]
        for item in mine
    }
    best = max(rates, key=lambda name: max(rates[name]))
    why = [left_out[kind] for kind in {item.probe.kind: 0 for item in mine} if kind in left_out]
    details = {"best": best, "rates": rates, "left_out": why}
    return Measurement(metric, samples=((max(rates[best]),),), details=details)
