"""Peak memory of a case, in a process of its own so that nothing else is counted."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement, absent
from benchbench.profilers.beat import Beat
from benchbench.profilers.resident import high_water_mark, reset_high_water_mark, resident_bytes
from benchbench.profilers.silence import stderr_to
from benchbench.runtimes.running import prepare
from benchbench.support import OF_TORCH

SECONDS = 0.5  # of calls, at least
INTERRUPTED = "interrupted before there were enough calls"
NOT_TORCHS = "the runtime has an allocator of its own, which PyTorch does not see"
SAMPLING_SECONDS = 1e-3  # at 10 ms it missed 2 % of the peak


def memory(case: Case, budget: BudgetSettings, beat: Beat) -> Iterator[Measurement]:
    """The allocator's peak on CUDA, the process's on the CPU."""
    if case.device == "cuda" and case.runtime not in OF_TORCH:
        yield absent("peak_memory", NOT_TORCHS)
        return
    profile = _allocator_peak if case.device == "cuda" else _process_peak
    yield from profile(case, beat)


def _process_peak(case: Case, beat: Beat) -> Iterator[Measurement]:
    """memory-profiler's maximum, and the kernel's own, less the resident set before the build."""
    from memory_profiler import memory_usage

    gc.collect()
    before = resident_bytes()
    mark_reset = reset_high_water_mark()
    # The sampler is a process that keeps this stderr: killed with us, it would print a traceback.
    with Path(os.devnull).open("w") as nowhere, stderr_to(nowhere.fileno()) as restore:
        mebibytes, called = memory_usage(
            (_build_and_call, (case, beat, restore)),
            interval=SAMPLING_SECONDS,
            max_usage=True,
            retval=True,
            backend="psutil",
        )
    if called < SECONDS:
        yield absent("peak_memory", INTERRUPTED)
        return
    peak = round(mebibytes * 2**20) - before
    details = {
        "resident_before_bytes": before,
        "sampling_seconds": SAMPLING_SECONDS,
        "called_seconds": called,
    }
    yield Measurement("peak_memory", samples=((max(peak, 0),),), details=details)
    mark = high_water_mark() if mark_reset else None
    if mark is None:
        yield absent("peak_memory_kernel", "this kernel does not let a process reset its mark")
    else:
        yield Measurement("peak_memory_kernel", samples=((max(mark - before, 0),),))


def _allocator_peak(case: Case, beat: Beat) -> Iterator[Measurement]:
    """What PyTorch's CUDA allocator handed out and what it held, at most."""
    import torch

    device = torch.device(case.device_name)
    torch.cuda.reset_peak_memory_stats(device)
    if _build_and_call(case, beat) < SECONDS:
        yield absent("peak_memory", INTERRUPTED)
        return
    torch.cuda.synchronize(device)
    allocated = torch.cuda.max_memory_allocated(device)
    reserved = torch.cuda.max_memory_reserved(device)
    yield Measurement("peak_memory", samples=((allocated,),))
    yield Measurement("peak_memory_reserved", samples=((reserved,),))


def _build_and_call(case: Case, beat: Beat, begin: Callable[[], None] = lambda: None) -> float:
    """Build the network and call it for a while. Seconds of calls: fewer if told to stop."""
    begin()
    running = prepare(case, calibrated=False).running()
    started = perf_counter()
    spent, go_on = 0.0, True
    while go_on and spent < SECONDS:
        running.call()
        spent = perf_counter() - started
        go_on = beat(min(spent / SECONDS, 1.0))
    return spent
