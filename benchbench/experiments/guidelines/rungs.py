"""One network of a ladder beside the first: how much slower, in which currency. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import exp, log
from statistics import fmean
from typing import Any, NamedTuple

from benchbench.experiments.guidelines.ladders import BASE, published
from benchbench.experiments.guidelines.rule import interval
from benchbench.records import Record
from benchbench.rounds import log_ratios


class Rung(NamedTuple):
    """One network beside the first of its ladder. Slowdowns are logarithms, by process.

    They are of multiply-adds per second; `work` and `bytes` are what others of it are told from.
    """

    record: Record
    scale: str
    axis: str
    label: str
    slowdowns: tuple[float, ...]
    predicted: float | None  # slowdown, from the probes
    padded: float | None  # log of padded over counted multiply-adds, less the first rung's
    paper: tuple[float, float, float] | None  # relative images/s as printed, and what digits allow
    work: float  # log of its multiply-adds over the first rung's
    bytes: float  # the same of memory_access_fused

    @property
    def speed(self) -> float | None:
        """Multiply-adds per second."""
        seconds, work = self.record["latency"].value, self.record["multiply_adds"].value
        return None if not seconds or work is None else work / seconds

    @property
    def images(self) -> float | None:
        """Images per second."""
        seconds = self.record["latency"].value
        return self.record.case.batch_size / seconds if seconds else None

    @property
    def foreseen(self) -> float | None:
        """Relative speed, from the probes."""
        return None if self.predicted is None else exp(-self.predicted)


def rungs_of(records: Sequence[Record]) -> Iterator[Rung]:
    """Each with its slowdown against the first rung of its own set."""
    for members in grouped(records, lambda r: (r.session, r.case.turn)).values():
        base = next((r for r in members if r.case.axes["axis"] == BASE), None)
        if base is not None:
            yield from (_rung(record, base) for record in members)


def _rung(record: Record, base: Record) -> Rung:
    axes = record.case.axes
    work = log(counted(record, "multiply_adds") / counted(base, "multiply_adds"))
    times = [0.0] if record is base else log_ratios(record["latency"], base["latency"])
    predicted = [one.get("predicted_latency") for one in (record, base)]
    expected = [one.value for one in predicted if one is not None and one.value]
    padded = [one.get("multiply_adds_padded") for one in (record, base)]
    filled = [float(one.value) for one in padded if one is not None and one.value]
    return Rung(
        record,
        scale=axes["scale"],
        axis=axes["axis"],
        label=axes["label"],
        slowdowns=tuple(time - work for time in times),
        predicted=log(expected[0] / expected[1]) - work if len(expected) == 2 else None,
        padded=log(filled[0] / filled[1]) - work if len(filled) == 2 else None,
        paper=_paper(axes) if axes.get("setting") else None,
        work=work,
        bytes=log(counted(record, "memory_access_fused") / counted(base, "memory_access_fused")),
    )


def counted(record: Record, metric: str) -> float:
    """A count that every record of a ladder has."""
    value = record[metric].value
    assert value is not None
    return float(value)


def _paper(axes: Mapping[str, Any]) -> tuple[float, float, float] | None:
    scale, _, column = axes["scale"].partition(" ")
    return paper_speed(axes["guideline"], axes["setting"], scale, column)


def paper_speed(
    guideline: str, setting: str, scale: str, column: str
) -> tuple[float, float, float] | None:
    """Relative images/s in the paper's table, and the interval that its printed digits leave."""
    rows = {
        row.setting: row
        for row in published()
        if (row.guideline, row.column, row.scale) == (guideline, column, scale)
    }
    first, own = rows.get(_FIRST[guideline]), rows.get(setting)
    if own is None or first is None:
        return None
    (value, half), (base, base_half) = (_printed(row.value) for row in (own, first))
    if own is first:
        return 1.0, 1.0, 1.0
    return value / base, (value - half) / (base + base_half), (value + half) / (base - base_half)


_FIRST = {
    "g1": "c1:c2=1:1",
    "g2": "g=1",
    "g3": "1-fragment",
    "g4": "ReLU=no;shortcut=no",
}


def _printed(text: str) -> tuple[float, float]:
    """A printed figure, and half a unit of its last digit."""
    decimals = len(text.partition(".")[2])
    return float(text), 0.5 * 10.0**-decimals


def kernels(record: Record) -> frozenset[str] | None:
    """What executed its convolutions: kernels, and how often for one where not once."""
    measured = record.get("executed_kernels")
    if measured is None or not measured.samples:
        return None
    rows = measured.details["kernels"]
    return frozenset(name if calls == 1 else f"{name} x{calls}" for _, name, calls in rows)


class Speed(NamedTuple):
    """Over the first rung's, with the interval over processes."""

    value: float  # NaN where nothing was timed
    bounds: tuple[float, float] | None

    def times(self, factor: float) -> Speed:
        """The same of something of which each call has so many times as much."""
        bounds = self.bounds and (self.bounds[0] * factor, self.bounds[1] * factor)
        return Speed(self.value * factor, bounds)


def relative_speed(rung: Rung, level: float) -> Speed:
    """Multiply-adds per second over the first rung's."""
    bounds = interval(rung.slowdowns, level)
    value = exp(-fmean(rung.slowdowns)) if rung.slowdowns else float("nan")
    return Speed(value, None if bounds is None else (exp(-bounds[1]), exp(-bounds[0])))


def relative_images(rung: Rung, level: float) -> Speed:
    """Images per second over the first rung's."""
    return relative_speed(rung, level).times(exp(-rung.work))


def relative_bytes(rung: Rung, level: float) -> Speed:
    """Bytes per second, of what fused kernels have to move, over the first rung's."""
    return relative_speed(rung, level).times(exp(rung.bytes - rung.work))


def grouped(records: Sequence[Record], key: Any) -> dict[Any, list[Record]]:
    """Records by what `key` makes of each, in order."""
    found: dict[Any, list[Record]] = {}
    for record in records:
        found.setdefault(key(record), []).append(record)
    return found
