"""Checks of a measurement: what each saw, the best grade that leaves, and what to do about it.

A check that finds nothing to look at, as in an old record or where a system does not tell, finds
nothing. No clock and no input: what was measured is all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from statistics import median
from typing import Any

from benchbench.findings import INTERVAL, Finding, Limit, Subject, percent, worst_over
from benchbench.gpu_checks import gpu_clock, gpu_neighbours, two_ways_to_energy
from benchbench.metrics import METRICS

# Each with its worst grade first.
# Two processes have one degree of freedom: Student's factor is 12.7, so that their agreement is
# luck. With 3 it is 4.3 and with 5 it is 2.8: simulated at a spread of 0.4 % between processes,
# 3 find an effect of 3 % half of the time, 5 always.
FEWEST_PROCESSES = ((2, "D"), (3, "C"), (5, "B"))
# A probe that does the same work every time can only have been disturbed.
PROBE_DRIFT = (Limit(0.05, "C"),)
# Fewer and a median is that of one or two samples, which any interrupt moves.
FEWEST_PROBES = 3
STEAL = (Limit(0.05, "C"), Limit(0.01, "B"))
# What one thread did not get of its core's time: 5 % is as much as B promises to see.
NOT_COMPUTING = (Limit(0.20, "C"), Limit(0.05, "B"))
# The kernel's own work takes a core a few times a second. Measured: 87 times where a process got
# 73 % of its core.
SWITCHES = (Limit(50, "B"),)
# A clock that falls so far has met a limit of heat or power. One that rises was not yet warm,
# which is the warm-up's to notice.
CLOCK_FALL = (Limit(0.05, "B"),)
# Half of the processes or more, and it is the network or the machine that is not steady.
NEVER_STEADY = (Limit(0.49, "C"), Limit(0.0, "B"))
# Which GPU is visible changes no figure, and workers set their own number of threads.
HARMLESS = (
    *("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
)
# An allocator, a high-water mark and a meter of energy give much the same each time, so fewer
# processes will do. What is only ever taken in one process is a rough order.
FEWEST_OF_OTHERS = ((2, "C"), (3, "B"))
# Of a call under a profiler.
OVERHEAD = (Limit(0.20, "C"), Limit(0.05, "B"))


def _processes(subject: Subject) -> Iterator[Finding]:
    metric, count = subject.measurement.metric, len(subject.medians)
    grade = next((grade for fewest, grade in FEWEST_PROCESSES if count < fewest), None)
    if count == 1:
        yield Finding(
            grade,
            f"{metric} comes from one process, and between processes it changes up to tenfold "
            "more than within one; budget=standard takes 5",
        )
    elif grade:
        yield Finding(grade, f"{metric} comes from {count} processes; budget=standard takes 5")


def _interval(subject: Subject) -> Iterator[Finding]:
    """One process's own interval does not count."""
    metric, interval = subject.measurement.metric, subject.measurement.interval
    value = subject.measurement.value
    if len(subject.medians) == 1:
        return
    if interval is None or not value:
        yield Finding("C", f"{metric} has no interval between processes; measure again")
        return
    half = (interval.high - interval.low) / 2 / value
    if grade := worst_over(half, INTERVAL):
        yield Finding(
            grade,
            f"{metric}'s 95 % interval is ±{percent(half)}; quieten the machine, or take more "
            "processes: budget=rigorous takes 10",
        )


def _warm_up(subject: Subject) -> Iterator[Finding]:
    warm_ups = [process.get("warm_up") or {} for process in subject.processes]
    short = sum("steady" in one and one["steady"] is None for one in warm_ups)
    if short:
        yield Finding(
            "B",
            f"in {short} of {len(warm_ups)} processes the warm-up had too few calls to tell "
            "whether it became steady; raise budget.warm_up_limit_seconds",
        )
    steady = subject.told("warm_up", "steady")
    never = sum(not one for one in steady)
    if never and (grade := worst_over(never / len(steady), NEVER_STEADY)):
        yield Finding(
            grade,
            f"{never} of {len(steady)} processes never became steady; "
            "raise budget.warm_up_limit_seconds",
        )


def _probe(subject: Subject) -> Iterator[Finding]:
    """The control probe within each process, from quarter to quarter, and between them."""
    probes = [process.get("probe") or () for process in subject.processes]
    probes = [probe for probe in probes if len(probe) >= FEWEST_PROBES]
    quarters = [_quarters(probe) for probe in probes if len(probe) >= 4 * FEWEST_PROBES]
    within = max((_drift(medians) for medians in quarters), default=0.0)
    between = _drift([median(probe) for probe in probes]) if probes else 0.0
    for drift, where in ((within, "within a process"), (between, "between processes")):
        if grade := worst_over(drift, PROBE_DRIFT):
            yield Finding(
                grade,
                f"contaminated: the control probe, always the same work, drifted by "
                f"{percent(drift)} {where}; measure again when nothing else runs",
            )


def _quarters(samples: Sequence[float]) -> list[float]:
    """The median of each quarter, in their order in time."""
    edges = [len(samples) * number // 4 for number in range(5)]
    return [median(samples[low:high]) for low, high in pairwise(edges)]


def _drift(medians: Sequence[float]) -> float:
    return max(medians) / min(medians) - 1 if min(medians) > 0 else 0.0


def _unwatched(subject: Subject) -> Iterator[Finding]:
    """Where nobody looked, nothing was seen."""
    if not any(map(_watched, subject.processes)):
        yield Finding("B", "nothing tells whether other work disturbed it; measure again")


def _unwatched_figure(subject: Subject) -> Iterator[Finding]:
    """The same of figures whose processes tell of themselves; for others no advice would help."""
    if subject.processes:
        yield from _unwatched(subject)


def _watched(process: Mapping[str, Any]) -> bool:
    """By sentinels on the host, or by a driver that knew which processes are on the GPU.

    A driver that could not tell them apart left a sentence, and no list.
    """
    foreign = (process.get("sensors") or {}).get("foreign_processes")
    return bool(process.get("sentinels")) or isinstance(foreign, list)


def _steal(subject: Subject) -> Iterator[Finding]:
    worst = max(subject.told("sentinels", "steal_share"), default=0.0)
    if grade := worst_over(worst, STEAL):
        yield Finding(
            grade,
            f"the hypervisor gave {percent(worst)} of the cores' time to others; measure at "
            "another hour or on a dedicated machine",
        )


def _throttled(subject: Subject) -> Iterator[Finding]:
    periods = sum(subject.told("sentinels", "throttled_periods"))
    worst = max(subject.told("sentinels", "throttled_share"), default=0.0)
    if periods or worst:
        yield Finding(
            "C",
            f"throttled by the quota of a control group (periods: {periods:.0f}, up to "
            f"{percent(worst)} of the time); raise the container's share of the cores",
        )


def _cpu_share(subject: Subject) -> Iterator[Finding]:
    """Of one thread on the CPU: several wait for each other, and a GPU is waited for."""
    shares = subject.told("sentinels", "cpu_share")
    if not shares or subject.measured.case.threads != 1 or subject.measured.case.device != "cpu":
        return
    if grade := worst_over(1 - min(shares), NOT_COMPUTING):
        yield Finding(
            grade,
            f"a process got only {percent(min(shares))} of its core's time; stop what else runs",
        )


def _switches(subject: Subject) -> Iterator[Finding]:
    told = subject.told("sentinels", "involuntary_switches_per_second")
    worst = max(told, default=0.0) / subject.measured.case.threads
    if grade := worst_over(worst, SWITCHES):
        yield Finding(
            grade, f"a core was taken away {worst:.0f} times a second; stop what else runs"
        )


def _neighbours(subject: Subject) -> Iterator[Finding]:
    """Other threads than there are cores left, by what ran at both ends and in the last minute.

    The load alone allows B: it still holds what ended before the measurement began.
    """
    cores = subject.measured.environment.get("machine", {}).get("logical_cores")
    if cores is None:
        return
    idle = max(0, cores - subject.measured.case.threads)
    runnable = max(subject.told("sentinels", "runnable"), default=0)
    load = max(subject.told("sentinels", "load"), default=0.0)
    if runnable > idle:
        yield Finding(
            "C",
            f"threads of others that wanted to run: {runnable:.0f}, with {idle} of {cores} cores "
            "left for them; stop what else runs",
        )
    elif load > cores:
        yield Finding(
            "B", f"the load was {load:.1f} on {cores} cores; wait a minute, and measure again"
        )


def _clock(subject: Subject) -> Iterator[Finding]:
    for process in subject.processes:
        sentinels = process.get("sentinels") or {}
        before, after = (sentinels.get(f"frequency_mhz_{end}") for end in ("before", "after"))
        if before and after and (grade := worst_over(1 - after / before, CLOCK_FALL)):
            yield Finding(
                grade,
                f"the clock fell from {before:.0f} to {after:.0f} MHz; let the machine cool, and "
                "see that it is on mains power",
            )
            return


def _activations(subject: Subject) -> Iterator[Finding]:
    """Subnormal numbers are slower than others. Inf, nan and zeros are no work at all."""
    problems = [*dict.fromkeys(chain.from_iterable(subject.told("activations", "problems")))]
    slow = [problem for problem in problems if "subnormal" in problem]
    for grade, these in (("D", [one for one in problems if one not in slow]), ("C", slow)):
        if these:
            more = f" and {len(these) - 1} more like it" if len(these) > 1 else ""
            yield Finding(grade, f"{these[0]}{more}; choose other weights, input or precision")


def _settings(subject: Subject) -> Iterator[Finding]:
    """What is the user's to choose, and others may have chosen otherwise: advice alone."""
    environment = subject.measured.environment
    if environment.get("machine", {}).get("governor") == "powersave":
        yield Finding(None, "the power governor is powersave; performance gives steadier figures")
    variables = sorted({*environment.get("variables", ())}.difference(HARMLESS))
    if variables:
        names = ", ".join(variables)
        yield Finding(None, f"set in this environment: {names}; unset what you did not mean to set")


def _few_processes(subject: Subject) -> Iterator[Finding]:
    count, metric = len(subject.medians), subject.measurement.metric
    grade = next((grade for fewest, grade in FEWEST_OF_OTHERS if count < fewest), None)
    if grade:
        what = "peak memory" if METRICS[metric].checked_as == "peak" else metric
        word = "one process" if count == 1 else f"{count} processes"
        yield Finding(grade, f"{what} comes from {word}; measure again to compare")


def _spread(subject: Subject) -> Iterator[Finding]:
    spread = subject.spread
    if grade := worst_over(spread, INTERVAL):
        metric = subject.measurement.metric
        yield Finding(
            grade, f"{metric} differs by {percent(spread)} between processes; measure again"
        )


def _profiler_overhead(subject: Subject) -> Iterator[Finding]:
    """A profiler takes about the same for each operator, however short that is."""
    over = subject.measurement.details.get("overhead", 1.0) - 1
    if grade := worst_over(over, OVERHEAD):
        yield Finding(
            grade,
            f"a call took {percent(over)} longer under the profiler than without it, and short "
            "operators look longer than they are; compare the long ones",
        )


Check = Callable[[Subject], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    *(_processes, _interval, _activations, _probe, _warm_up, _unwatched),
    *(_cpu_share, _switches, _neighbours, _steal, _throttled, _clock),
    *(gpu_clock, gpu_neighbours, _settings),
)
# What they see moves times, but not ratios of times that were taken in turn.
OF_TIMES_ALONE: tuple[Check, ...] = (_interval, _probe, _warm_up)
# By what METRICS says a metric is checked as. Of those that a record has, the first are graded.
CHECKS_OF: Mapping[str, tuple[Check, ...]] = {
    "time": CHECKS,
    "peak": (_few_processes, _spread),
    "figure": (
        *(_few_processes, _spread, _unwatched_figure, gpu_clock, gpu_neighbours),
        *(_profiler_overhead, two_ways_to_energy),
    ),
}
# What they see of a figure beside those that are graded is worth a word.
OF_DISTURBANCES: tuple[Check, ...] = (gpu_clock, gpu_neighbours)
