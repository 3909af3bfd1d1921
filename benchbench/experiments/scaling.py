"""What scaling costs: the grid around EfficientNet-B0, B0 to B7 against 2^phi, and Table 3.

Cases say in `axes` which part they are of: `grid` (a point of the grid search at phi = 1), `phi`
(a published network, or B0 at exactly that phi), and `table` (a row of the paper's tables, its
network's rows in turn).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import exp
from typing import NamedTuple

from architectures.scaling import ALPHA, BETA, GAMMA, Scale, compound, growth
from benchbench.config import ProfilerSettings
from benchbench.errors import NoEvidence
from benchbench.experiments.published_scaling import BASELINE
from benchbench.records import Record
from benchbench.rounds import log_ratios
from benchbench.statistics.intervals import Interval, mean_interval

COUNTED = ProfilerSettings(complexity=True)
MEASURED = ProfilerSettings(complexity=True, latency=True, memory=True, roofs=True)
CURRENCIES = (
    *("multiply_adds", "params", "activations", "launches"),
    *("memory_access_paper", "memory_access_ops", "memory_access_fused"),
)
ROUNDING = 0.05  # of what is printed with one decimal


class Point(NamedTuple):
    """A point of the grid: how many times as much as B0 it takes, currency by currency."""

    scale: Scale
    ratios: Mapping[str, float]
    record: Record

    @property
    def over_aimed(self) -> float:
        """Multiply-adds over what depth x width^2 x resolution^2 promises."""
        return self.ratios["multiply_adds"] / growth(self.scale)


class Standing(NamedTuple):
    """Where the paper's point stands in one currency per multiply-add."""

    currency: str
    paper: float  # times B0's
    per_multiply_add: float  # that over the ratio of multiply-adds
    rank: int  # among all points, the least per multiply-add first
    least: Point
    most: Point


class Step(NamedTuple):
    """A published network against 2^phi, and what the miss is made of: its factors multiply up."""

    name: str
    phi: float
    ratio: float  # multiply-adds over B0's
    constants: float  # (alpha beta^2 gamma^2 / 2)^phi: the constants' product is 1.92
    coefficients: float  # of the published factors, over the constants' powers
    rounding: float  # whole blocks, channels and pixels, and what does not scale so
    blocks: int
    unrounded_blocks: float
    exactly: float | None  # the ratio of B0 at exactly this phi

    @property
    def miss(self) -> float:
        """How many times 2^phi it is."""
        return self.ratio / 2**self.phi


class Scaled(NamedTuple):
    """A row of the paper's tables, counted and, where it was, measured."""

    record: Record
    network: str
    way: str
    scale: Scale
    solved: bool  # the factors are not printed: phi was solved for the multiply-adds
    billions: float  # printed
    top1: float  # printed
    ratios: Mapping[str, float]  # of what is counted, to the baseline
    latency_ratio: float | None
    latency_interval: Interval | None  # 95 %, over processes
    memory_ratio: float | None
    predicted_ratio: float | None

    @property
    def agrees(self) -> bool:
        """Whether counting gives what is printed, within its digits."""
        counted = (self.record["multiply_adds"].value or 0) / 1e9
        return abs(counted - self.billions) <= ROUNDING + 1e-9

    @property
    def per_multiply_add(self) -> float | None:
        """The ratio of latencies over that of multiply-adds; below 1 it pays."""
        if self.latency_ratio is None:
            return None
        return self.latency_ratio / self.ratios["multiply_adds"]


class Scaling(NamedTuple):
    points: tuple[Point, ...]
    paper: Point | None  # the published constants' point of them
    standings: tuple[Standing, ...]
    steps: tuple[Step, ...]
    rows: tuple[Scaled, ...]
    exchanged: tuple[tuple[str, str, str], ...]  # network, and two rows that read as if exchanged


def judge(records: Sequence[Record]) -> Scaling:
    """Judge the records of a run, or of its counted or measured part alone.

    Raises:
        NoEvidence: there are none of this task.
    """
    parts: dict[str, list[Record]] = {}
    for record in records:
        parts.setdefault(str(record.case.axes.get("part")), []).append(record)
    base = next((r for r in parts.get("phi", ()) if r.case.name == "efficientnet_b0"), None)
    points = tuple(_points(parts.get("grid", ()), base))
    paper = next((p for p in points if p.scale == compound(1)), None)
    rows = tuple(_rows(parts.get("table", ())))
    if not rows and base is None:
        raise NoEvidence("no record of task=scaling: neither counts nor timed networks")
    return Scaling(
        points=points,
        paper=paper,
        standings=tuple(_standings(points, paper)),
        steps=tuple(_steps(parts.get("phi", ()), base)),
        rows=rows,
        exchanged=tuple(_exchanged(rows)),
    )


def _ratios(record: Record, base: Record) -> dict[str, float]:
    return {name: _value(record, name) / _value(base, name) for name in CURRENCIES}


def _value(record: Record, name: str) -> float:
    return float(record[name].value or 0.0)


def _points(records: Sequence[Record], base: Record | None) -> Iterator[Point]:
    if base is not None:
        for record in records:
            scale = Scale(**{key: record.case.axes[key] for key in Scale._fields})
            yield Point(scale, _ratios(record, base), record)


def _standings(points: Sequence[Point], paper: Point | None) -> Iterator[Standing]:
    if paper is None:
        return
    for name in CURRENCIES:
        # Multiply-adds themselves are set against what the factors promise.
        each = {
            id(p): p.over_aimed if name == "multiply_adds" else _per_multiply_add(p, name)
            for p in points
        }
        ordered = sorted(points, key=lambda point: each[id(point)])
        own = each[id(paper)]
        rank = 1 + sum(value < own - 1e-12 for value in each.values())
        yield Standing(name, paper.ratios[name], own, rank, ordered[0], ordered[-1])


def _per_multiply_add(point: Point, name: str) -> float:
    return point.ratios[name] / point.ratios["multiply_adds"]


def _steps(records: Sequence[Record], base: Record | None) -> Iterator[Step]:
    if base is None:
        return
    exact = {r.case.axes["phi"]: r for r in records if not r.case.axes["published"]}
    for record in records:
        if not record.case.axes["published"]:
            continue
        phi = float(record.case.axes["phi"])
        ratio = _value(record, "multiply_adds") / _value(base, "multiply_adds")
        own = _published_scale(record, base)
        constant = (ALPHA * BETA**2 * GAMMA**2) ** phi
        exactly = exact.get(phi)
        yield Step(
            name=record.case.name,
            phi=phi,
            ratio=ratio,
            constants=constant / 2**phi,
            coefficients=growth(own) / constant,
            rounding=ratio / growth(own),
            blocks=_blocks(record),
            unrounded_blocks=_blocks(base) * own.depth,
            exactly=None
            if exactly is None
            else _value(exactly, "multiply_adds") / _value(base, "multiply_adds"),
        )


def _published_scale(record: Record, base: Record) -> Scale:
    arguments = record.case.arguments
    return Scale(
        width=float(arguments.get("width", 1.0)),
        depth=float(arguments.get("depth", 1.0)),
        resolution=record.case.resolution / base.case.resolution,
    )


def _blocks(record: Record) -> int:
    """MBConv blocks: each has one depthwise convolution."""
    return sum(layer.kind.startswith("depthwise") for layer in record.layers)


def _rows(records: Sequence[Record]) -> Iterator[Scaled]:
    bases = {r.case.axes["network"]: r for r in records if r.case.axes["way"] == BASELINE}
    for record in records:
        axes = record.case.axes
        base = bases.get(axes["network"])
        if base is None:
            continue
        logs = _log_ratios(record, base)
        interval = mean_interval(logs)
        yield Scaled(
            record=record,
            network=axes["network"],
            way=axes["way"],
            scale=Scale(**{key: axes[key] for key in Scale._fields}),
            solved=axes["solved"],
            billions=axes["billions"],
            top1=axes["top1"],
            ratios=_ratios(record, base),
            latency_ratio=exp(sum(logs) / len(logs)) if logs else None,
            latency_interval=interval
            and interval._replace(low=exp(interval.low), high=exp(interval.high)),
            memory_ratio=_measured_ratio(record, base, "peak_memory"),
            predicted_ratio=_measured_ratio(record, base, "predicted_latency"),
        )


def _log_ratios(record: Record, base: Record) -> list[float]:
    latency, other = record.get("latency"), base.get("latency")
    if latency is None or other is None or not latency.samples or not other.samples:
        return []
    return log_ratios(latency, other)


def _measured_ratio(record: Record, base: Record, name: str) -> float | None:
    values = [found.value if (found := each.get(name)) else None for each in (record, base)]
    return values[0] / values[1] if values[0] and values[1] else None


def _exchanged(rows: Sequence[Scaled]) -> Iterator[tuple[str, str, str]]:
    """Pairs of one network's rows that disagree as printed and would agree if exchanged.

    Within 1 %: what is printed with three digits.
    """
    for number, one in enumerate(rows):
        for other in rows[number + 1 :]:
            if one.network != other.network or one.agrees or other.agrees:
                continue
            counts = [(row.record["multiply_adds"].value or 0) / 1e9 for row in (one, other)]
            if all(
                abs(count / printed - 1) < 0.01
                for count, printed in zip(counts, (other.billions, one.billions), strict=True)
            ):
                yield one.network, one.way, other.way
