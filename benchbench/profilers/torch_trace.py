"""What torch's profiler saw: operators, in the layer whose code calls them.

Layers are named by the hooks that name them in the counting walk, so both can be joined. An
operator is what the network's code calls ("conv2d"), its kernel is what does the work: of a
convolution on the CPU the innermost operator with "conv" in its name ("mkldnn_convolution",
"_slow_conv2d_forward"), which differs between layers that look alike; of anything else the one
with most time of its own; on CUDA the kernel that takes longest.

Inductor does not call a network's modules. Its kernels are what it generated in C++
("cpp_fused_silu"), once they are made visible, and oneDNN's convolutions with what they fuse.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from torch import nn
from torch.autograd.profiler import record_function

from benchbench.cases import Case
from benchbench.counting.walk import layer_names
from benchbench.profilers.beat import Beat
from benchbench.profilers.silence import silence
from benchbench.runtimes.running import Running

if TYPE_CHECKING:
    from torch.autograd.profiler_util import FunctionEvent

CALL, LAYER = "benchbench call", "benchbench layer "
GENERATED = re.compile(r"(?:graph_\d+_)?(cpp_\w+?)(_\d+)?")  # by inductor, as it numbers them


class Occurrence(NamedTuple):
    """One operator in one call of the network."""

    layer: str | None  # None: outside any module
    operator: str
    kernel: str
    seconds: float


def show_generated_kernels() -> None:
    """Have inductor's C++ kernels tell torch's profiler of themselves; never in a timed process."""
    from torch._inductor import config

    config.cpp.enable_kernel_profile = True


def trace(
    running: Running,
    network: nn.Module | None,
    case: Case,
    seconds: float,
    calls_wanted: tuple[int, int],
    beat: Beat,
) -> list[FunctionEvent]:
    """The profiled calls but the first, in which the profiler gets going."""
    fewest, most = calls_wanted
    with _profiler(case) as read, _layer_ranges(network) as leave:
        started = perf_counter()
        done = 0.0
        calls = 0
        while beat(min(done, 1.0)) and done < 1.0 and calls <= most:
            with record_function(CALL):
                running.call()
                leave()
                running.synchronise()
            calls += 1
            spent = (perf_counter() - started) / max(seconds, 1e-9)
            done = min(spent, (calls - 1) / fewest)
    return [event for event in read() if event.name == CALL and event.cpu_parent is None][1:]


@contextmanager
def _profiler(case: Case) -> Iterator[Callable[[], Sequence[FunctionEvent]]]:
    """torch's profiler around what is called meanwhile; gives what reads its events afterwards.

    Versions differ in what they warn of when it starts, stops and is read: of events of an earlier
    cycle, say, which it has not. None of it reaches stderr, but what is called inside may.
    """
    # Read when the library first starts; below this level it says that it starts and stops.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with silence():
        from torch.profiler import ProfilerActivity, profile

        on_device = [ProfilerActivity.CUDA] if case.device == "cuda" else []
        profiler = profile(activities=[ProfilerActivity.CPU, *on_device])
        profiler.__enter__()

    def read() -> Sequence[FunctionEvent]:
        with silence():
            return profiler.events() or ()

    try:
        yield read
    finally:
        with silence():
            profiler.__exit__(None, None, None)


@contextmanager
def _layer_ranges(network: nn.Module | None) -> Iterator[Callable[[], None]]:
    """Put what each module's own code executes into a range; gives what closes the last one.

    Nothing of None: hooks would have compiled networks compiled anew.
    """
    if network is None:
        yield lambda: None
        return
    current: list[record_function] = []

    def leave() -> None:
        if current:
            current.pop().__exit__(None, None, None)

    def enter(layer: str) -> None:
        leave()
        current.append(record_function(LAYER + layer))
        current[-1].__enter__()

    with layer_names(network, enter):
        yield leave


def occurrences(
    events: Iterable[FunctionEvent], *, on_device: bool, layer: str | None = None
) -> Iterator[Occurrence]:
    """The operators that a network's code calls, in order; those inside them count as theirs."""
    for event in events:
        if event.name.startswith(LAYER):
            name = event.name.removeprefix(LAYER)
            yield from occurrences(event.cpu_children, on_device=on_device, layer=name)
        elif not on_device and (generated := GENERATED.fullmatch(event.name)):
            seconds = event.cpu_time_total / 1e6
            yield Occurrence(layer, generated[1], event.name, seconds)
        elif "::" not in event.name:  # a range of the network's own, or the driver
            yield from occurrences(event.cpu_children, on_device=on_device, layer=layer)
        else:
            times = _device_times(event) if on_device else _own_times(event)
            if times:  # on a GPU views start nothing
                kernel = max(times, key=lambda name: times[name])
                seconds = sum(times.values()) if on_device else event.cpu_time_total / 1e6
                yield Occurrence(layer, _short(event.name), kernel, seconds)


class ConvolutionKernel(NamedTuple):
    """What one convolution of a network ran; a grouped one may run its kernel once a group."""

    layer: str
    kernel: str
    calls: int


def convolutions(
    events: Iterable[FunctionEvent], *, on_device: bool, layer: str = ""
) -> Iterator[ConvolutionKernel]:
    """The convolutions that a network's code calls, in order, with what does the work."""
    for event in events:
        if event.name.startswith(LAYER):
            name = event.name.removeprefix(LAYER)
            yield from convolutions(event.cpu_children, on_device=on_device, layer=name)
        elif "conv" in event.name and "::" in event.name:
            times = _device_times(event) if on_device else _own_times(event)
            if times:
                kernel = max(times, key=lambda name: times[name])
                calls = 1 if on_device else _calls(event, kernel)
                yield ConvolutionKernel(layer, kernel, calls)
        else:
            yield from convolutions(event.cpu_children, on_device=on_device, layer=layer)


def _calls(event: FunctionEvent, kernel: str) -> int:
    return sum(_short(inner.name) == kernel for inner in _subtree(event))


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
