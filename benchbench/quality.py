"""How far timed figures can be trusted: a grade, what was seen, and what to do about it.

Of an experiment whose networks take turns it is the ratios that are graded.

A: answers questions about 1 %. B: about 5 %. C: a rough order. D: not to be trusted.
The worst of all checks decides.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchbench.checks import CHECKS_OF, OF_DISTURBANCES, OF_TIMES_ALONE, Check
from benchbench.findings import Finding, Subject, percent
from benchbench.measure import Measured
from benchbench.metrics import METRICS

GRADES = ("A", "B", "C", "D")
# ImageNet's mean and deviation, which torchvision and timm use for most of their networks.
SHARED_PREPROCESSING = ("efficientnet", "torchvision")


def quality(measured: Measured) -> tuple[str | None, tuple[str, ...]]:
    """The grade of what was measured, and the reasons.

    It is that of times, where there are any, else of peaks of memory, else of any other figure.
    None where there is nothing to grade: counts are exact, and an accuracy has its own
    uncertainty.
    """
    subjects = [
        Subject(item, measured)
        for item in measured.measurements
        if item.flat and not METRICS[item.metric].exact
    ]
    kind = next((kind for kind in CHECKS_OF if any(_kind(one) == kind for one in subjects)), None)
    graded = [one for one in subjects if kind and _kind(one) == kind]
    checks = CHECKS_OF[kind] if kind else ()
    found = [finding for one in graded for check in checks for finding in _found(check, one)]
    # Of letters the last one is the worst.
    grade = max((finding.grade or "A" for finding in found), default="A") if graded else None
    undisturbed = [_undisturbed(one) for one in graded] if grade == "A" else []
    beside = [word for one in subjects if _kind(one) != kind for word in _disturbances(one)]
    warnings = measured.environment.get("weights", {}).get("warnings", ())
    findings = (finding.reason for finding in found)
    reasons = (*warnings, *undisturbed, *findings, *beside, *_remarks(measured))
    unique = tuple(dict.fromkeys(reasons))  # two metrics of one process were disturbed alike
    return grade, unique or tuple(_ungraded(measured))


def _kind(subject: Subject) -> str | None:
    return METRICS[subject.measurement.metric].checked_as


def _disturbances(subject: Subject) -> Iterator[str]:
    """What disturbed a figure that is not graded itself."""
    for check in OF_DISTURBANCES:
        yield from (f"{subject.measurement.metric}: {found.reason}" for found in check(subject))


def _ungraded(measured: Measured) -> Iterator[str]:
    """Why there is no grade. Only what METRICS calls exact is said to be."""
    inexact = [item for item in measured.measurements if not METRICS[item.metric].exact]
    if not inexact:
        yield "nothing but counts, which are exact"
    taken = [item for item in inexact if item.flat]
    if taken:
        count = max(len(item.medians) for item in taken)
        word = "one process" if count == 1 else f"{count} processes"
        names = ", ".join(item.metric for item in taken)
        yield f"measured in {word}, and neither exact nor graded: {names}"
    for item in inexact:
        if not item.flat:
            yield f"{item.metric} was not measured: {item.reason}"


def _found(check: Check, subject: Subject) -> Iterator[Finding]:
    """What a check finds; of an experiment in turns, whose ratios count, advice at most for some.

    Their intervals are taken of ratios, and what drifts from round to round falls out of these.
    """
    for finding in check(subject):
        if subject.measured.case.turn and check in OF_TIMES_ALONE:
            yield Finding(None, f"of times, and not of ratios in turn: {finding.reason}")
        else:
            yield finding


def _undisturbed(subject: Subject) -> str:
    metric, count = subject.measurement.metric, len(subject.medians)
    spread = percent(subject.spread)
    return f"{count} processes agree on {metric} within {spread}, no disturbance seen"


def _remarks(measured: Measured) -> Iterator[str]:
    """On weights, accuracy, what profilers said, and Ctrl-C."""
    taken = {item.metric for item in measured.measurements if item.samples}
    weights = measured.environment.get("weights", {})
    if weights and "peak_memory" in taken:
        yield "peak memory includes reading the checkpoint"
    yield from weights.get("remarks", ())
    yield from measured.environment.get("input", {}).get("remarks", ())
    if "top1" in taken:
        yield from _remarks_on_accuracy(measured)
    for item in measured.measurements:
        yield from item.details.get("remarks", ())
        for process in item.processes:
            yield from process.get("sensors", {}).get("remarks", ())
    yield from _remarks_on_the_run(measured)


def _remarks_on_the_run(measured: Measured) -> Iterator[str]:
    if measured.case.mode == "train":
        yield "counts are of the forward alone"
    yield from _remarks_on_cores(measured)
    if "lock" in measured.environment:
        yield str(measured.environment["lock"])
    if measured.unfinished is not None:
        yield f"unfinished: this is known after {measured.unfinished}"
    if measured.interrupted:
        yield "interrupted: this is what was measured until then"


def _remarks_on_cores(measured: Measured) -> Iterator[str]:
    """Which kind of core was measured, where there are several, and what was not obeyed."""
    kinds = measured.environment.get("machine", {}).get("core_kinds", {})
    processes = [process for item in measured.measurements for process in item.processes]
    used = {core for told in processes for core in (told.get("core"), *told.get("cores", ()))}
    names = [name for name, cores in kinds.items() if used & {*cores}]
    if names:
        yield f"of {len(kinds)} kinds of cores it ran on {' and '.join(names)}"
    if without := measured.environment.get("left_out"):
        yield f"measured without {', '.join(without)}: threads are placed by benchbench itself"


def _remarks_on_accuracy(measured: Measured) -> Iterator[str]:
    case = measured.case
    format_ = measured.environment.get("weights", {}).get("format")
    if format_ in ("torchvision", "timm") and case.preprocessing not in SHARED_PREPROCESSING:
        yield (
            f"images are prepared as {case.name}'s own code does it ({case.preprocessing}), and "
            f"{format_} trains most of its networks otherwise: see model.preprocessing"
        )
    if case.weights is None:
        if case.target.startswith("architectures."):
            yield "weights are random, so the accuracy is chance"
        else:
            yield f"weights are what {case.target} starts with: if random, the accuracy is chance"
    if measured.interrupted:
        yield "the first folders or files only were seen, so the interval does not hold for all"
    else:
        yield "the interval is about the choice of images alone"
