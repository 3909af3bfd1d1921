"""What each edit does, as bars: measured with their intervals, predicted as marks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import expm1, log
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchbench.experiments.ablation import Ablation, Way
from benchbench.experiments.ablation_design import FACTORIAL
from benchbench.report.pictures import COLOURS, write
from benchbench.report.tables import describe
from benchbench.statistics.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Bar(NamedTuple):
    """An effect in logs; `low` and `high` None where there is no interval."""

    name: str
    value: float
    low: float | None
    high: float | None
    predicted: float | None


def save(result: Ablation, runs: Path) -> Path:
    """Write the picture of an ablation into a folder below `runs`."""
    stem = "shapley_values" if result.design == FACTORIAL else "effects"
    name = f"{result.network}_{result.design}"
    return write({stem: partial(draw, result)}, runs, name, result.ways[0].base.created)


def draw(result: Ablation) -> Figure:
    """A panel a runtime, in percent of latency per multiply-add; the first one's order in all."""
    from matplotlib.figure import Figure

    shapley = result.design == FACTORIAL
    panels = [shapley_bars(way) if shapley else edit_bars(way) for way in result.ways]
    order = [bar.name for bar in sorted(panels[0], key=lambda bar: bar.value)]
    figure = Figure(figsize=(2.6 + 4.0 * len(panels), 1.9 + 0.3 * len(order)), layout="constrained")
    first = result.ways[0].base
    title = "Shapley values of the main edits" if shapley else "edits at equal multiply-adds"
    where = f"{first.device_name}, {describe(first.case, way=False)}"
    figure.suptitle(f"{result.network}: {title}\n{where}", fontsize="medium")
    rows = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, way, bars in zip(rows, result.ways, panels, strict=True):
        by_name = {bar.name: bar for bar in bars}
        _panel(axes, [by_name[name] for name in order if name in by_name], 95 if shapley else 99)
        axes.set_title(way.label, fontsize="medium")
    rows[0].set_yticks(range(len(order)), order)
    rows[0].invert_yaxis()
    handles, labels = rows[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    return figure


def edit_bars(way: Way) -> list[Bar]:
    """Every edit against the base, and the base against itself."""
    bars = [
        Bar(row.label, *_logs(row.verdict), None if row.predicted is None else log(row.predicted))
        for row in way.rows
    ]
    return bars if way.again is None else [*bars, Bar("base again", *_logs(way.again), None)]


def _logs(verdict: Verdict) -> tuple[float, float | None, float | None]:
    if verdict.low is None or verdict.high is None:
        return log(verdict.ratio), None, None
    return log(verdict.ratio), log(verdict.low), log(verdict.high)


def shapley_bars(way: Way) -> list[Bar]:
    """Each factor's share of the difference between all edits and none."""
    if way.shared is None:
        return []
    foretold = way.shared.predicted
    return [
        Bar(
            name,
            found.value,
            found.interval.low if found.interval else None,
            found.interval.high if found.interval else None,
            foretold.shapley[index].value if foretold else None,
        )
        for index, (name, found) in enumerate(
            zip(way.shared.factors, way.shared.measured.shapley, strict=True)
        )
    ]


def _panel(axes: Axes, bars: Sequence[Bar], confidence: int) -> None:
    places = range(len(bars))
    axes.barh(
        places, [_percent(bar.value) for bar in bars], 0.65, color=COLOURS[4], label="measured"
    )
    over = f"{confidence} % interval over processes"
    for place, bar in zip(places, bars, strict=True):
        if bar.low is not None and bar.high is not None:
            ends = [_percent(bar.low), _percent(bar.high)]
            axes.plot(ends, [place, place], color=COLOURS[0], linewidth=1.6, label=over)
            over = "_nolegend_"
    foretold = [
        (_percent(b.predicted), y)
        for y, b in zip(places, bars, strict=True)
        if b.predicted is not None
    ]
    if foretold:
        x, y = zip(*foretold, strict=True)
        axes.plot(x, y, "D", color=COLOURS[5], markersize=4, label="predicted by probes alone")
    _frame(axes, [_percent(bar.value) for bar in bars] + [value for value, _ in foretold])
    axes.axvline(0, color="black", linewidth=0.8)
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("latency per multiply-add (%)")


def _frame(axes: Axes, values: Sequence[float]) -> None:
    """Let intervals leave the picture where they would make the bars too small to see."""
    most = 10 + 2 * max(map(abs, values), default=0)
    left, right = axes.get_xlim()
    axes.set_xlim(max(left, -most), min(right, most))


def _percent(log_ratio: float) -> float:
    return 100 * expm1(log_ratio)
