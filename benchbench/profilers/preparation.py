"""What it takes to prepare a case for its runtime, once, before anything can be timed.

Exporting, quantising and compiling are done here, in a process of their own and with nothing
cached; the processes that measure load what is left in the case's folder.
"""

from __future__ import annotations

import gc
from _thread import interrupt_main
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement, absent
from benchbench.profilers.beat import Beat
from benchbench.profilers.resident import high_water_mark, reset_high_water_mark, resident_bytes
from benchbench.runtimes.ahead import make
from benchbench.runtimes.equality import check_copy, check_equality
from benchbench.runtimes.running import runtime_of


@contextmanager
def _signs_of_life(beat: Beat) -> Iterator[None]:
    """Tell every second that a library is still at it; end it when told to stop.

    Exporting and compiling are single calls of minutes. Nothing else is sent meanwhile, and
    nothing is lost: what was made in part is of no use.
    """
    done = Event()

    def tell() -> None:
        while not done.wait(SECONDS_BETWEEN_SIGNS):
            if not beat(0.0):
                interrupt_main()
                return

    teller = Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


SECONDS_BETWEEN_SIGNS = 1.0
COMPILERS = "the compilers it starts are not counted"


def preparation(case: Case, budget: BudgetSettings, beat: Beat) -> Iterator[Measurement]:
    """`preparation_time` and `preparation_memory`, where the runtime makes anything beforehand.

    And `runtime_difference`: what the case computes against what eager fp32 computes.

    Raises:
        UserError: the network cannot be built, exported or compiled, or computes something else.
    """
    assert case.prepared is not None
    before, reset = 0, False

    def begin() -> None:
        nonlocal before, reset
        gc.collect()
        before, reset = resident_bytes(), reset_high_water_mark()

    with _signs_of_life(beat):
        steps = make(case, Path(case.prepared), begin)
    if steps:
        details = {"steps": dict(steps), "processes": [{"steps": dict(steps)}]}
        yield Measurement("preparation_time", samples=((sum(steps.values()),),), details=details)
        mark = high_water_mark() if reset else None
        if mark is None:
            yield absent("preparation_memory", "this kernel does not let a process reset its mark")
        else:
            more = max(mark - before, 0)
            details = {"note": COMPILERS} if "compile" in steps else {}
            yield Measurement("preparation_memory", samples=((more,),), details=details)
    beat(0.9)
    prepared = runtime_of(case).prepare(case)
    difference = check_equality(prepared, case)
    check_copy(prepared, case)
    yield Measurement("runtime_difference", samples=((difference,),))
