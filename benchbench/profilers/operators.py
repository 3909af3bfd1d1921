"""Time by operator, from torch's profiler or the runtime's own, and never inside a timed run.

Torch's profiler takes about a microsecond to note an operator and several to note a layer, so
light layers look heavier than they are: compare the large ones, and read `overhead` first. ONNX
Runtime and OpenVINO note whole microseconds, rounded down, of the nodes of their own graphs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement, absent
from benchbench.profilers.beat import Beat
from benchbench.profilers.torch_trace import (
    Occurrence,
    occurrences,
    show_generated_kernels,
    trace,
)
from benchbench.runtimes.ahead import made
from benchbench.runtimes.eager import EagerNetwork
from benchbench.runtimes.graph import READABLE, Unreadable, reader_of
from benchbench.runtimes.running import Prepared, Running, prepare

WARM_UP_CALLS = 3
FEWEST_CALLS, MOST_CALLS = 10, 50  # profiled; reading a trace takes longer than taking it
SECONDS = 0.5  # of profiled calls, between these
INTERRUPTED = "interrupted before there were enough calls"
NO_OPERATOR = "the profiler saw no operator: the runtime hides them, or the driver denies access"


class Observed(NamedTuple):
    """What a profiler noted of calls; of OpenVINO's, the mean of all in one list."""

    calls: list[list[Occurrence]]
    seconds: list[float]  # of each call under the profiler


def operators(case: Case, budget: BudgetSettings, beat: Beat) -> Iterator[Measurement]:
    """`operator_time`: a sample a profiled call, the sum of its operators' seconds.

    OpenVINO's counters hold means over calls, so that there is one sample.

    Details: `operators`, in order of execution, with `calls` and `seconds` per call of the
    network (the median over calls, so the sum is not quite the median of the samples), and
    `overhead`, a profiled call's seconds over a plain one's (medians). Of ONNX Runtime and
    OpenVINO the `layer` is a node of their graph.
    """
    if (case.runtime, case.device) == ("compiled", "cpu"):
        show_generated_kernels()
    prepared = prepare(case)
    running = prepared.running()
    plain = _plain_seconds(running, budget, beat)
    seconds = min(SECONDS, budget.seconds)
    try:
        observe = _by_runtime if case.runtime in READABLE else _by_torch
        found = observe(prepared, running, seconds, beat)
    except Unreadable as error:
        yield absent("operator_time", str(error))
        return
    if not found.calls or not plain:
        yield absent("operator_time", INTERRUPTED)
        return
    if not any(found.calls):
        yield absent("operator_time", NO_OPERATOR)
        return
    profiled = median(found.seconds)
    yield Measurement(
        "operator_time",
        samples=(tuple(sum(item.seconds for item in call) for call in found.calls),),
        details={
            "operators": rows(found.calls),
            "call_seconds": median(plain),
            "profiled_call_seconds": profiled,
            "overhead": profiled / median(plain),
        },
    )


def _plain_seconds(running: Running, budget: BudgetSettings, beat: Beat) -> list[float]:
    """Seconds of calls without the profiler, which warm up too."""
    seconds: list[float] = []
    while len(seconds) < WARM_UP_CALLS or sum(seconds) < budget.warm_up_seconds:
        if not beat(0.0):
            break
        seconds.append(_seconds(running.call, running.synchronise))
    return seconds


def _seconds(call: Callable[[], object], synchronise: Callable[[], None]) -> float:
    synchronise()
    started = perf_counter()
    call()
    synchronise()
    return perf_counter() - started


def _by_torch(prepared: Prepared, running: Running, seconds: float, beat: Beat) -> Observed:
    """Operators of eager PyTorch and of what it compiled."""
    case = prepared.case
    # Of others the layers cannot be told apart: they do not call the network's modules.
    network = prepared.network if isinstance(prepared, EagerNetwork) else None
    traced = trace(running, network, case, seconds, (FEWEST_CALLS, MOST_CALLS), beat)
    on_device = case.device == "cuda"
    calls = [list(occurrences(event.cpu_children, on_device=on_device)) for event in traced]
    if not isinstance(prepared, EagerNetwork):
        calls = [[item._replace(layer=None) for item in call] for call in calls]
    return Observed(calls, [event.cpu_time_total / 1e6 for event in traced])


def _by_runtime(prepared: Prepared, running: Running, seconds: float, beat: Beat) -> Observed:
    """Nodes of a runtime's graph, from its own profile.

    Raises:
        Unreadable: it does not say how long a node takes.
    """
    case = prepared.case
    taken: list[float] = []
    with reader_of(case).profiled(case, made(case)) as profiled:
        done = 0.0
        while beat(min(done, 1.0)) and done < 1.0 and len(taken) <= MOST_CALLS:
            taken.append(_seconds(profiled.call, running.synchronise))
            done = min(sum(taken) / max(seconds, 1e-9), (len(taken) - 1) / FEWEST_CALLS)
        calls = profiled.finish()
    return Observed([[Occurrence(*timed) for timed in call] for call in calls], taken[1:])


def rows(calls: Sequence[Sequence[Occurrence]]) -> list[dict[str, Any]]:
    """Operators with the median of their seconds over calls, by layer, operator and kernel.

    The n-th operator of a name in a layer is the same one in every call; its kernel is the one
    most often seen there.
    """
    places: defaultdict[tuple[str | None, str, int], list[Occurrence]] = defaultdict(list)
    for call in calls:
        seen: Counter[tuple[str | None, str]] = Counter()
        for item in call:
            places[(item.layer, item.operator, seen[item.layer, item.operator])].append(item)
            seen[item.layer, item.operator] += 1
    found: dict[tuple[str | None, str, str], dict[str, Any]] = {}
    for (layer, operator, _), items in places.items():
        ((kernel, _times),) = Counter(item.kernel for item in items).most_common(1)
        names = {"layer": layer, "operator": operator, "kernel": kernel}
        row = found.setdefault((layer, operator, kernel), names | {"calls": 0, "seconds": 0.0})
        row["calls"] += 1
        row["seconds"] += median(item.seconds for item in items)
    return list(found.values())
