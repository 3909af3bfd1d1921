"""Which processes a run starts, and which cases and profilers each of them has.

Known before anything is measured, so that it can be shown, and its time be estimated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from benchbench.cases import Case
from benchbench.config import BudgetSettings, ProfilerSettings
from benchbench.runtimes.graph import NO_GRAPH
from benchbench.runtimes.running import needs_preparation
from benchbench.worker import INTERLEAVED, Work

# Profilers that share a fresh process, in the order they run in. Memory and energy have their
# own, because what another one allocated or heated up would be counted.
REPLICATED = (("latency", "device_time"), ("memory",), ("energy",))  # as often as the budget says
ROOFS = ("roofs",)  # of the machine, whatever runs on it: taken once for each precision
NOT_IN_RUNTIME = {"fvcore", "roofs"}  # of the network itself, and of the machine
GRAPH = ("graph",)  # of runtimes that have one to read
KERNELS = ("kernels",)
ONCE = (("fvcore",), ("operators",), ("accuracy",), ("agreement",), GRAPH, KERNELS)


def processes(
    cases: Sequence[Case], profilers: ProfilerSettings, budget: BudgetSettings
) -> Iterator[tuple[Work, Sequence[int]]]:
    """Every process to start, with the indices of its cases.

    Replicates of different profilers take turns, so that those of one lie further apart.
    """
    everyone = tuple(range(len(cases)))
    count = 0
    for number in range(budget.processes):
        for group in _groups(number, experiment=bool(cases[0].turn)):
            names = tuple(name for name in group if getattr(profilers, name))
            for shared in _shares(names, cases):
                indices = tuple(index for index in shared if _is_due(cases[index], number))
                if names and indices and _has_it(names, cases[indices[0]]):
                    count += 1
                    chosen = tuple(cases[index] for index in indices)
                    yield Work(chosen, names, budget, number), indices
    if not count and cases[0].device != "cpu":
        yield Work(tuple(cases), (), budget), everyone  # only to ask the device for its name


def _is_due(case: Case, number: int) -> bool:
    """Whether a case is measured in the process of this number at all."""
    return case.processes is None or number < case.processes


def _groups(number: int, *, experiment: bool) -> Sequence[Sequence[str]]:
    """What the process of this number does, in order.

    In an experiment the roofs come first: what they let one expect is written down before anything
    is timed. Elsewhere the machine is known by the first process, and its roofs may be too.
    """
    if number:
        return REPLICATED
    return (ROOFS, *REPLICATED, *ONCE) if experiment else (*REPLICATED, *ONCE, ROOFS)


def _has_it(names: Sequence[str], case: Case) -> bool:
    """Whether there is anything to find, so that a process is worth its start."""
    return names != GRAPH or case.runtime not in NO_GRAPH


def _shares(names: Sequence[str], cases: Sequence[Case]) -> list[tuple[int, ...]]:
    """Which cases share a process: all that take turns, none that do not."""
    if set(names) & set(INTERLEAVED):
        return [tuple(range(len(cases)))]
    if names == KERNELS and cases[0].turn:
        return [tuple(sorted({*originals(cases)}))]
    if names == ROOFS:
        precisions = [case.precision for case in cases]
        return [(precisions.index(precision),) for precision in dict.fromkeys(precisions)]
    return [(index,) for index in range(len(cases))]


def executes(plan: Sequence[tuple[Work, Sequence[int]]]) -> bool:
    """Whether any process of a plan executes the networks in their runtimes."""
    return any({*work.profilers} - NOT_IN_RUNTIME for work, _ in plan)


def prepared_together(cases: Sequence[Case]) -> list[Sequence[int]]:
    """The cases to prepare: one of each network, those of an experiment in one process."""
    indices = [index for index in sorted({*originals(cases)}) if needs_preparation(cases[index])]
    in_turns = [index for index in indices if cases[index].turn]
    alone = [[index] for index in indices if not cases[index].turn]
    return [in_turns, *alone] if in_turns else [*alone]


def originals(cases: Sequence[Case]) -> list[int]:
    """Return, for each case, the index of the first case with the same network and execution.

    An experiment may list one network in several sets, and it is prepared only once. Other cases
    are never taken for each other.
    """
    first: dict[str, int] = {}
    return [
        first.setdefault(repr(replace(case, name="", turn="", axes={}, processes=None)), index)
        if case.turn
        else index
        for index, case in enumerate(cases)
    ]
