"""Time by operator and by layer, from torch's profiler, and never inside a timed run.

The profiler takes about a microsecond to note an operator and several to note a layer, so
light layers look heavier than they are: compare the large ones, and read `overhead` first.

Layers are named by the hooks that name them in the counting walk, so both can be joined. An
operator is what the network's code calls ("conv2d"), its kernel is what does the work: of a
convolution on the CPU the innermost operator with "conv" in its name ("mkldnn_convolution",
"_slow_conv2d_forward"), which differs between layers that look alike; of anything else the one
with most time of its own; on CUDA the kernel that takes longest.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn
from torch.autograd.profiler import record_function

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.counting.walk import layer_names
from benchbench.measurements import Measurement, absent
from benchbench.profilers.beat import Beat
from benchbench.runtimes.eager import EagerNetwork
from benchbench.runtimes.running import Running, prepare

if TYPE_CHECKING:
    from torch.autograd.profiler_util import FunctionEvent

WARM_UP_CALLS = 3
FEWEST_CALLS, MOST_CALLS = 10, 50  # profiled; reading a trace takes longer than taking it
SECONDS = 0.5  # of profiled calls, between these
CALL, LAYER = "benchbench call", "benchbench layer "
INTERRUPTED = "interrupted before there were enough calls"
NO_OPERATOR = "the profiler saw no operator: the runtime hides them, or the driver denies access"


class Occurrence(NamedTuple):
    """One operator in one call of the network."""

    layer: str | None  # None: outside any module
    operator: str
    kernel: str
    seconds: float


def operators(case: Case, budget: BudgetSettings, beat: Beat) -> Iterator[Measurement]:
    """`operator_time`: a sample a profiled call, the sum of its operators' seconds.

    Details: `operators`, in order of execution, with `calls` and `seconds` per call of the
    network (the median over calls, so the sum is not quite the median of the samples), and
    `overhead`, a profiled call's seconds over a plain one's (medians).
    """
    prepared = prepare(case)
    running = prepared.running()
    plain = _plain_seconds(running, budget, beat)
    # Of others the layers cannot be told apart: they do not call the network's modules.
    network = prepared.network if isinstance(prepared, EagerNetwork) else nn.Identity()
    traced = _trace(running, network, case, budget, beat)
    if not traced or not plain:
        yield absent("operator_time", INTERRUPTED)
        return
    on_device = case.device == "cuda"
    calls = [list(occurrences(event.cpu_children, on_device=on_device)) for event in traced]
    if not any(calls):
        yield absent("operator_time", NO_OPERATOR)
        return
    profiled = median(event.cpu_time_total for event in traced) / 1e6
    yield Measurement(
        "operator_time",
        samples=(tuple(sum(item.seconds for item in call) for call in calls),),
        details={
            "operators": rows(calls),
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
        running.synchronise()
        started = perf_counter()
        running.call()
        running.synchronise()
        seconds.append(perf_counter() - started)
    return seconds


def _trace(
    running: Running, network: nn.Module, case: Case, budget: BudgetSettings, beat: Beat
) -> list[FunctionEvent]:
    """The profiled calls but the first, in which the profiler gets going."""
    from torch.profiler import ProfilerActivity, profile

    # Below this level the library says on stderr that it starts and stops.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    activities = [ProfilerActivity.CPU]
    if case.device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    seconds = min(SECONDS, budget.seconds)
    with profile(activities=activities) as profiler, _layer_ranges(network) as leave:
        started = perf_counter()
        done = 0.0
        calls = 0
        while beat(min(done, 1.0)) and done < 1.0 and calls <= MOST_CALLS:
            with record_function(CALL):
                running.call()
                leave()
                running.synchronise()
            calls += 1
            spent = (perf_counter() - started) / max(seconds, 1e-9)
            done = min(spent, (calls - 1) / FEWEST_CALLS)
    events = profiler.events() or ()
    return [event for event in events if event.name == CALL and event.cpu_parent is None][1:]


@contextmanager
def _layer_ranges(network: nn.Module) -> Iterator[Callable[[], None]]:
    """Put what each module's own code executes into a range; gives what closes the last one."""
    current: list[record_function] = []

    def leave() -> None:
        if current:
            current.pop().__exit__(None, None, None)

    def enter(layer: str) -> None:
        leave()
        current.append(record_function(LAYER + layer))
        current[-1].__enter__()

    with layer_names(network or nn.Identity(), enter):
        yield leave


def occurrences(
    events: Iterable[FunctionEvent], *, on_device: bool, layer: str | None = None
) -> Iterator[Occurrence]:
    """The operators that a network's code calls, in order; those inside them count as theirs."""
    for event in events:
        if event.name.startswith(LAYER):
            name = event.name.removeprefix(LAYER)
            yield from occurrences(event.cpu_children, on_device=on_device, layer=name)
        elif "::" not in event.name:  # a range of the network's own, or the driver
            yield from occurrences(event.cpu_children, on_device=on_device, layer=layer)
        else:
            times = _device_times(event) if on_device else _own_times(event)
            if times:  # on a GPU views start nothing
                kernel = max(times, key=lambda name: times[name])
                seconds = sum(times.values()) if on_device else event.cpu_time_total / 1e6
                yield Occurrence(layer, _short(event.name), kernel, seconds)


def _device_times(event: FunctionEvent) -> dict[str, float]:
    """Seconds of the kernels that an operator and those inside it start, by name."""
    times: Counter[str] = Counter()
    for inner in _subtree(event):
        for kernel in inner.kernels:
            times[kernel.name] += kernel.duration / 1e6
    return dict(times)


def _own_times(event: FunctionEvent) -> dict[str, float]:
    """Seconds that an operator and those inside it take themselves, by name.

    Of a convolution only the innermost: a grouped one may spend more on putting its results
    together than on each, and is no concatenation for that.
    """
    inside = list(_subtree(event))
    convolutions = [item for item in inside if "conv" in item.name]
    innermost = [
        item
        for item in convolutions
        if not any("conv" in inner.name for inner in list(_subtree(item))[1:])
    ]
    times: Counter[str] = Counter()
    for item in innermost if "conv" in event.name else inside:
        times[_short(item.name)] += item.self_cpu_time_total / 1e6
    return dict(times)


def _subtree(event: FunctionEvent) -> Iterator[FunctionEvent]:
    yield event
    for child in event.cpu_children:
        yield from _subtree(child)


def _short(name: str) -> str:
    return name.removeprefix("aten::")


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
