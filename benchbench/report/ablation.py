"""An ablation as tables."""

from __future__ import annotations

from collections.abc import Iterator
from math import expm1

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from benchbench.errors import printable
from benchbench.experiments.ablation import (
    AGAIN_LIMIT,
    EXPLAINED,
    Ablation,
    Shared,
    Way,
    again_is_fine,
    score,
)
from benchbench.experiments.ablation_design import FACTORIAL
from benchbench.metrics import show
from benchbench.records import Record
from benchbench.report.rank import ends
from benchbench.report.remarks import quality_of
from benchbench.report.tables import describe, plain_table
from benchbench.statistics.factorial import Effect

NOTABLE_MISS = 0.01  # of the base's multiply-adds
HIGHER_SHOWN = 3  # interactions of three factors and more, where they matter
HELD = (
    "held: input, strides, number of blocks, head and classifier, and how weights are calibrated; "
    "width: of stem and stages alone\n"
    "ratios are edited / base, of latency per multiply-add: what the compensator misses is divided "
    "out\n"
    "predicted: the same ratio from the probes alone, stored before anything was timed\n"
    "ratios leave out the time for which the kernel gave the core to others; latencies do not"
)


def ablation_tables(result: Ablation, source: str, folder: str | None) -> list[RenderableType]:
    """What was changed and made up for; then, runtime by runtime, what it is worth."""
    first = result.ways[0].base
    count = len(result.ways[0].rows)
    heading = f"{count} edits of {result.network}"
    if result.design == FACTORIAL:
        heading = f"{count + 1} combinations of edits of {result.network}"
    where = f"{first.case.device_name} ({first.device_name})"
    parts: list[RenderableType] = [
        Text.assemble((f"{heading} on {where}", "bold"), f"\n{describe(first.case, way=False)}"),
        _changes(result.ways[0]),
    ]
    for way in result.ways:
        parts += [_latencies(way), *map(Text, _remarks(way))]
        if way.shared is not None:
            parts += [*_attributions(way, way.shared), *map(Text, _explained(way.shared))]
    threshold = f"a difference counts from {100 * result.theta:.1f} % on ({source})\n"
    return [*parts, Text(threshold + HELD), *map(Text, _closing(result, folder))]


def _changes(way: Way) -> Table:
    """The networks themselves: the same in every runtime."""
    table = plain_table("what was changed, and what makes up for it")
    table.add_column("edit", overflow="fold")
    table.add_column("by", no_wrap=True)
    headings = ("factor", "work, edit\nalone", "work,\nleft over", "params", "memory,\nfused")
    for heading in (*headings, "launches,\neager"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("which is", overflow="fold")
    table.add_row("base", "", "", "", "", *_counts(way.base), "")
    for row in way.rows:
        axes = row.record.case.axes
        known = axes["compensator"] != "none"
        says = axes["text"] if len(axes["edits"]) == 1 else ""
        table.add_row(
            row.label,
            axes["compensator"],
            f"{axes['factor']:.3f}" if known else "",
            f"{100 * axes['moved']:+.1f} %",
            f"{100 * axes['miss']:+.2f} %",
            *_counts(row.record),
            "; ".join(filter(None, (says, axes["note"]))),
        )
    return table


def _counts(record: Record) -> Iterator[str]:
    for metric in ("params", "memory_access_fused", "launches"):
        found = record.get(metric)
        yield show(metric, found.value) if found else ""


def _latencies(way: Way) -> Table:
    table = plain_table(f"{way.label}: latency against the base, the fastest first")
    table.add_column("edit", overflow="fold")
    headings = ("latency", "/ base", "per multiply-\nadd", "99 % interval", "predicted")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("verdict", "grade"):
        table.add_column(heading, no_wrap=True)
    base = show("latency", way.base["latency"].value)
    grade = way.base.quality.grade or "none"
    table.add_row("base", base, "1", "1", "", "1", "", grade)
    for row in sorted(way.rows, key=lambda row: row.verdict.ratio):
        table.add_row(
            row.label,
            show("latency", row.record["latency"].value),
            f"{row.raw.ratio:.3f}",
            f"{row.verdict.ratio:.3f}",
            ends(row.verdict.low, row.verdict.high, ".3f"),
            "" if row.predicted is None else f"{row.predicted:.3f}",
            str(row.verdict.answer),
            row.record.quality.grade or "none",
        )
    return table


def _remarks(way: Way) -> Iterator[str]:
    """The base against itself, and how well the probes foretold the rest."""
    if way.again is not None:
        within = "within" if again_is_fine(way) else "NOT within"
        interval = ends(way.again.low, way.again.high, ".3f")
        ratio = f"base again / base {way.again.ratio:.4f}" + (f" ({interval})" if interval else "")
        limit = f"{within} {100 * AGAIN_LIMIT:g} %"
        yield f"{ratio}, {limit}; here a difference counts from {100 * way.theta:.1f} % on"
    if way.rows:
        worst = max(way.rows, key=lambda row: abs(row.record.case.axes["miss"]))
        miss = worst.record.case.axes["miss"]
        if abs(miss) > NOTABLE_MISS:
            yield (
                f"the compensator misses by up to {100 * miss:+.1f} % ({worst.label}): where "
                "latency does not grow with work, / base says more than per multiply-add"
            )
    found = score(way)
    if found is not None:
        yield (
            f"the prediction has the sign of {found.same_sign} of {found.edits} known effects, and "
            f"is off by {100 * found.error:.0f} % in the middle"
        )
    yield ""


def _attributions(way: Way, shared: Shared) -> list[Table]:
    """Main effects and Shapley values, then the interactions of two."""
    table = plain_table(f"{way.label}: what each edit does to latency per multiply-add")
    table.add_column("edit")
    headings = ("main effect", "95 %", "Shapley value", "95 %", "predicted", "as measured")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    found, foretold = shared.measured, shared.predicted
    for index, name in enumerate(shared.factors):
        shapley = foretold.shapley[index] if foretold else None
        table.add_row(
            name,
            *_effect_cells(found.main[index]),
            *_effect_cells(found.shapley[index]),
            _percent(shapley.value) if shapley else "",
            _percent(shared.raw.shapley[index].value),
        )
    table.add_section()
    total = _percent(foretold.total.value) if foretold else ""
    raw = _percent(shared.raw.total.value)
    table.add_row("all of them", "", "", *_effect_cells(found.total), total, raw)
    pairs = plain_table(f"{way.label}: interactions, the largest first")
    pairs.add_column("edits")
    for heading in ("beyond both", "95 %", "predicted"):
        pairs.add_column(heading, justify="right", no_wrap=True)
    by_factors = {e.factors: e.value for e in foretold.pairs} if foretold else {}
    for effect in sorted(found.pairs, key=lambda effect: -abs(effect.value)):
        predicted = by_factors.get(effect.factors)
        names = _names(shared, effect)
        pairs.add_row(
            names, *_effect_cells(effect), "" if predicted is None else _percent(predicted)
        )
    return [table, pairs]


def _names(shared: Shared, effect: Effect) -> str:
    return " x ".join(shared.factors[index] for index in effect.factors)


def _percent(log_ratio: float) -> str:
    return f"{100 * expm1(log_ratio):+.1f} %"


def _effect_cells(effect: Effect) -> tuple[str, str]:
    interval = effect.interval
    both = "" if interval is None else f"{_percent(interval.low)} to {_percent(interval.high)}"
    return _percent(effect.value), both


def _explained(shared: Shared) -> Iterator[str]:
    """How much of the differences single edits and pairs explain, and if not all, what else."""
    found = shared.measured
    if found.share is None:
        yield "all combinations take equally long\n"
        return
    line = (
        f"single edits and pairs explain {100 * found.share:.2f} % of the variance of log latency"
    )
    if found.noise is not None:
        line += f"; scatter between processes would leave {100 * found.noise:.2f} % unexplained"
    yield line
    if found.share < EXPLAINED:
        yield "what else goes on, the largest first:"
        for effect in found.higher[:HIGHER_SHOWN]:
            value, interval = _effect_cells(effect)
            yield f"  {_names(shared, effect)} {value}" + (f" ({interval})" if interval else "")
    yield ""


def _closing(result: Ablation, folder: str | None) -> Iterator[str]:
    """Grades and the reasons for the worst, where it is kept and how to repeat it."""
    records = [
        record for way in result.ways for record in (way.base, *(r.record for r in way.rows))
    ]
    yield from quality_of(records)
    first = records[0]
    yield f"session {first.session}"
    if folder is not None:
        yield f"folder  {folder}"
    yield printable(f"repeat  {first.command}")
