"""ShuffleNetV2's Figures 1 and 2 of these networks: latency over work, and where time goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from math import log
from pathlib import Path
from typing import TYPE_CHECKING

from benchbench.experiments.explain import Explained, Explanation, Network
from benchbench.experiments.operator_kinds import KINDS, time_shares
from benchbench.records import Record
from benchbench.report.pictures import COLOURS, write
from benchbench.report.tables import describe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "osD^vPX*hp"
GREY = "#999999"
FAMILY_COLOURS = (*COLOURS, "#000000", GREY)


def save(result: Explanation, profiled: Sequence[Record], runs: Path) -> Path:
    """Write the pictures into a new folder below `runs`, now: stored records may be many times."""
    return write(dict(_pictures(result, profiled)), runs, "explain", datetime.now(UTC).isoformat())


def _pictures(
    result: Explanation, profiled: Sequence[Record]
) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Each picture with its name: latency over multiply-adds of each way, and shares of time."""
    for way in result.ways:
        case = way.networks[0].record.case
        which = "" if len(result.ways) == 1 else f"_{case.runtime}_{case.precision}"
        yield f"latency_and_multiply_adds{which}", partial(latency_and_multiply_adds, way)
    shares = {record.id: time_shares(record) for record in profiled}
    by_way: dict[tuple[str, str], list[Record]] = {}
    for record in profiled:
        if shares[record.id]:
            by_way.setdefault((record.case.runtime, record.case.precision), []).append(record)
    for (runtime, precision), records in by_way.items():
        which = "" if len(result.ways) == 1 else f"_{runtime}_{precision}"
        yield f"operator_shares{which}", partial(operator_shares, records, shares)


def latency_and_multiply_adds(way: Explained) -> Figure:
    """After Figure 1 of arXiv:1807.11164: each network's latency over its multiply-adds."""
    figure, axes = _figure(way.networks[0].record, "latency and multiply-adds", height=6.0)
    by_family: dict[str, list[Network]] = {}
    for network in way.networks:
        by_family.setdefault(network.family, []).append(network)
    for number, (family, networks) in enumerate(sorted(by_family.items())):
        axes.scatter(
            [network.record["multiply_adds"].value or 0 for network in networks],
            [1e3 * network.seconds for network in networks],
            s=30,
            color=FAMILY_COLOURS[number % len(FAMILY_COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            alpha=0.75,
            label=f"{family} ({len(networks)})",
        )
    axes.margins(0.08)
    _log_scales(axes)
    _name_extremes(axes, way.networks)
    axes.set_xlabel("multiply-adds")
    axes.set_ylabel("latency (ms)")
    axes.grid(alpha=0.3, which="both", linewidth=0.5)
    axes.legend(fontsize="small")
    return figure


def _log_scales(axes: Axes) -> None:
    """Log scales whose ticks are read as the tables are: 50 M, 20."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    for axis, formatter in (
        (axes.xaxis, FuncFormatter(lambda value, _: _short(value))),
        (axes.yaxis, FuncFormatter(lambda value, _: f"{value:g}")),
    ):
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(formatter)
        axis.set_minor_locator(LogLocator(subs="all"))
        axis.set_minor_formatter(FuncFormatter(lambda _, __: ""))


def _short(value: float) -> str:
    """50 M, 2 G."""
    return f"{value / 1e9:g} G" if value >= 1e9 else f"{value / 1e6:g} M"


def _name_extremes(axes: Axes, networks: Sequence[Network]) -> None:
    """Names of the networks that are furthest from the line through all, of each level."""
    import numpy as np

    logs = [log(network.record["multiply_adds"].value or 1) for network in networks]
    slope, _ = np.polyfit(logs, [network.log for network in networks], 1)
    off = [network.log - slope * x for network, x in zip(networks, logs, strict=True)]
    for level in dict.fromkeys(network.level for network in networks):
        own = [index for index, network in enumerate(networks) if network.level == level]
        own.sort(key=lambda index: off[index])
        for index, below in ((own[0], True), (own[-1], False)) if len(own) > 3 else ():
            network = networks[index]
            axes.annotate(
                network.record.case.name,
                (network.record["multiply_adds"].value or 0, 1e3 * network.seconds),
                xytext=(0, -7 if below else 6),
                textcoords="offset points",
                fontsize="x-small",
                ha="center",
                va="top" if below else "bottom",
            )


def operator_shares(records: Sequence[Record], shares: Mapping[str, Mapping[str, float]]) -> Figure:
    """After Figure 2 of arXiv:1807.11164: the share of each kind of operator in profiled time."""
    height = 1.8 + 0.45 * len(records)
    figure, axes = _figure(records[0], "where profiled time goes", height=height)
    names = [record.case.name for record in records]
    left = [0.0] * len(records)
    colours = dict(zip(KINDS, (*COLOURS, GREY), strict=True))
    for kind in KINDS:
        widths = [100 * shares[record.id][kind] for record in records]
        if not any(widths):
            continue
        bars = axes.barh(names, widths, left=left, color=colours[kind], label=kind)
        texts = [f"{width:.0f}" if width >= 4 else "" for width in widths]
        axes.bar_label(bars, texts, label_type="center", fontsize="x-small")
        left = [begin + width for begin, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the profiled time (%)")
    figure.legend(loc="outside lower center", ncols=4, fontsize="small")
    return figure


def _figure(record: Record, title: str, height: float) -> tuple[Figure, Axes]:
    # Figure itself, not pyplot: no global state, and no window system is asked for.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, height), layout="constrained")
    how = describe(record.case, network=False)
    figure.suptitle(f"{title}\n{record.device_name}, {how}", fontsize="medium")
    return figure, figure.subplots()
