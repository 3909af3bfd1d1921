"""The loop: a case and its profilers to measurements."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from benchbench.cases import Case
from benchbench.config import BudgetSettings, ProfilerSettings
from benchbench.datasets.folder import read_contents
from benchbench.environment import machine_environment
from benchbench.inputs import check_image
from benchbench.measurements import Layer, Measurement, absent
from benchbench.networks import build, total_stride
from benchbench.provenance import check_weights
from benchbench.worker import Interrupted, Progress, run

# Profilers that share a fresh process, in the order they run in. Memory has its own, because
# what another one allocated would be counted.
PROCESSES = (("latency", "fvcore"), ("memory",), ("accuracy",))


@dataclass
class Measured:
    """What is known of a case so far; `interrupted` after Ctrl-C."""

    case: Case
    environment: dict[str, Any]
    measurements: list[Measurement] = field(default_factory=list)
    layers: tuple[Layer, ...] = ()
    interrupted: bool = False

    def receive(self, result: Measurement | dict[str, Any]) -> None:
        """Take what a worker sends: a measurement, or torch's part of the environment."""
        if isinstance(result, Measurement):
            self.measurements.append(result)
        else:
            self.environment |= result


def measure(
    case: Case, profilers: ProfilerSettings, budget: BudgetSettings, progress: Progress
) -> Measured:
    """Count the case, then measure it in fresh processes.

    Raises:
        UserError: the case cannot be built, fed or executed here. Nothing is measured then.
    """
    measured = Measured(case, machine_environment())
    (read_contents if profilers.accuracy else check_image)(case)
    checked = check_weights(case)
    if checked is not None:
        measured.environment["weights"] = checked
    from benchbench.device import check_device

    check_device(case)
    progress("complexity", 0.0)
    profilers = _count(measured, profilers)
    processes = _processes(profilers)
    if case.device != "cpu" and not processes:
        processes = [[]]  # only to ask the device for its name
    for names in processes:
        try:
            run(case, names, budget, progress, measured.receive)
        except Interrupted:
            measured.interrupted = True
            break
    return measured


def _count(measured: Measured, profilers: ProfilerSettings) -> ProfilerSettings:
    """Count the case, also when nobody asked: that refuses what cannot run.

    Returns the profilers that are still worth running.
    """
    from benchbench.profilers.complexity import check_resolution, complexity
    from benchbench.profilers.fvcore import LARGEST_MULTIPLY_ADDS, TOO_LARGE

    case = measured.case
    if profilers.accuracy:  # an operator without a formula shall not stop it
        check_resolution(case, total_stride(build(case, "meta")))
        return profilers
    counted = complexity(case)
    if profilers.complexity:
        measured.measurements += counted.measurements
        measured.layers = counted.layers
    if not profilers.fvcore or counted.multiply_adds <= LARGEST_MULTIPLY_ADDS:
        return profilers
    measured.measurements.append(absent("flops_fvcore", TOO_LARGE))
    return replace(profilers, fvcore=False)


def _processes(profilers: ProfilerSettings) -> list[list[str]]:
    groups = ([name for name in group if getattr(profilers, name)] for group in PROCESSES)
    return [names for names in groups if names]
