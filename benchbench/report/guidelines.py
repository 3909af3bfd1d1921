"""Verdicts on the guidelines as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, exp, isfinite

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from benchbench.experiments.guidelines.alignment import Alignment
from benchbench.experiments.guidelines.judge import Cell, Ladder, Result, Verdict, scored
from benchbench.experiments.guidelines.ladders import COLUMNS, COPY, paper_notes, published
from benchbench.experiments.guidelines.rule import Rule
from benchbench.experiments.guidelines.rungs import (
    Rung,
    Speed,
    paper_speed,
    relative_bytes,
    relative_images,
    relative_speed,
)
from benchbench.metrics import si
from benchbench.report.remarks import quality_of
from benchbench.report.tables import describe, plain_table

TITLES = {
    "verdict": "equal multiply-adds, channels in multiples of 16",
    "reproduction": "the paper's own channels",
    "extended": "what the paper did not try",
}
MOST_ABREAST = {"verdict": 3, "reproduction": 2, "extended": 2}  # runtimes beside each other
COMPARED = (
    "Of G1 the last rungs are compared: 1:9, and the paper's 1:12. The channels of its 1080Ti are "
    "up to twice as many as the others', so that its effects may be smaller."
)
PAPER_DEVICES = {"gpu": "GTX 1080Ti", "arm": "Snapdragon 810"}


def guideline_tables(result: Result, folder: str | None) -> list[RenderableType]:
    """Verdicts, the ladders behind them, the paper's tables, and how good it all is."""
    parts: list[RenderableType] = [_title(result)]
    parts += [_verdicts(result)] if _questions(result) else []
    parts += [Text(line) for line in _whys(result)]
    keys = dict.fromkeys(
        (ladder.guideline, ladder.kind) for c in result.cells for ladder in c.ladders
    )
    for guideline, kind in keys:
        cells = [(cell, _ladder(cell, guideline, kind)) for cell in result.cells]
        there = [(cell, found) for cell, found in cells if found is not None]
        parts += [
            _ladder_table(side_by_side, 1 - result.rule.confidence)
            for side_by_side in _abreast(there, MOST_ABREAST[kind])
        ]
    for guideline in dict.fromkeys(guideline for guideline, _ in keys):
        if (guideline, "reproduction") in keys:
            parts += [Text(f"{guideline.upper()}, {note}") for note in paper_notes(guideline)]
        elif (guideline, "verdict") in keys:
            parts.append(_paper_table(guideline))
    alignments = [(cell, one) for cell in result.cells for one in cell.alignments]
    if alignments:
        parts += [_alignment_table(alignments), Text(COMPARED)]
    return [*parts, *(Text(line) for line in _closing(result, folder))]


def _title(result: Result) -> Text:
    first, rule = result.records[0], result.rule
    how = describe(first.case, network=False, way=False)
    smallest, equal = 100 * rule.smallest, 100 * rule.equal
    text = (
        f"\n{how}\n"
        "The rule, written down before. SUPPORTED: the lower bound of the last rung's slowdown "
        f"({100 * rule.confidence:g} %, t over processes,\nHolm over all answers of a runtime) is "
        f"above max({smallest:g} %, {rule.noises:g} x what the first rung shows against itself). "
        "REFUTED: the\nupper bound is below. Else INCONCLUSIVE: also where a step runs against "
        "it by as much, scales disagree, other kernels run,\nmultiply-adds differ by over "
        f"{equal:g} %, a grade is below {rule.worst_grade}, or processes are fewer than "
        f"{rule.processes}.\n"
    )
    heading = f"ShuffleNetV2's guidelines on {first.case.device_name} ({first.device_name})"
    return Text.assemble((heading, "bold"), text)


def _verdicts(result: Result) -> Table:
    table = plain_table("verdicts: slowdown in multiply-adds/s, last rung against the first")
    table.add_column("guideline", no_wrap=True)
    table.add_column("by")
    table.add_column("runtime", no_wrap=True)
    for heading in ("slowdown", "interval", "needed", "foreseen"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict")
    for guideline, kind, axis in _questions(result):
        for number, (cell, verdict) in enumerate(_answers(result, guideline, kind, axis)):
            found = verdict.decision
            tag = f" ({found.why})" if found.answer == "REFUTED" else ""
            name = guideline.upper() + (" +" if kind == "extended" else "")
            table.add_row(
                *((name, axis) if not number else ("", "")),
                cell.label,
                _percent(found.effect),
                "" if found.low is None else f"{_percent(found.low)} to {_percent(found.high)}",
                _percent(found.delta),
                _percent(verdict.predicted),
                f"{found.answer}{tag}",
            )
    return table


def _questions(result: Result) -> list[tuple[str, str, str]]:
    found = dict.fromkeys(
        (ladder.guideline, ladder.kind, verdict.axis)
        for cell in result.cells
        for ladder in cell.ladders
        for verdict in ladder.verdicts
    )
    return sorted(found, key=lambda one: one[1] == "extended")  # stable: theirs come last


def _answers(
    result: Result, guideline: str, kind: str, axis: str
) -> Iterator[tuple[Cell, Verdict]]:
    for cell in result.cells:
        ladder = _ladder(cell, guideline, kind)
        for verdict in ladder.verdicts if ladder else ():
            if verdict.axis == axis:
                yield cell, verdict


def _ladder(cell: Cell, guideline: str, kind: str) -> Ladder | None:
    return next(
        (one for one in cell.ladders if (one.guideline, one.kind) == (guideline, kind)), None
    )


def _whys(result: Result) -> Iterator[str]:
    """What stands in the way of each verdict that is none, and how the probes did."""
    for cell in result.cells:
        reasons: dict[str, list[str]] = {}
        for ladder in cell.ladders:
            for verdict in ladder.verdicts:
                if verdict.decision.answer == "INCONCLUSIVE":
                    name = f"{ladder.guideline.upper()} {verdict.axis}"
                    reasons.setdefault(verdict.decision.why, []).append(name)
        for why, names in reasons.items():
            yield f"{cell.label}: {', '.join(names)}: INCONCLUSIVE, because {why}"
        if (score := scored(cell)) is not None:
            yield (
                f"{cell.label}: the probes alone foresaw {score['right']} of {score['decided']} "
                f"verdicts; their slowdowns are off by {100 * score['median_error']:.0f} points "
                f"(median of {score['all']})"
            )
    yield from dict.fromkeys(line for cell in result.cells for line in _padded(cell, result.rule))
    yield ""


def _padded(cell: Cell, rule: Rule) -> Iterator[str]:
    """Where vectors are wider than the ladder's channels, its rungs are not equally aligned."""
    found = [
        f"{ladder.guideline.upper()} {verdict.axis} {100 * verdict.padding:+.0f} %"
        for ladder in cell.ladders
        for verdict in ladder.verdicts
        if verdict.padding is not None and abs(verdict.padding) > rule.equal
    ]
    if found:
        yield (
            f"{cell.conditions['precision']}: vectors are not filled alike, so that alignment may "
            "be part of the slowdown; padded multiply-adds of the last rung against the first's, "
            f"mean over scales: {', '.join(found)}"
        )


def _abreast(
    cells: Sequence[tuple[Cell, Ladder]], most: int
) -> Iterator[Sequence[tuple[Cell, Ladder]]]:
    """As many as have room beside each other, in tables of about the same width."""
    each = ceil(len(cells) / ceil(len(cells) / most))
    yield from (cells[start : start + each] for start in range(0, len(cells), each))


def _ladder_table(cells: Sequence[tuple[Cell, Ladder]], level: float) -> Table:
    first = cells[0][1]
    table = plain_table(f"{first.guideline.upper()}: {first.claim} ({TITLES[first.kind]})")
    table.add_column("scale", no_wrap=True)
    table.add_column("rung", no_wrap=True)
    for heading in HEADINGS[first.kind]:
        table.add_column(heading, justify="right", no_wrap=True)
    for cell, _ in cells:
        heading = f"{cell.label.removesuffix(' fp32')}\n{OF_A_CELL[first.kind]}"
        table.add_column(heading, justify="right", no_wrap=True)
    by_cell = [{(r.scale, r.axis, r.label): r for r in ladder.rungs} for _, ladder in cells]
    before = None
    for key, rung in by_cell[0].items():
        if rung.axis == COPY:
            continue
        row = [rung.scale if rung.scale != before else "", rung.label, *_once(rung, first.kind)]
        for rungs in by_cell:
            row.append(_speeds(rungs[key], first.kind, level) if key in rungs else "")
        table.add_row(*row)
        before = rung.scale
    return table


# What each table says of a rung once, and what of it in every runtime.
HEADINGS = {
    "verdict": ("work",),
    "reproduction": ("work", "paper\nimages/s", "\nwork/s"),
    "extended": ("work", "bytes"),
}
OF_A_CELL = {
    "verdict": "work/s  relative (foreseen)",
    "reproduction": "images/s  relative  work/s (foreseen)",
    "extended": "work/s  relative (foreseen)  bytes/s",
}


def _once(rung: Rung, kind: str) -> list[str]:
    cells = [si(float(rung.record["multiply_adds"].value or 0), "", 3)]
    if kind == "extended":
        cells.append(si(float(rung.record["memory_access_fused"].value or 0), "B", 3))
    if kind == "reproduction":
        cells += ["", ""] if rung.paper is None else _paper(rung.paper, exp(rung.work))
    return cells


def _paper(printed: tuple[float, float, float], work: float) -> list[str]:
    """Relative images/s with what the digits leave open, and the multiply-adds/s that makes."""
    value, low, high = printed
    half = "" if low == high else f"±{(high - low) / 2:.2f}"
    return [f"{value:.2f}{half:5}", f"{value * work:.2f}"]


def _speeds(rung: Rung, kind: str, level: float) -> str:
    images = kind == "reproduction"
    absolute = rung.images if images else rung.speed
    first = (relative_images if images else relative_speed)(rung, level)
    words = [
        "" if absolute is None else si(absolute, "", 3),
        f"{first.value:.2f}{_half(first)}",
        f"{relative_speed(rung, level).value:.2f}" if images else "",
        "" if rung.foreseen is None else f"({rung.foreseen:.2f})",  # of work/s
        f"{relative_bytes(rung, level).value:.2f}" if kind == "extended" else "",
    ]
    return " ".join(filter(None, words))


def _half(speed: Speed) -> str:
    """Half the interval, or as much room."""
    bounds = speed.bounds
    if bounds is None or bounds[0] == bounds[1]:
        return 5 * " "
    return f"±{(bounds[1] - bounds[0]) / 2:.2f}"


def _paper_table(guideline: str) -> Table:
    """Relative speeds as the paper's table has them, and what its printed digits leave open."""
    table = plain_table(f"{guideline.upper()} in the paper: speed over the first row's")
    table.add_column("row", no_wrap=True)
    scales = ("x1", "x2", "x4")
    for column in COLUMNS:
        for scale in scales:
            heading = f"{PAPER_DEVICES[column]}\n{scale}" if scale == "x1" else f"\n{scale}"
            table.add_column(heading, justify="right", no_wrap=True)
    settings = dict.fromkeys(row.setting for row in published() if row.guideline == guideline)
    for setting in settings:
        cells = []
        for column in COLUMNS:
            for scale in scales:
                found = paper_speed(guideline, setting, scale, column)
                cells.append(
                    "" if found is None else f"{found[0]:.2f} ±{(found[2] - found[1]) / 2:.2f}"
                )
        table.add_row(setting.replace(";", ", "), *cells)
    return table


def _alignment_table(alignments: Sequence[tuple[Cell, Alignment]]) -> Table:
    table = plain_table("slowdown: whole vectors, and the paper's own channels")
    for heading in ("guideline", "runtime", "channels of"):
        table.add_column(heading, no_wrap=True)
    for heading in ("whole\nvectors", "the\npaper's", "of padded\nwork"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("the difference", no_wrap=True)
    for cell, one in alignments:
        table.add_row(
            " ".join(filter(None, (one.guideline.upper(), one.axis, one.setting))),
            cell.label.removesuffix(" fp32"),
            PAPER_DEVICES[one.column],
            _percent(one.verdict),
            _percent(one.reproduction),
            _percent(one.padded),
            one.explains,
        )
    return table


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f} %" if isfinite(value) else "unknown"


def _closing(result: Result, folder: str | None) -> Iterator[str]:
    records = result.records
    yield from quality_of(records)
    yield f"records {records[0].session or records[0].id}"
    if folder is not None:
        yield f"folder  {folder}"
    yield f"repeat  {records[0].command}"
