"""Two pictures of the guidelines: what each costs here, and where the law says it would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbench.experiments.guidelines.judge import Cell, Ladder, Result, Verdict
from benchbench.experiments.guidelines.phase import (
    LEDGERS,
    OPS,
    PAPER_DEVICES,
    Device,
    device_of,
    effects,
    grid,
    paper_effect,
)
from benchbench.report.pictures import COLOURS, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patheffects import AbstractPathEffect

Question = tuple[str, str]  # guideline and axis
WHAT = {
    ("g1", "widths"): "G1 unequal widths\n1:1 to 1:9",
    ("g2", "groups"): "G2 groups\n1 to 16",
    ("g3", "series"): "G3 1 to 4\nin series",
    ("g3", "parallel, add"): "G3 1 to 4 in\nparallel, added",
    ("g3", "parallel, concat"): "G3 1 to 4 in\nparallel, concat",
    ("g4", "ReLU"): "G4 with ReLU",
    ("g4", "shortcut"): "G4 with shortcut",
    ("g4", "ReLU and shortcut"): "G4 with both",
}
FILLS = {"SUPPORTED": "full", "REFUTED": "none", "INCONCLUSIVE": "none"}
MARKS = {"SUPPORTED": "o", "REFUTED": "o", "INCONCLUSIVE": "x"}
RIDGES, LAUNCHES, POINTS = (0.1, 300.0), (1e2, 1e8), 28


def save(result: Result, runs: Path) -> str | None:
    """Write the pictures into a folder of their own; None where no ladder has a verdict."""
    figures: dict[str, Callable[[], Figure]] = {}
    if _questions(result):
        figures["guidelines"] = partial(slowdowns, result)
        figures["phase_diagram"] = partial(phase_diagram, result)
    if not figures:
        return None
    return str(write(figures, runs, "guidelines", result.records[0].created))


def _questions(result: Result) -> list[Question]:
    return [
        question
        for question in WHAT
        if any(_answer(cell, question) is not None for cell in result.cells)
    ]


def _answer(cell: Cell, question: Question) -> tuple[Ladder, Verdict] | None:
    for ladder in cell.ladders:
        for verdict in ladder.verdicts:
            if (ladder.guideline, verdict.axis) == question and ladder.kind == "verdict":
                return ladder, verdict
    return None


def slowdowns(result: Result) -> Figure:
    """Slowdown of each ladder's last rung, by runtime, with intervals and what was foreseen."""
    from matplotlib.figure import Figure

    questions = _questions(result)
    figure = Figure(figsize=(9.0, 1.2 + 0.62 * len(questions)), layout="constrained")
    axes = figure.subplots()
    step = 0.8 / len(result.cells)
    for number, cell in enumerate(result.cells):
        for row, question in enumerate(questions):
            found = _answer(cell, question)
            if found is not None:
                y = row - 0.4 + (number + 0.5) * step
                _draw(axes, found[1], y, COLOURS[number % len(COLOURS)], step)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(questions)), [WHAT[question] for question in questions])
    axes.invert_yaxis()
    axes.set_xscale("symlog", linthresh=20)
    axes.set_xticks([-10, 0, 10, 20, 50, 100, 200, 500, 1000])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("slowdown in multiply-adds per second, % (logarithmic from 20 on)")
    axes.grid(axis="x", alpha=0.3)
    first = result.records[0]
    figure.suptitle(f"ShuffleNetV2's guidelines on {first.device_name}", fontsize="medium")
    _legend(axes, result)
    return figure


def _draw(axes: Axes, verdict: Verdict, y: float, colour: str, height: float) -> None:
    found = verdict.decision
    if found.low is not None and found.high is not None:
        axes.plot([100 * found.low, 100 * found.high], [y, y], color=colour, linewidth=1.5)
    face = colour if FILLS[found.answer] == "full" else "white"
    axes.plot(
        [100 * found.effect], [y], MARKS[found.answer], color=colour, markerfacecolor=face, ms=6
    )
    if verdict.predicted is not None:
        x = 100 * verdict.predicted
        axes.plot([x, x], [y - height / 2.4, y + height / 2.4], color=colour, linewidth=1, ls=":")


def _legend(axes: Axes, result: Result) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], color=COLOURS[number % len(COLOURS)], label=cell.label)
        for number, cell in enumerate(result.cells)
    ]
    grey: dict[str, Any] = {"color": "grey", "linestyle": ""}
    marks += [
        Line2D([], [], marker="o", label="SUPPORTED", **grey),
        Line2D([], [], marker="o", markerfacecolor="white", label="REFUTED", **grey),
        Line2D([], [], marker="x", label="INCONCLUSIVE", **grey),
        Line2D([], [], color="grey", ls=":", label="foreseen by the probes"),
    ]
    axes.legend(handles=marks, fontsize="small", loc="lower right")


def phase_diagram(result: Result) -> Figure:
    """The law's slowdown over ridge point and launch cost, one row a ledger, and devices on it."""
    from matplotlib.figure import Figure

    questions = _questions(result)
    figure = Figure(figsize=(2.1 * len(questions) + 1.6, 5.6), layout="constrained")
    panels = figure.subplots(len(LEDGERS), len(questions), squeeze=False, sharex=True, sharey=True)
    image: Any = None
    for row, ledger in enumerate(LEDGERS):
        for column, question in enumerate(questions):
            axes = panels[row][column]
            image = _panel(axes, result, question, ledger)
            if row == 0:
                axes.set_title(WHAT[question], fontsize="small")
            else:
                axes.set_xlabel("ridge point\n(multiply-adds / byte)", fontsize="small")
        panels[row][0].set_ylabel(f"{LEDGERS[ledger]}\nlaunch (multiply-adds)", fontsize="small")
    bar = figure.colorbar(image, ax=panels, shrink=0.8, pad=0.01)
    bar.set_label("slowdown by the law, %")
    figure.suptitle(
        "Where each guideline holds by the probes' law: sum of max(compute, memory) + launches. "
        "Grey line: the smallest effect that counts",
        fontsize="small",
    )
    return figure


def _panel(axes: Axes, result: Result, question: Question, ledger: str) -> Any:
    from matplotlib.colors import SymLogNorm

    cells = [cell for cell in result.cells if _answer(cell, question) is not None]
    found = _answer(cells[0], question)
    assert found is not None
    ridges, launches = grid(*RIDGES, POINTS), grid(*LAUNCHES, POINTS)
    values = effects(found[0], question[1], ledger, ridges, launches)
    percent = [[100 * value for value in row] for row in values]
    norm = SymLogNorm(linthresh=3, vmin=-300, vmax=300)
    # As a picture inside the SVG: each of its ten thousand triangles would be an element there.
    image = axes.pcolormesh(ridges, launches, percent, cmap="RdBu_r", norm=norm, shading="gouraud")
    image.set_rasterized(True)
    needed = 100 * result.rule.smallest
    if min(map(min, percent)) < needed < max(map(max, percent)):
        axes.contour(ridges, launches, percent, levels=[needed], colors="grey", linewidths=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    _devices(
        axes,
        [c for c in cells if (c.conditions["runtime"] == "eager") == (ledger == OPS)],
        question,
    )
    return image


def _observed(question: Question, device: Device) -> str:
    """What the paper's table has for this question."""
    effect = paper_effect(*question, device.column)
    return "" if effect is None else f"observed {100 * effect:+.0f} %"


def _halo() -> AbstractPathEffect:
    """What keeps small letters readable on a dark ground."""
    from matplotlib.patheffects import withStroke

    return withStroke(linewidth=2, foreground="white")


def _devices(axes: Axes, cells: Sequence[Cell], question: Question) -> None:
    for mark, known in zip("^v", PAPER_DEVICES, strict=True):
        axes.plot([known.ridge], [known.launch], mark, color="black", ms=5, mfc="white")
        axes.annotate(
            f"{known.name}\n{_observed(question, known)}",
            (known.ridge, known.launch),
            path_effects=[_halo()],
            xytext=(6, 0) if known.ridge < 3 else (-6, 0),
            textcoords="offset points",
            fontsize=7,
            ha="left" if known.ridge < 3 else "right",
            va="center",
        )
    for number, cell in enumerate(cells):
        found = _answer(cell, question)
        device = device_of(cell.ladders[0].rungs[0].record)
        if found is None or device is None:
            continue
        answer = found[1].decision.answer
        # Those of one machine share a point: they stand beside each other.
        x, y = device.ridge * 1.6**number, device.launch
        axes.plot(
            [x],
            [y],
            MARKS[answer],
            color="black",
            ms=5,
            mfc="black" if FILLS[answer] == "full" else "white",
        )
        axes.annotate(
            cell.label.removesuffix(" fp32"),
            (x, y),
            path_effects=[_halo()],
            xytext=(0, 7 + 8 * number),
            textcoords="offset points",
            fontsize=7,
            ha="center" if number else "left",
        )
