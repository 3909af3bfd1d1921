"""The loop: a case and its profilers to measurements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchbench.cases import Case
from benchbench.config import BudgetSettings, ProfilerSettings
from benchbench.environment import machine_environment
from benchbench.inputs import check_image
from benchbench.measurements import Layer, Measurement, absent
from benchbench.nearest import check_weights
from benchbench.worker import Interrupted, Progress, run

# Profilers that share a fresh process, in the order they run in. Memory has its own, because
# what another one allocated would be counted.
PROCESSES = (("latency", "fvcore"), ("memory",))


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
    check_image(case)
    checked = check_weights(case)
    if checked is not None:
        measured.environment["weights"] = checked
    from benchbench.device import check_device
    from benchbench.profilers.complexity import complexity
    from benchbench.profilers.fvcore import LARGEST_MULTIPLY_ADDS, TOO_LARGE

    check_device(case)
    progress("complexity", 0.0)
    counted = complexity(case)  # also when not asked for: it refuses what cannot run
    if profilers.complexity:
        measured.measurements += counted.measurements
        measured.layers = counted.layers
    if profilers.fvcore and counted.multiply_adds > LARGEST_MULTIPLY_ADDS:
        measured.measurements.append(absent("flops_fvcore", TOO_LARGE))
        profilers = ProfilerSettings(latency=profilers.latency, memory=profilers.memory)
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


def _processes(profilers: ProfilerSettings) -> list[list[str]]:
    groups = ([name for name in group if getattr(profilers, name)] for group in PROCESSES)
    return [names for names in groups if names]
