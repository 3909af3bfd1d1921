"""Checks of what was measured on a GPU, by what its driver told meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from benchbench.findings import INTERVAL, Finding, Subject, percent, worst_over


def gpu_clock(subject: Subject) -> Iterator[Finding]:
    """Blocks at a low clock were measured again; those that stayed low are kept and marked."""
    marked = sum(map(bool, subject.told("sensors", "blocks_marked")))
    rejected = sum(subject.told("sensors", "blocks_rejected"))
    causes = sorted({*chain.from_iterable(_lists(subject, "throttle_reasons"))})
    why = f" ({', '.join(map(str, causes))})" if causes else ""
    advice = "let it cool, and look at its power limit"
    if marked:
        yield Finding(
            "C",
            f"the GPU's clock stayed below 0.9 of the calibrated one in {marked} of "
            f"{len(subject.processes)} processes{why}; {advice}",
        )
    elif rejected:
        yield Finding(
            "B",
            f"the GPU's clock fell below 0.9 of the calibrated one{why}, and blocks were measured "
            f"again: {rejected}; {advice}",
        )
    elif causes:
        yield Finding("B", f"the driver held the GPU's clock down{why}; {advice}")


def gpu_neighbours(subject: Subject) -> Iterator[Finding]:
    """Also while it was to be idle, so as to know what idling takes."""
    used = [process.get("idle_utilisation") for process in subject.processes]
    busy = max((share for share in used if isinstance(share, int | float)), default=0.0)
    if busy:
        yield Finding(
            "C", f"something used the GPU for {percent(busy)} of the time that it was to be idle"
        )
    foreign = max(map(len, _lists(subject, "foreign_processes")), default=0)
    if foreign:
        yield Finding("C", f"other processes on the GPU: {foreign}; measure when they are done")


def two_ways_to_energy(subject: Subject) -> Iterator[Finding]:
    """Two sensors of one board, which ought to say the same."""
    by_name = {item.metric: item.value for item in subject.measured.measurements}
    counted, integrated = by_name.get("energy"), by_name.get("energy_integrated")
    if subject.measurement.metric != "energy" or not counted or not integrated:
        return
    apart = abs(integrated / counted - 1)
    if grade := worst_over(apart, INTERVAL):
        yield Finding(
            grade, f"the driver's counter of energy and its power differ by {percent(apart)}"
        )


def _lists(subject: Subject, name: str) -> list[list[Any]]:
    return [found for found in subject.told("sensors", name) if isinstance(found, list)]
