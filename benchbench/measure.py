"""The loop: cases and profilers to measurements, process after process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchbench.cases import Case, fed_one_tensor
from benchbench.config import BudgetSettings, ProfilerSettings
from benchbench.datasets.folder import read_contents
from benchbench.environment import machine_environment
from benchbench.estimate import Size, estimate, size_of
from benchbench.folders import remove_abandoned, temporary_prefix
from benchbench.inputs import CALIBRATION_IMAGES, check_image
from benchbench.lock import machine_lock
from benchbench.measurements import Layer, Measurement, absent, joined
from benchbench.networks import build, look, total_stride
from benchbench.processes import Interrupted
from benchbench.provenance import check_weights
from benchbench.revision import network_revision
from benchbench.roofline import ROOF_METRICS
from benchbench.runtimes.running import needs_preparation
from benchbench.schedule import KERNELS, ROOFS, executes, originals, prepared_together, processes
from benchbench.worker import PREPARING, Progress, Work, run

if TYPE_CHECKING:
    from benchbench.counting.cost import Cost

WORTH_SAYING_SECONDS = 60.0  # of a run, to say beforehand how long it will take


@dataclass
class Measured:
    """What is known of a case so far; `interrupted` after Ctrl-C."""

    case: Case
    environment: dict[str, Any]
    measurements: list[Measurement] = field(default_factory=list)
    layers: tuple[Layer, ...] = ()
    interrupted: bool = False
    unfinished: str | None = None  # what is still to come, while it is
    roofs: dict[str, Measurement] = field(default_factory=dict)  # its own, or another case's

    def receive(self, result: Measurement | dict[str, Any]) -> None:
        """Take what a worker sends: a measurement, or torch's part of the environment."""
        if not isinstance(result, Measurement):
            self.environment |= result
            return
        for index, known in enumerate(self.measurements):
            if known.metric == result.metric:
                self.measurements[index] = joined(known, result)
                break
        else:
            self.measurements.append(result)
        if result.metric in ROOF_METRICS:
            self.roofs[result.metric] = result
        self._derive()

    def predict(self, roofs: Mapping[str, Measurement]) -> None:
        """Say what these roofs let one expect, unless that was said already."""
        from benchbench.prediction import prediction

        by_name = {measurement.metric: measurement for measurement in self.measurements}
        found = prediction(self.case, by_name, roofs)
        if found is not None and found.metric not in by_name:
            self.measurements.append(found)

    def _derive(self) -> None:
        """How many times longer than its kernels alone a call takes, process by process."""
        from benchbench.profilers.device_time import launch_bound

        by_name = {measurement.metric: measurement for measurement in self.measurements}
        if "latency" not in by_name or "graph_time" not in by_name:
            return
        latencies, graphs = (by_name[name].medians for name in ("latency", "graph_time"))
        if len(latencies) != len(graphs):  # a process ended before it had both
            return
        ratios = (launch_bound(*both) for both in zip(latencies, graphs, strict=True))
        samples = tuple((ratio,) for ratio in ratios if ratio is not None)
        if samples:
            self.measurements = [m for m in self.measurements if m.metric != "launch_bound"]
            self.measurements.append(Measurement("launch_bound", samples=samples))


Kept = Callable[[Sequence[Measured]], None]  # called whenever a process has ended
Lend = Callable[[Measured], Sequence[Measurement]]  # roofs that are known already, or none


def measure(
    cases: Sequence[Case],
    profilers: ProfilerSettings,
    budget: BudgetSettings,
    progress: Progress,
    kept: Kept = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    lend: Lend = lambda _: (),
) -> list[Measured]:
    """Count the cases, then measure them in fresh processes, one of them at a time.

    `kept` is told what is known after each process, so that nothing of it can be lost any more;
    `say` receives warnings, how long the run will take, and whom it waits for. `lend` is asked for
    roofs before they are measured.

    Raises:
        UserError: a case cannot be built, fed or executed here. What `kept` was told holds.
    """
    checked = [_checked(case, profilers, progress) for case in cases]
    found = [measured for measured, _, _ in checked]
    for warning in dict.fromkeys(warning for measured in found for warning in _warnings(measured)):
        say(f"warning: {warning}")
    remaining = replace(profilers, fvcore=any(wanted.fvcore for _, wanted, _ in checked))
    plan = list(processes(cases, remaining, budget))
    if not plan:
        return found
    expected = estimate(cases, plan, [sized for _, _, sized in checked])
    if expected.seconds > WORTH_SAYING_SECONDS:
        say(str(expected))
    with machine_lock(cases[0].device_name, say) as remark:
        for measured in found:
            measured.environment |= {} if remark is None else {"lock": remark}
        try:
            with _prepared(found, budget, progress, executed=executes(plan)) as folders:
                _carry_out(_in_folders(plan, folders), found, budget, progress, kept, lend)
        except (Interrupted, KeyboardInterrupt):  # the latter between two processes
            for measured in found:
                measured.interrupted = True
    return found


@contextmanager
def _prepared(
    found: Sequence[Measured], budget: BudgetSettings, progress: Progress, *, executed: bool
) -> Iterator[list[str | None]]:
    """Export and compile what has to be, each case in a folder that is there while it is used.

    What a runtime computes is compared with eager fp32 here, before any of it is timed.
    """
    folders: list[str | None] = []
    remove_abandoned()
    every = [measured.case for measured in found]
    with TemporaryDirectory(prefix=temporary_prefix()) as parent:
        for original, case in zip(originals(every), every, strict=True):
            if not executed or not needs_preparation(case):
                folders.append(None)
                continue
            folder = Path(parent) / str(original)
            folder.mkdir(exist_ok=True)
            folders.append(str(folder))
        for indices in prepared_together(every) if executed else ():
            cases = tuple(
                replace(fed_one_tensor(found[index].case), prepared=folders[index])
                for index in indices
            )
            _do(Work(cases, PREPARING, budget), indices, found, progress)
        yield folders


def _in_folders(
    plan: Sequence[tuple[Work, Sequence[int]]], folders: Sequence[str | None]
) -> list[tuple[Work, Sequence[int]]]:
    """The same plan, with cases that know where they were prepared."""
    return [
        (
            replace(
                work,
                cases=tuple(
                    replace(case, prepared=folders[index])
                    for case, index in zip(work.cases, indices, strict=True)
                ),
            ),
            indices,
        )
        for work, indices in plan
    ]


def _carry_out(
    plan: Sequence[tuple[Work, Sequence[int]]],
    found: Sequence[Measured],
    budget: BudgetSettings,
    progress: Progress,
    kept: Kept,
    lend: Lend,
) -> None:
    for done, (work, indices) in enumerate(plan, start=1):
        if work.profilers != ROOFS or not _lent(found[indices[0]], lend):
            _do(work, indices, found, _scaled(progress, work, budget))
        if work.profilers == ROOFS:
            first = found[indices[0]]
            for measured in found:
                if measured.case.precision == first.case.precision:
                    measured.predict(first.roofs)
        for measured in found:
            measured.unfinished = f"{done} of {len(plan)} processes" if done < len(plan) else None
        kept(found)


def _checked(
    case: Case, profilers: ProfilerSettings, progress: Progress
) -> tuple[Measured, ProfilerSettings, Size | None]:
    """Refuse what cannot run before anything is measured, and count the rest."""
    measured = Measured(case, machine_environment())
    remarks = _check_input(case, profilers)
    if remarks:
        measured.environment["input"] = {"remarks": list(remarks)}
    network = network_revision(case.target)
    if network is not None:
        measured.environment["network_git"] = network
    from benchbench.device import check_device

    check_device(case)
    progress("complexity", 0.0)
    count = not (profilers.accuracy or profilers.agreement)
    weights, counted = look(case, partial(_looked_at, count=count))
    if weights is not None:
        measured.environment["weights"] = weights
    size = None if counted is None else size_of(counted)
    return measured, _count(measured, counted, profilers), size


def _warnings(measured: Measured) -> Sequence[str]:
    """What was assumed of a case and may be wrong: to be known before it is measured."""
    found: Sequence[str] = measured.environment.get("weights", {}).get("warnings", ())
    return found


def _check_input(case: Case, profilers: ProfilerSettings) -> tuple[str, ...]:
    """Refuse what cannot be fed; what to know of an image that can."""
    if case.calibration is not None:
        from benchbench.datasets.crops import check_photographs

        check_photographs("calibration", case.calibration, CALIBRATION_IMAGES)
    if profilers.accuracy:
        read_contents(case)
    elif profilers.agreement:
        from benchbench.datasets.crops import check_photographs

        check_photographs("input", case.input, case.crops or 0)
    else:
        return check_image(case)
    return ()


def _lent(measured: Measured, lend: Lend) -> bool:
    known = lend(measured)
    for measurement in known:
        measured.receive(measurement)
    return bool(known)


def _do(work: Work, indices: Sequence[int], found: Sequence[Measured], progress: Progress) -> None:
    """Run the worker and pass on its results.

    Results that contain no times are copied to every case with the same network.
    """
    first = originals([measured.case for measured in found])

    def received(index: int, result: Measurement | dict[str, Any]) -> None:
        own = indices[index]
        found[own].receive(result)
        if work.profilers in (PREPARING, KERNELS):
            for other, original in enumerate(first):
                if original == own != other:
                    found[other].receive(result)

    run(work, progress, received)


def _scaled(progress: Progress, work: Work, budget: BudgetSettings) -> Progress:
    """The progress of one process, with its number."""
    if budget.processes == 1:
        return progress
    which = f"process {work.number + 1} of {budget.processes}"
    return lambda name, fraction: progress(f"{name}, {which}", fraction)


def _count(
    measured: Measured, counted: Cost | None, profilers: ProfilerSettings
) -> ProfilerSettings:
    """Keep the counts that were asked for. Returns the profilers that are still worth running."""
    from benchbench.profilers.fvcore import LARGEST_MULTIPLY_ADDS, TOO_LARGE

    if counted is None:
        return profilers
    if profilers.complexity:
        measured.measurements += counted.measurements
        measured.layers = counted.layers
    if not profilers.fvcore or counted.multiply_adds <= LARGEST_MULTIPLY_ADDS:
        return profilers
    measured.measurements.append(absent("flops_fvcore", TOO_LARGE))
    return replace(profilers, fvcore=False)


def _looked_at(case: Case, *, count: bool) -> tuple[dict[str, Any] | None, Cost | None]:
    """What is known of a network's weights, and its counts.

    It is counted also where nobody asked, unless the operators without a formula may not stop it:
    that refuses what cannot run.
    """
    from benchbench.profilers.complexity import check_resolution, complexity

    weights = check_weights(case)
    if count:
        return weights, complexity(case)
    check_resolution(case, total_stride(build(case, "meta")))
    return weights, None
