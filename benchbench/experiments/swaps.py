"""What a violation costs: a layer beside one that obeys, with equal multiply-adds, both timed.

G1: widths at which as many elements are read as written (equal ones at stride 1), groups as they
are. G2: one group, of widths smaller by sqrt(g). Channels are whole, so multiply-adds are missed by
some percent; times are divided by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import ceil, exp, floor, lcm, log, prod, sqrt
from statistics import fmean
from typing import NamedTuple

from benchbench.cases import Case
from benchbench.config import ProfilerSettings
from benchbench.counting.split import Convolved
from benchbench.experiments.audit import Alike
from benchbench.measurements import Measurement
from benchbench.records import Record
from benchbench.rounds import log_ratios
from benchbench.statistics.intervals import Interval, mean_interval

PROFILERS = ProfilerSettings(complexity=True, latency=True, roofs=True, kernels=True)
SWAPPED = 3  # layers of each guideline
REPEATS = 4  # of a convolution in a call
TARGET = "architectures.lone_convolutions.LoneConvolutions"
# Channels that fill whole vectors keep doing so where that misses by no more than this.
STEPS = (8, 4, 2, 1)
TOLERANCE = 0.05
OWN, COMPLIANT = "own", "compliant"


class Widths(NamedTuple):
    """What a layer would have instead."""

    in_channels: int
    out_channels: int
    groups: int


class Swap(NamedTuple):
    """A layer and its compliant twin. Seconds are of all layers like it, of one call."""

    guideline: str
    layer: str
    alike: int  # how many layers are like it, itself included
    own: Record
    compliant: Record
    miss: float  # compliant multiply-adds over its own, less 1
    seconds: float  # what it costs more than the twin; negative: the twin is slower
    interval: Interval | None  # 95 %, over processes
    share: float | None  # of the network's own latency
    share_interval: Interval | None
    other_kernel: bool | None  # whether the two were executed by different kernels; None: unseen
    as_in_network: bool | None  # whether its own kernel was the one that the network ran

    @property
    def grade(self) -> str | None:
        """The quality of the worse of the two."""
        grades = [record.quality.grade for record in (self.own, self.compliant)]
        return None if None in grades else max(grade for grade in grades if grade)

    @property
    def decided(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.interval is not None and (self.interval.low > 0 or self.interval.high < 0)


def compliant(row: Convolved, guideline: str) -> Widths:
    """The widths and groups that obey a guideline, at the multiply-adds of the layer or near."""
    if guideline == "G1":
        read, written = (prod(size) for size in (row.input_size, row.output_size))
        middle = sqrt(row.in_channels * row.out_channels)
        ideal = middle * sqrt(written / read), middle * sqrt(read / written)
        groups = row.groups
    else:
        root = sqrt(row.groups)
        ideal, groups = (row.in_channels / root, row.out_channels / root), 1
    return Widths(*_whole(ideal, groups), groups)


def _whole(ideal: tuple[float, float], groups: int) -> tuple[int, int]:
    """Two multiples of the groups whose product is nearest to that of the ideal ones."""
    found = (1, 1)
    for step in STEPS:
        first, second = (_around(width, lcm(step, groups)) for width in ideal)
        found = min(product(first, second), key=lambda pair: abs(log(prod(pair) / prod(ideal))))
        if abs(prod(found) / prod(ideal) - 1) <= TOLERANCE:
            break
    return found


def _around(width: float, multiple: int) -> tuple[int, int]:
    below = max(1, floor(width / multiple)) * multiple
    return below, max(1, ceil(width / multiple)) * multiple


def cases(network: Case, layers: Mapping[str, Sequence[Alike]]) -> list[Case]:
    """The network, then each of its worst layers beside its twin: every pair takes turns."""
    found = [replace(network, turn="network", axes={"role": "network"})]
    for guideline, worst in layers.items():
        swappable = [alike for alike in worst if _swappable(alike.row, network, guideline)]
        for number, alike in enumerate(swappable[:SWAPPED], start=1):
            found += _pair(network, guideline, number, alike)
    return found


def _swappable(row: Convolved, network: Case, guideline: str) -> bool:
    """Whether a twin can stand in its place: an image keeps its channels."""
    of_image = guideline == "G1" and row.in_channels == network.input_channels
    square = len(row.input_size) == 2 and len(set(row.input_size)) == 1
    own = Widths(row.in_channels, row.out_channels, row.groups)
    return square and not of_image and not row.transposed and compliant(row, guideline) != own


def _pair(network: Case, guideline: str, number: int, alike: Alike) -> Iterator[Case]:
    row = alike.row
    own = Widths(row.in_channels, row.out_channels, row.groups)
    for role, widths in ((OWN, own), (COMPLIANT, compliant(row, guideline))):
        shape = {"kernel_size": row.kernel_size, "stride": row.stride, "padding": row.padding}
        arguments = {name: list(value) for name, value in shape.items()}
        yield replace(
            network,
            name=f"{alike.layers[0]} {_named(widths)}",
            target=TARGET,
            arguments={
                **widths._asdict(),
                **arguments,
                "dilation": list(row.dilation),
                "repeats": REPEATS,
            },
            resolution=row.input_size[0],
            batch_size=row.batch,
            input_channels=widths.in_channels,
            input="random",
            weights=None,
            turn=f"{guideline} {number}",
            axes={
                "role": role,
                "guideline": guideline,
                "layer": alike.layers[0],
                "count": len(alike.layers),
            },
        )


def _named(widths: Widths) -> str:
    grouped = f", {widths.groups} groups" if widths.groups > 1 else ""
    return f"{widths.in_channels} to {widths.out_channels}{grouped}"


def is_lone(record: Record) -> bool:
    """Whether it is of a layer, and not of a network."""
    return record.case.axes.get("role") in (OWN, COMPLIANT)


def judge_swaps(records: Sequence[Record]) -> list[Swap]:
    """What each pair of a session says; one that was not timed to the end says nothing."""
    network = next((record for record in records if not is_lone(record)), None)
    pairs: dict[str, dict[str, Record]] = {}
    for record in records:
        if is_lone(record):
            pairs.setdefault(record.case.turn, {})[record.case.axes["role"]] = record
    found = (_swap(pair, network) for pair in pairs.values() if len(pair) == 2)
    return [swap for swap in found if swap is not None]


def _swap(pair: Mapping[str, Record], network: Record | None) -> Swap | None:
    own, other = pair[OWN], pair[COMPLIANT]
    timed = [record.get("latency") for record in (own, other)]
    if any(latency is None or not latency.flat for latency in timed):
        return None
    work = [float(record["multiply_adds"].value or 0) for record in (own, other)]
    count = int(own.case.axes["count"])
    # A call runs the layer `repeats` times, the network as often as it has layers like it.
    times = count / int(own.case.arguments["repeats"])
    costs = _costs(own["latency"], other["latency"], work[0] / work[1], times)
    latency = network and network.get("latency")
    whole = latency.medians if latency else ()
    shares = [cost / all_of_it for cost, all_of_it in zip(costs, whole, strict=False)]
    if not costs:
        return None
    return Swap(
        str(own.case.axes["guideline"]),
        str(own.case.axes["layer"]),
        count,
        own,
        other,
        work[1] / work[0] - 1,
        fmean(costs),
        mean_interval(costs),
        fmean(shares) if shares else None,
        mean_interval(shares),
        _differ(_kernels(own), _kernels(other)),
        _as_in_network(own, network),
    )


def _costs(own: Measurement, other: Measurement, work: float, times: float) -> list[float]:
    """Seconds of each process: its own median, less the twin's at equal multiply-adds.

    The twin's is taken from the ratio of the blocks that lay next to each other. `work` is the
    layer's multiply-adds over the twin's.
    """
    return [
        median * (1 - exp(ratio) * work) * times
        for median, ratio in zip(own.medians, log_ratios(other, own), strict=False)
    ]


def _differ(one: set[str], other: set[str]) -> bool | None:
    return one != other if one and other else None


def _as_in_network(own: Record, network: Record | None) -> bool | None:
    inside = _kernels(network, str(own.case.axes["layer"])) if network else set()
    differ = _differ(_kernels(own), inside)
    return None if differ is None else not differ


def _kernels(record: Record, layer: str | None = None) -> set[str]:
    """The kernels that were seen, of one layer or of all of them."""
    found = record.get("executed_kernels")
    rows = found.details.get("kernels", ()) if found else ()
    return {str(row[1]) for row in rows if layer in (None, row[0])}
