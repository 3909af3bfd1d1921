"""A fresh process that runs profilers on its cases, and the parent that waits for it.

The parent blocks on the connection, because a parent that polls takes the core the child is
being timed on. Messages from the child are tuples whose first item names them.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from pickle import UnpicklingError
from time import perf_counter
from types import FrameType
from typing import Any

from benchbench.cases import Case, cores
from benchbench.config import BudgetSettings
from benchbench.errors import UserError, first_line, is_out_of_memory
from benchbench.measurements import Measurement
from benchbench.profilers.beat import Beat
from benchbench.sentinels import idlest_core

SILENCE_SECONDS = 600.0  # without a sign of life from the child
STOP_SECONDS = 60.0  # to finish the call under way after Ctrl-C; a second one ends the wait
PROGRESS_SECONDS = 0.5
GOODBYE_SECONDS = 5.0  # for a child to end that has said so
INTERLEAVED = ("latency",)  # profilers that take all cases of a process, in turn
PREPARING = ("preparation",)
PARENT_DIED = 1  # prctl(2): PR_SET_PDEATHSIG
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

Progress = Callable[[str, float], None]
# Called with the index of a case and its measurement, or torch's part of the environment.
Received = Callable[[int, Measurement | dict[str, Any]], None]


class Interrupted(Exception):
    """Ctrl-C during a measurement."""


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
    context = multiprocessing.get_context("spawn")
    parent_end, child_end = context.Pipe()
    child = context.Process(target=_child, args=(child_end, work))
    try:
        _start(child)
        child_end.close()
        _listen(parent_end, work, progress, received, timeout=SILENCE_SECONDS)
        child.join()
    except EOFError:
        child.join()
        raise _died(work, child.exitcode) from None
    except UserError:
        child.join(GOODBYE_SECONDS)  # killed while it ends, it would leave a warning behind
        raise
    except KeyboardInterrupt:
        if _stop(parent_end, work, progress, received):
            child.join(GOODBYE_SECONDS)
        raise Interrupted from None
    finally:
        _end(child)
        child_end.close()
        parent_end.close()


def _listen(
    connection: Connection, work: Work, progress: Progress, received: Received, timeout: float
) -> None:
    """Hand on messages until the child says it is done."""
    while True:
        if not wait([connection], timeout):
            raise UserError(f"model={work.names}: no sign of life for {timeout:.0f} s, given up")
        name, *content = connection.recv()
        if name == "progress":
            progress(*content)
        elif name == "result":
            received(*content)
        elif name == "error":
            raise UserError(*content)
        else:
            return


def _stop(connection: Connection, work: Work, progress: Progress, received: Received) -> bool:
    """Ask the child for what it has, and take it; a second Ctrl-C or a failure ends the wait.

    Whether the child said its last word, and is about to end.
    """
    try:
        connection.send("stop")
        _listen(connection, work, progress, received, timeout=STOP_SECONDS)
    except UserError:
        return True
    except (EOFError, OSError, UnpicklingError, KeyboardInterrupt):
        return False  # the interrupt may have come in the middle of a message
    return True


def _end(child: multiprocessing.process.BaseProcess) -> None:
    """Leave no process behind: the child and the sampler that memory-profiler starts."""
    if not child.is_alive():  # also before it was started
        return
    import psutil

    for process in psutil.Process(child.pid).children(recursive=True):
        process.kill()
    child.kill()
    child.join()


def _died(work: Work, exit_code: int | None) -> UserError:
    """The error for a child that ended without a word."""
    if exit_code == -signal.SIGKILL:
        why = "was killed, most likely because memory ran out; try a smaller batch_size"
    else:
        why = f"ended with exit code {exit_code}"
    batch_size = work.cases[0].batch_size
    return UserError(f"model={work.names} batch_size={batch_size}: the measuring process {why}")


def _start(child: multiprocessing.process.BaseProcess) -> None:
    """Start the child with Ctrl-C blocked, which it and its own children inherit for good.

    One that comes meanwhile is raised here afterwards: in the middle it would leave the child
    waiting for its orders.
    """
    resource_tracker.ensure_running()  # else `start` would do it, and unblock
    came: list[int] = []
    with _handler(lambda number, _: came.append(number)):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            child.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if came:
        raise KeyboardInterrupt


@contextmanager
def _handler(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle Ctrl-C so for a while; outside the main thread it never arrives.

    Needed beside the mask, which is this thread's: the kernel may choose one of a library's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _child(connection: Connection, work: Work) -> None:
    """The child's whole life. Thread counts are set before torch is imported."""
    os.dup2(2, 1)  # a network that prints must not print into the parent's document
    _die_first()
    _die_with_the_parent()
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(work.cases[0].threads)
    try:
        _profile(connection, work)
        connection.send(("done",))
    except (BrokenPipeError, ConnectionResetError):
        sys.exit(1)  # the parent is gone: nobody is left to measure for
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - the parent must hear of any
        connection.send(("error", explain(error, work.cases[0])))


def _profile(connection: Connection, work: Work) -> None:
    first = work.cases[0]
    core = None if work.profilers == PREPARING else pin(first)  # compilers may use all cores
    import torch

    from benchbench.environment import torch_environment
    from benchbench.runtimes.formats import set_flags

    torch.set_num_threads(first.threads)
    set_flags(first)
    if first.device == "cuda":
        torch.cuda.set_device(first.device_index)  # what a bare `synchronize` waits for
    for index in range(len(work.cases)):
        connection.send(("result", index, torch_environment(first)))
    for name in work.profilers:
        if connection.poll():  # told to stop: what follows was not begun
            break
        for index, measurement in _measurements(work, name, _beat(connection, name)):
            connection.send(("result", index, _with_core(measurement, core)))


def _measurements(work: Work, name: str, beat: Beat) -> Iterator[tuple[int, Measurement]]:
    """What a profiler finds, with the index of its case."""
    profiler = getattr(import_module(f"benchbench.profilers.{name}"), name)
    if name in INTERLEAVED:
        yield from profiler(work.cases, work.budget, beat, work.number)
        return
    for index, case in enumerate(work.cases):
        yield from ((index, found) for found in profiler(case, work.budget, beat))


def pin(case: Case) -> int | None:
    """Give a single thread on the CPU one core for itself: the one with least to do now."""
    if case.device != "cpu" or case.threads != 1 or not hasattr(os, "sched_setaffinity"):
        return None
    core = idlest_core(cores())
    os.sched_setaffinity(0, {core})
    return core


def _with_core(measurement: Measurement, core: int | None) -> Measurement:
    """The same, with the core in its process's details."""
    if core is None or not measurement.processes:
        return measurement
    processes = [dict(process) | {"core": core} for process in measurement.processes]
    return replace(measurement, details={**measurement.details, "processes": processes})


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


def _die_first() -> None:
    """When memory runs out, the kernel shall end this process and not the parent or a shell."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _die_with_the_parent() -> None:
    """A child whose parent is killed would go on measuring beside whatever comes next (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PARENT_DIED, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid != os.getppid():
        sys.exit(1)  # it died before we could say so


def explain(error: BaseException, case: Case) -> str:
    """An exception as one line that names the value to change."""
    line = first_line(error)
    if isinstance(error, UserError):
        return line
    if is_out_of_memory(error):
        return (
            f"not enough memory on {case.device_name} for batch_size={case.batch_size} "
            f"resolution={case.resolution} of {case.name}: {line}"
        )
    return f"model={case.name} failed on {case.device_name}: {type(error).__name__}: {line}"
