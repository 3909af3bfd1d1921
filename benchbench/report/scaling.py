"""What scaling costs, as tables, document and rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from architectures.scaling import Scale, growth
from benchbench.errors import printable
from benchbench.experiments.published_scaling import BASELINE
from benchbench.experiments.scaling import (
    CURRENCIES,
    Point,
    Scaled,
    Scaling,
    Standing,
    Step,
)
from benchbench.metrics import METRICS, show, si
from benchbench.records import SCHEMA_VERSION, Record
from benchbench.report.remarks import quality_of
from benchbench.report.tables import describe, plain_table

Cells = dict[str, str]  # by the heading of their column

COUNTED = (
    "scaling by one factor or by all: what it costs to the unit, beside the EfficientNet paper"
)
MEASURED = "and on this machine, in turn with the unscaled network"
ABOUT_STEPS = (
    "miss = constants x coefficients x rounding - 1. constants: 1.2 x 1.1^2 x 1.15^2 is 1.92 and "
    "not 2; coefficients: those published, over their powers\n"
    "rounding: repeats are rounded up, channels to 8, and the stem, the head and depthwise layers "
    "do not grow as the formula says"
)
ABOUT_ROWS = (
    "x: times the unscaled network. / multiply-add: latency's x over multiply-adds' x, below 1 "
    "where each costs less time than before\n"
    "predicted: from the device's probes alone, before timing. memory: peak, above what the "
    "process had before\n"
    "printed: the paper's multiply-adds (Tables 3 and 7) and top-1; * its factors are not printed: "
    "phi was solved for the printed multiply-adds"
)


def scaling_tables(result: Scaling, records: Sequence[Record]) -> list[RenderableType]:
    """The grid, B0 to B7 against 2^phi, and the paper's tables."""
    first = (result.rows[0].record if result.rows else None) or records[0]
    heading = f"what scaling costs on {first.case.device_name} ({first.device_name})"
    how = describe(first.case, network=False)
    parts: list[RenderableType] = [Text.assemble((heading, "bold"), f"\n{how}")]
    if result.points:
        parts += [_grid_table(result), Text(_grid_line(result))]
    if result.steps:
        parts += [_step_table(result.steps), Text(ABOUT_STEPS + "\n")]
    if result.rows:
        parts += [_row_table(COUNTED, result.rows, _counted)]
        if any(row.latency_ratio is not None for row in result.rows):
            parts += [_row_table(MEASURED, result.rows, _measured)]
        parts += [Text(ABOUT_ROWS)]
        parts += [Text(line) for line in _remarks(result)]
    return [*parts, *_closing(records)]


def _grid_table(result: Scaling) -> Table:
    count = len(result.points)
    table = plain_table(f"EfficientNet-B0 at {count} points with alpha beta^2 gamma^2 near 2")
    table.add_column("currency")
    for heading in ("paper's point", "over B0", "rank", "least", "at", "most", "at"):
        table.add_column(heading, justify="right", no_wrap=True)
    for standing in result.standings:
        table.add_row(*_standing_cells(standing, count))
    return table


def _standing_cells(standing: Standing, count: int) -> Iterator[str]:
    work = standing.currency == "multiply_adds"
    yield METRICS[standing.currency].label + (" / promised" if work else " / multiply-adds")
    yield f"{standing.per_multiply_add:.3f}"
    yield f"{standing.paper:.2f} x"
    yield f"{standing.rank} of {count}"
    for point in (standing.least, standing.most):
        value = (
            point.over_aimed
            if work
            else point.ratios[standing.currency] / point.ratios["multiply_adds"]
        )
        yield f"{value:.3f}"
        yield _factors(point.scale)


def _factors(scale: Scale) -> str:
    """alpha, beta, gamma, as the paper has them."""
    return f"{scale.depth:g}, {scale.width:g}, {scale.resolution:g}"


def _grid_line(result: Scaling) -> str:
    if result.paper is None:
        return "the paper's point is not among them\n"
    ratios = [point.ratios["multiply_adds"] for point in result.points]
    return (
        f"the paper's point is {_factors(result.paper.scale)} (depth, width, resolution): it takes "
        f"{result.paper.ratios['multiply_adds']:.2f} x B0's multiply-adds where the formula says "
        f"{growth(result.paper.scale):.2f}; the others take {min(ratios):.2f} to "
        f"{max(ratios):.2f} x. Counts say nothing of accuracy\n"
    )


def _step_table(steps: Sequence[Step]) -> Table:
    table = plain_table("B0 to B7 against 2^phi, in multiply-adds over B0's")
    table.add_column("network")
    for heading in (
        *("phi", "2^phi", "counted", "miss", "constants", "coefficients", "rounding"),
        *("blocks", "B0 at phi"),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for step in steps:
        factors = (step.miss, step.constants, step.coefficients, step.rounding)
        table.add_row(
            step.name,
            f"{step.phi:g}",
            f"{2**step.phi:.2f}",
            f"{step.ratio:.2f}",
            *(f"{100 * (factor - 1):+.0f} %" for factor in factors),
            f"{step.blocks} for {step.unrounded_blocks:.1f}",
            "" if step.exactly is None else f"{step.exactly:.2f}",
        )
    return table


def _row_table(title: str, rows: Sequence[Scaled], cells: Callable[[Scaled], Cells]) -> Table:
    """A row a scaled network, those of one network together; `cells` also name the columns."""
    table = plain_table(title)
    for heading in ("network", "scaled"):
        table.add_column(heading, no_wrap=True)
    for heading in cells(rows[0]):
        table.add_column(heading, justify="right", no_wrap=True)
    network = rows[0].network
    for row in rows:
        if row.network != network:
            table.add_section()
        network = row.network
        table.add_row(network, _scaled(row), *cells(row).values())
    return table


def _scaled(row: Scaled) -> str:
    factors = {"d": row.scale.depth, "w": row.scale.width, "r": row.scale.resolution}
    said = " ".join(f"{key}={value:.3g}" for key, value in factors.items() if value != 1)
    return f"{row.way} {said}".strip() + (" *" if row.solved else "")


def _counted(row: Scaled) -> Cells:
    return {
        "top-1": f"{row.top1:.1f} %",
        "multiply-adds": si(float(row.record["multiply_adds"].value or 0), "", 3),
        "printed": f"{row.billions:g} G",
        "x": _times(row.ratios["multiply_adds"]),
        "activations x": _times(row.ratios["activations"]),
        "bytes, paper x": _times(row.ratios["memory_access_paper"]),
        "ops x": _times(row.ratios["memory_access_ops"]),
        "fused x": _times(row.ratios["memory_access_fused"]),
    }


def _measured(row: Scaled) -> Cells:
    latency, interval = row.record.get("latency"), row.latency_interval
    ends = f"{interval.low:.2f} to {interval.high:.2f}" if interval else ""
    return {
        "multiply-adds x": _times(row.ratios["multiply_adds"]),
        "latency": show("latency", latency.value) if latency and latency.value else "",
        "x": _times(row.latency_ratio),
        "95 %": "" if row.way == BASELINE else ends,
        "/ multiply-add": _times(row.per_multiply_add),
        "predicted x": _times(row.predicted_ratio),
        "memory x": _times(row.memory_ratio),
    }


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _remarks(result: Scaling) -> Iterator[str]:
    """Where counting and the paper differ."""
    exchanged = {(network, way) for network, *ways in result.exchanged for way in ways}
    for network, one, other in result.exchanged:
        yield f"printed: {network}'s {one} and {other} agree with what is counted if exchanged"
    for row in result.rows:
        if not row.agrees and not row.solved and (row.network, row.way) not in exchanged:
            counted = float(row.record["multiply_adds"].value or 0) / 1e9
            off = 100 * (row.billions / counted - 1)
            yield (
                f"printed: {row.network} {row.way} has {row.billions:g} G, and {counted:.2f} G "
                f"are counted ({off:+.0f} %)"
            )


def _closing(records: Sequence[Record]) -> list[RenderableType]:
    """Grades by their number: most records are of counts alone."""
    measured = [
        record
        for record in records
        if not all(METRICS[item.metric].exact for item in record.measurements)
    ]
    lines = quality_of(measured) if measured else ["nothing but counts, which are exact"]
    lines += [f"session {name}" for name in dict.fromkeys(str(r.session) for r in records)]
    return [Text(printable(line)) for line in [*lines, f"repeat  {records[-1].command}"]]


def scaling_document(result: Scaling, records: Sequence[Record]) -> dict[str, Any]:
    """The same whole, for `output=json`."""
    last = records[-1]
    case = last.case
    return {
        "schema_version": SCHEMA_VERSION,
        "task": "scaling",
        "device": {"type": case.device, "index": case.device_index, "name": last.device_name},
        "runtime": case.runtime,
        "precision": case.precision,
        "batch_size": case.batch_size,
        "threads": case.threads,
        "grid": [_point(point) for point in result.points],
        "standings": [_standing(standing) for standing in result.standings],
        "steps": [step._asdict() | {"miss": step.miss} for step in result.steps],
        "rows": [_row(row) for row in result.rows],
        "exchanged": [list(one) for one in result.exchanged],
        "sessions": list(dict.fromkeys(record.session for record in records)),
        "environment": dict(last.environment),
        "command": last.command,
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "alpha": point.scale.depth,
        "beta": point.scale.width,
        "gamma": point.scale.resolution,
        "promised": growth(point.scale),
        "over_b0": dict(point.ratios),
        "record": point.record.id,
    }


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "currency": standing.currency,
        "paper_over_b0": standing.paper,
        "paper_per_multiply_add": standing.per_multiply_add,
        "rank": standing.rank,
        "least": standing.least.scale._asdict(),
        "most": standing.most.scale._asdict(),
    }


def _row(row: Scaled) -> dict[str, Any]:
    interval, record = row.latency_interval, row.record
    measured = {name: record.get(name) for name in ("latency", "peak_memory", "predicted_latency")}
    return {
        "network": row.network,
        "way": row.way,
        "solved": row.solved,
        **row.scale._asdict(),
        **{name: record[name].value for name in CURRENCIES},
        **{name: None if one is None else one.value for name, one in measured.items()},
        "printed_multiply_adds": round(row.billions * 1e9),
        "printed_top1": row.top1,
        "agrees": row.agrees,
        "ratios": dict(row.ratios),
        "latency_ratio": row.latency_ratio,
        "latency_ratio_ci": None if interval is None else [interval.low, interval.high],
        "per_multiply_add": row.per_multiply_add,
        "predicted_ratio": row.predicted_ratio,
        "peak_memory_ratio": row.memory_ratio,
        "quality": record.quality.grade,
        "record": record.id,
    }


def scaling_rows(result: Scaling) -> list[dict[str, Any]]:
    """One flat row a scaled network: what it takes, in each currency, times the unscaled one."""
    rows = [
        {"part": "grid", "network": "efficientnet_b0", "way": "grid"} | _flat(p.scale, p.ratios)
        for p in result.points
    ]
    for row in result.rows:
        flat = {"part": "table", "network": row.network, "way": row.way}
        measured = {
            "latency_ratio": row.latency_ratio,
            "peak_memory_ratio": row.memory_ratio,
            "printed_multiply_adds": round(row.billions * 1e9),
            "printed_top1": row.top1,
        }
        rows.append(flat | _flat(row.scale, row.ratios) | measured)
    return rows


def _flat(scale: Scale, ratios: Mapping[str, float]) -> dict[str, Any]:
    return scale._asdict() | {f"{name}_ratio": ratios[name] for name in CURRENCIES}
