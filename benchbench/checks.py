"""Checks of a measurement: what each saw, the best grade that leaves, and what to do about it.

A check that finds nothing to look at, as in an old record or where a system does not tell, finds
nothing. No clock and no input: what was measured is all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from statistics import median
from typing import Any, NamedTuple

from benchbench.measure import Measured
from benchbench.measurements import Measurement


class Finding(NamedTuple):
    """What a check saw: the best grade that leaves, None for advice alone, and the reason."""

    grade: str | None
    reason: str


class Subject(NamedTuple):
    """What a check looks at: one measurement, and where it was taken."""

    measurement: Measurement
    measured: Measured

    @property
    def processes(self) -> Sequence[Mapping[str, Any]]:
        """What each process told of itself."""
        told: Sequence[Mapping[str, Any]] = self.measurement.details.get("processes", ())
        return told

    @property
    def medians(self) -> list[float]:
        """One for each process that came to a sample."""
        return [median(process) for process in self.measurement.samples if process]

    @property
    def spread(self) -> float:
        """How far apart the processes' medians lie, as a share of the middle one."""
        middle = median(self.medians)
        return (max(self.medians) - min(self.medians)) / middle if middle else 0.0

    def told(self, group: str, name: str) -> list[Any]:
        """A value of each process that has it."""
        values = ((process.get(group) or {}).get(name) for process in self.processes)
        return [value for value in values if value is not None]


class Limit(NamedTuple):
    over: float
    grade: str


# Each with its worst grade first.
#
# The grade's promise itself: A's is 1 %, B's is 5 %. Past 20 % not even the order is known.
INTERVAL = (Limit(0.20, "D"), Limit(0.05, "C"), Limit(0.01, "B"))
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
# An allocator and a high-water mark give much the same each time, so fewer processes will do.
FEWEST_PEAKS = ((2, "C"), (3, "B"))


def worst_over(value: float, limits: Sequence[Limit]) -> str | None:
    """The grade of the highest limit that a value is over; None where it is over none."""
    return next((limit.grade for limit in limits if value > limit.over), None)


def percent(share: float) -> str:
    """A share as text: `percent(0.034)` is "3.4 %"."""
    return f"{100 * share:.1f} %"


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
    if not any(process.get("sentinels") for process in subject.processes):
        yield Finding("B", "nothing tells whether other work disturbed it; measure again")


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


def _sensors(subject: Subject) -> Iterator[Finding]:
    """Of a GPU. What a sensor does not tell is a sentence, and no list."""
    marked = sum(map(bool, subject.told("sensors", "blocks_marked")))
    if marked:
        causes = sorted({*chain.from_iterable(_lists(subject, "throttle_reasons"))})
        why = f" ({', '.join(map(str, causes))})" if causes else ""
        yield Finding(
            "C",
            f"the GPU's clock stayed below 0.9 of the calibrated one in {marked} of "
            f"{len(subject.processes)} processes{why}; let it cool, and look at its power limit",
        )
    foreign = max(map(len, _lists(subject, "foreign_processes")), default=0)
    if foreign:
        yield Finding("C", f"other processes on the GPU: {foreign}; measure when they are done")


def _lists(subject: Subject, name: str) -> list[list[Any]]:
    return [found for found in subject.told("sensors", name) if isinstance(found, list)]


def _settings(subject: Subject) -> Iterator[Finding]:
    """What is the user's to choose, and others may have chosen otherwise: advice alone."""
    environment = subject.measured.environment
    if environment.get("machine", {}).get("governor") == "powersave":
        yield Finding(None, "the power governor is powersave; performance gives steadier figures")
    variables = sorted({*environment.get("variables", ())}.difference(HARMLESS))
    if variables:
        names = ", ".join(variables)
        yield Finding(None, f"set in this environment: {names}; unset what you did not mean to set")


def _processes_of_peaks(subject: Subject) -> Iterator[Finding]:
    count = len(subject.medians)
    grade = next((grade for fewest, grade in FEWEST_PEAKS if count < fewest), None)
    if grade:
        word = "one process" if count == 1 else f"{count} processes"
        yield Finding(grade, f"peak memory comes from {word}; measure again to compare")


def _spread_of_peaks(subject: Subject) -> Iterator[Finding]:
    spread = subject.spread
    if grade := worst_over(spread, INTERVAL):
        metric = subject.measurement.metric
        yield Finding(
            grade, f"{metric} differs by {percent(spread)} between processes; measure again"
        )


Check = Callable[[Subject], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    *(_processes, _interval, _activations, _probe, _warm_up, _unwatched),
    *(_cpu_share, _switches, _neighbours, _steal, _throttled, _clock, _sensors, _settings),
)
# What they see moves times, but not ratios of times that were taken in turn.
OF_TIMES_ALONE: tuple[Check, ...] = (_interval, _probe, _warm_up)
CHECKS_OF_PEAKS: tuple[Check, ...] = (_processes_of_peaks, _spread_of_peaks)
