"""Which kernel executes each convolution: two layers that look alike may run different code."""

from __future__ import annotations

from collections.abc import Iterator

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement, absent, exact
from benchbench.profilers.beat import Beat
from benchbench.profilers.torch_trace import convolutions, trace
from benchbench.runtimes.ahead import made
from benchbench.runtimes.eager import EagerNetwork
from benchbench.runtimes.graph import READABLE, Unreadable, reader_of
from benchbench.runtimes.running import prepare

UNSEEN = "no convolution was seen: the runtime hides them, or the network has none"
Row = list[str | int]


def kernels(case: Case, budget: BudgetSettings, beat: Beat) -> Iterator[Measurement]:
    """`executed_kernels`: how many different ones, with layer, kernel and calls of each in details.

    Eager and compiled PyTorch are asked by torch's profiler, in one call; others by the graph
    that they execute, whose nodes are no layers.
    """
    beat(0.0)
    try:
        rows = _of_graph(case) if case.runtime in READABLE else _of_trace(case, beat)
    except Unreadable as error:
        yield absent("executed_kernels", str(error))
        return
    if not rows:
        yield absent("executed_kernels", UNSEEN)
        return
    names = {(row[1], row[2]) for row in rows}
    yield exact("executed_kernels", len(names), kernels=rows)


def _of_graph(case: Case) -> list[Row]:
    nodes = reader_of(case).read(case, made(case)).nodes
    return [
        [node.name, node.kernel or node.operator, 1]
        for node in nodes
        if "conv" in node.operator.lower()
    ]


def _of_trace(case: Case, beat: Beat) -> list[Row]:
    """One call, after one that is not looked at: which convolutions it ran, and how often each."""
    prepared = prepare(case)
    running = prepared.running()
    running.call()
    network = prepared.network if isinstance(prepared, EagerNetwork) else None
    events = trace(running, network, case, 0.0, (1, 1), beat)
    if not events:
        return []
    on_device = case.device == "cuda"
    return [list(found) for found in convolutions(events[-1].cpu_children, on_device=on_device)]
