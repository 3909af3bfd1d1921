"""A fresh process that runs profilers on its cases, and what its messages mean to the parent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

from benchbench import processes
from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.cores import BINDING_VARIABLES, check_spread, cores, measured_cores, threads_of
from benchbench.errors import UserError, first_line, is_out_of_memory
from benchbench.measurements import Measurement
from benchbench.processes import failure, with_last_word
from benchbench.profilers.beat import Beat
from benchbench.sentinels import idlest_core

PROGRESS_SECONDS = 0.5
INTERLEAVED = ("latency",)  # profilers that take all cases of a process, in turn
PREPARING = ("preparation",)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

Progress = Callable[[str, float], None]
# Called with the index of a case and its measurement, or torch's part of the environment.
Received = Callable[[int, Measurement | dict[str, Any]], None]


@dataclass(frozen=True)
class Work:
    """What one process does: profilers, one after the other, on cases that are executed alike."""

    cases: tuple[Case, ...]
    profilers: tuple[str, ...]
    budget: BudgetSettings
    number: int = 0  # of the process: its orders and places follow from it

    @property
    def names(self) -> str:
        """What errors call the cases."""
        return ", ".join(case.name for case in self.cases)


def run(work: Work, progress: Progress, received: Received) -> None:
    """Do the work in a fresh process; hand on each measurement as it comes.

    Raises:
        UserError: the child failed for a reason the user can mend, or was killed.
        Interrupted: Ctrl-C, after what was measured until then was handed on.
    """

    def told(message: str, *content: Any) -> None:
        (progress if message == "progress" else received)(*content)

    name = f"model={work.names} batch_size={work.cases[0].batch_size}: the measuring process"
    processes.run(_child, (work,), name, told)


def _child(connection: Connection, work: Work) -> None:
    """The child's whole life. Thread counts are set before torch is imported."""
    for variable in BINDING_VARIABLES:
        os.environ.pop(variable, None)
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(work.cases[0].threads)
    with with_last_word(connection, work.names, partial(explain, case=work.cases[0])):
        _profile(connection, work)


def _profile(connection: Connection, work: Work) -> None:
    first = work.cases[0]
    placed = [] if work.profilers == PREPARING else pin(first)  # compilers may use all cores
    import torch

    from benchbench.environment import torch_environment
    from benchbench.runtimes.formats import set_flags

    torch.set_num_threads(first.threads)
    set_flags(first)
    if first.device == "cuda":
        torch.cuda.set_device(first.device_index)  # what a bare `synchronize` waits for
    elif first.threads > 1:
        before = threads_of()
        torch.ones(first.threads << 16).exp()  # enough for every thread to get a part
        started = threads_of()
        main = str(os.getpid())
        check_spread(
            first.threads,
            [found for name, found in started.items() if name == main or name not in before],
        )
    for index in range(len(work.cases)):
        connection.send(("result", index, torch_environment(first)))
    for name in work.profilers:
        if connection.poll():  # told to stop: what follows was not begun
            break
        for index, measurement in _measurements(work, name, _beat(connection, name)):
            _check_thread_count(work.cases[index])
            connection.send(("result", index, _with_cores(measurement, placed)))


def _check_thread_count(case: Case) -> None:
    """Refuse times of another number of threads than the record will say.

    Raises:
        UserError: the network's code has set it.
    """
    import torch

    found = torch.get_num_threads()
    if found != case.threads:
        raise UserError(
            f"threads={case.threads}: model={case.name} sets torch's number of threads to {found} "
            "by itself; take that out of its code"
        )


def _measurements(work: Work, name: str, beat: Beat) -> Iterator[tuple[int, Measurement]]:
    """What a profiler finds, with the index of its case."""
    profiler = getattr(import_module(f"benchbench.profilers.{name}"), name)
    if name in INTERLEAVED:
        yield from profiler(work.cases, work.budget, beat, work.number)
        return
    for index, case in enumerate(work.cases):
        yield from ((index, found) for found in profiler(case, work.budget, beat))


def pin(case: Case) -> Sequence[int]:
    """Give the threads of a case on the CPU cores of the fastest kind, each one for itself.

    One thread gets the core with least to do now. Several share as many cores as there are with
    arithmetic units of their own, and the system moves them among these. Returns the cores; none
    where nothing was chosen.
    """
    if case.device != "cpu" or not hasattr(os, "sched_setaffinity"):
        return []
    chosen = measured_cores(cores(), case.threads)
    if case.threads == 1:
        chosen = [idlest_core(chosen)]
    os.sched_setaffinity(0, chosen)
    return chosen


def _with_cores(measurement: Measurement, placed: Sequence[int]) -> Measurement:
    """The same, with the cores in its process's details."""
    if not placed or not measurement.processes:
        return measurement
    told = {"core": placed[0]} if len(placed) == 1 else {"cores": [*placed]}
    all_told = [dict(process) | told for process in measurement.processes]
    return replace(measurement, details={**measurement.details, "processes": all_told})


def _beat(connection: Connection, name: str) -> Beat:
    """Tell the parent how far we are, a few times a second; False once it says stop."""
    last = -PROGRESS_SECONDS

    def beat(fraction: float) -> bool:
        nonlocal last
        if perf_counter() - last >= PROGRESS_SECONDS:
            last = perf_counter()
            connection.send(("progress", name, fraction))
        return not connection.poll()

    return beat


def explain(error: BaseException, case: Case) -> str:
    """An exception as one line that names the value to change."""
    if is_out_of_memory(error) and not isinstance(error, UserError):
        return (
            f"not enough memory on {case.device_name} for batch_size={case.batch_size} "
            f"resolution={case.resolution} of {case.name}: {first_line(error)}"
        )
    return failure(error, f"model={case.name} failed on {case.device_name}")
