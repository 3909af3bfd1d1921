"""Tables for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import quantiles

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchbench.cases import Case
from benchbench.errors import printable
from benchbench.experiments.accuracy import Accuracy
from benchbench.experiments.agreement import Agreement
from benchbench.experiments.crosscheck import Crosscheck
from benchbench.experiments.inventory import Inventory
from benchbench.measurements import Layer, Measurement
from benchbench.metrics import METRICS, PER_IMAGE, show, si
from benchbench.records import Quality, Record
from benchbench.report.graph import graph_tables
from benchbench.statistics.intervals import percentiles
from benchbench.support import OPTION_DEFAULTS

LAYERS_SHOWN = 10
CORRUPT_SHOWN = 5


def profile_tables(
    record: Record, folder: str | None, timings: Sequence[RenderableType] = ()
) -> list[RenderableType]:
    """Cost, most expensive layers, where the time goes, quality, and how to repeat the run."""
    parts: list[RenderableType] = [_title(record), _metric_table("cost of the network", record)]
    parts += [Text(line) for line in _latency_lines(record)]
    if record.layers:
        parts.append(_layer_table(record.layers))
    parts += graph_tables(record)
    return [*parts, *timings, *_closing(record, folder)]


def _latency_lines(record: Record) -> list[str]:
    """How the samples of a latency lie, and why there are no more of them."""
    latency = record.get("latency")
    if latency is None or not latency.processes or len(latency.flat) < 2:
        return []
    low, _, high = quantiles(latency.flat, n=4, method="inclusive")
    found = {"min": min(latency.flat), "IQR": high - low} | percentiles(latency.flat)
    spread = ", ".join(f"{name} {show('latency', value)}" for name, value in found.items())
    reasons = Counter(str(process.get("stopped", "unknown")) for process in latency.processes)
    stopped = ", ".join(f"{why} ({times} of {reasons.total()})" for why, times in reasons.items())
    return [f"latency {spread}; ended as {stopped}\n"]


def _closing(record: Record, folder: str | None = None) -> list[RenderableType]:
    """Whose weights, how good it is, where it is kept and how to repeat it."""
    lines = [*map(printable, _weights(record)), *quality_lines(record.quality)]
    lines += [f"record  {record.id}"]
    lines += [] if folder is None else [f"folder  {folder}"]
    return [Text(line) for line in [*lines, f"repeat  {record.command}"]]


def accuracy_tables(record: Record, result: Accuracy) -> list[RenderableType]:
    """How often the network is right, which images were left out, and why to doubt it."""
    lines = [f"labels  {result.labels}"]
    if result.corrupt:
        lines += [f"corrupt {len(result.corrupt)}, left out"]
        shown = result.corrupt[:CORRUPT_SHOWN]
        lines += [printable(f"        {item['file']} {item['reason']}") for item in shown]
        if len(shown) < len(result.corrupt):
            lines += [f"        and {len(result.corrupt) - len(shown)} more"]
    text = [Text(line) for line in lines]
    return [_title(record), _metric_table("accuracy", record), *text, *_closing(record)]


def agreement_tables(record: Record, result: Agreement) -> list[RenderableType]:
    """How often the case sees what eager fp32 sees, on which crops, and why to doubt it."""
    lines = [] if result.why_none else list(_crops(record.case, result))
    table = _metric_table("agreement with eager fp32", record)
    return [_title(record), table, *map(Text, lines), *_closing(record)]


def _crops(case: Case, result: Agreement) -> Iterator[str]:
    """What was drawn, and what the rows of the table are of."""
    (smallest, largest), (high, wide) = result.crops["areas"], result.crops["shapes"]
    yield (
        f"crops   {result.crops['count']:,} of {result.images:,} image"
        f"{'s' if result.images > 1 else ''}, seed {case.seed}: {100 * smallest:g} to "
        f"{100 * largest:g} % of its area, {high:.2f} to {wide:.2f} times as wide as high"
    )
    yield (
        f"sure    on {result.confident:,} of them fp32 gives its own class a probability of "
        f"{result.sure:g} or more"
    )
    yield "errors  absolute differences of softmax probabilities, over all classes of all crops"
    if result.calibration is not None:
        yield printable(f"ranges  of int8 were seen on {result.calibration}")


def _weights(record: Record) -> list[str]:
    """Whose weights they are and how they are read: nothing in the file tells the padding."""
    found = record.environment.get("weights")
    if not found:
        return []
    entry = f", entry {found['entry']!r}" if found.get("entry") else ""
    return [
        f"weights {found['file']}{entry}, as {found['format']} names them: {found['padding']} "
        f"padding, batch-norm epsilon {found['norm_eps']}"
    ]


def quality_lines(quality: Quality) -> list[str]:
    """The grade and its reasons, one a line."""
    first, *more = map(printable, quality.reasons)
    return [f"quality {quality.grade or 'none'}: {first}", *(f"           {one}" for one in more)]


def closing_lines(
    records: Sequence[Record], names: Mapping[str, str] | None = None
) -> list[RenderableType]:
    """Quality, ids and command of records that took turns; what they share is said once.

    `names` are what to call them, by id; else the networks' own.
    """
    lines: list[str] = []
    shared = [
        reason
        for reason in records[0].quality.reasons
        if all(reason in record.quality.reasons for record in records)
    ]
    for record in records:
        own = [reason for reason in record.quality.reasons if reason not in shared]
        beside = f": {'; '.join(own)}" if own else ""
        name = (names or {}).get(record.id, record.case.name)
        lines.append(f"quality {record.quality.grade or 'none'} of {name}{beside}")
    lines += [f"all of them: {reason}" for reason in shared]
    lines += [f"records {' '.join(record.id for record in records)}"]
    return [Text(printable(line)) for line in [*lines, f"repeat  {records[0].command}"]]


def describe(case: Case, *, network: bool = True, way: bool = True) -> str:
    """How a case is executed, in one line; without what differs from one to the next."""
    threads = "1 thread" if case.threads == 1 else f"{case.threads} threads"
    shape = "x".join(str(n) for n in case.input_shape)
    noise = "" if case.input == "random" else f" of {case.input}"
    how = [case.runtime, *_options(case), case.precision] if way else []
    how += [] if case.layout == "contiguous" else [case.layout]
    how += [f"input {shape}{noise}" if network else f"batch {case.batch_size}"]
    how += [threads] if case.device == "cpu" else []
    how += [] if case.cache == "warm" else [f"{case.cache} cache"]
    how += [] if case.mode == "inference" else [f"mode {case.mode}"]
    return ", ".join(how)


def _options(case: Case) -> list[str]:
    """What was said of the runtime that is not what it does by itself."""
    return [
        f"{name}={str(value).lower()}"
        for name, value in case.runtime_options.items()
        if value != OPTION_DEFAULTS[name]
    ]


def _title(record: Record) -> Text:
    case = record.case
    heading = f"{case.name} on {case.device_name} ({record.device_name})"
    return Text.assemble((heading, "bold"), f"\n{describe(case)}")


def _metric_table(title: str, record: Record) -> Table:
    table = plain_table(title)
    per_image = record.case.batch_size > 1 and any(map(record.get, PER_IMAGE))
    table.add_column("metric")
    table.add_column("value", justify="right", no_wrap=True)
    if per_image:
        table.add_column("per image", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right")
    table.add_column("from")
    for name in METRICS:
        measurement = record.get(name)
        if measurement is None:
            continue
        cells = [METRICS[name].label, show(name, measurement.value)]
        if per_image:
            divided = measurement.value is not None and name in PER_IMAGE
            value = (measurement.value or 0) / record.case.batch_size
            cells.append(show(name, value) if divided else "")
        interval = measurement.interval
        ends = (show(name, interval.low), show(name, interval.high)) if interval else ()
        cells.append(" to ".join(ends))
        table.add_row(*cells, printable(_origin(measurement)))
    return table


def plain_table(title: str) -> Table:
    """A table without side borders, so that more of it fits beside each other."""
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _origin(measurement: Measurement) -> str:
    """Where a figure comes from, or why there is none."""
    if measurement.reason is not None:
        return measurement.reason
    metric = METRICS[measurement.metric]
    if metric.exact:
        return "counted"
    if metric.estimator != "median":
        return f"{len(measurement.flat):,} {metric.of}{'s' if len(measurement.flat) > 1 else ''}"
    samples, processes = len(measurement.flat), len(measurement.samples)
    of_them = f"{processes} process{'es' if processes > 1 else ''}"
    return of_them if samples == processes else f"{samples} samples, {of_them}"


def _layer_table(layers: Iterable[Layer]) -> Table:
    """The layers with most multiply-adds, with their share of each currency."""
    layers = list(layers)
    total_work = sum(layer.multiply_adds for layer in layers) or 1
    total_traffic = sum(layer.memory_access_fused for layer in layers) or 1
    costly = sorted(layers, key=lambda layer: layer.multiply_adds, reverse=True)[:LAYERS_SHOWN]
    title = f"most expensive layers ({len(costly)} of {len(layers)}, by multiply-adds)"
    table = plain_table(title)
    # In a narrow terminal names go on in the next line: cut off, they would say nothing.
    for heading in ("layer", "kind", "output"):
        table.add_column(heading, overflow="fold")
    for heading in ("multiply-\nadds", "share", "memory,\nfused", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    for layer in costly:
        table.add_row(
            layer.name or "(the network itself)",
            layer.kind,
            "x".join(str(n) for n in layer.output_shape),
            si(layer.multiply_adds, ""),
            f"{100 * layer.multiply_adds / total_work:.1f} %",
            si(layer.memory_access_fused, "B"),
            f"{100 * layer.memory_access_fused / total_traffic:.1f} %",
        )
    return table


def crosscheck_tables(record: Record, result: Crosscheck) -> list[RenderableType]:
    """Operator by operator, and the verdict."""
    table = plain_table("our multiply-adds and fvcore's FLOPs")
    table.add_column("operator", overflow="fold")
    for heading in ("launches", "elements", "ours", "fvcore", "difference"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in sorted(result.rows, key=lambda row: -max(row.flops_fvcore, row.multiply_adds)):
        numbers = (row.launches, row.elements, row.multiply_adds, row.flops_fvcore, row.difference)
        table.add_row(row.operator, *(f"{number:,}" for number in numbers))
    ours, theirs = record["multiply_adds"].value or 0, record["flops_fvcore"].value or 0
    table.add_section()
    table.add_row("total", "", "", f"{ours:,}", f"{theirs:,}", f"{theirs - ours:,}")
    verdict = {
        True: "agree to the unit",
        False: "DISAGREE: one of the two is wrong",
        None: "are not there: no evidence",
    }[result.agrees]
    return [
        _title(record),
        table,
        *(Text(f"{', '.join(names)}: {why}") for why, names in _reasons(result).items()),
        Text(f"convolutions and linear layers {verdict}"),
        Text(f"repeat  {record.command}"),
    ]


def _reasons(result: Crosscheck) -> dict[str, list[str]]:
    """The operators that each reason is for."""
    reasons: dict[str, list[str]] = {}
    for row in result.rows:
        reasons.setdefault(row.why, []).append(row.operator)
    return reasons


def inventory_tables(found: Inventory) -> list[RenderableType]:
    """Variants, then everything else there is to choose."""
    table = plain_table(f"variants ({len(found.variants)})")
    table.add_column("model=", no_wrap=True)
    for heading in ("family", "resolution", "reproduces"):
        table.add_column(heading)
    for variant in found.variants:
        family = variant.target.split(".")[-2]
        table.add_row(variant.name, family, str(variant.resolution), variant.source)
    families = ", ".join(f"{family.name} ({family.variants})" for family in found.families)
    devices = ", ".join(f"{name} ({', '.join(names)})" for name, names in found.devices.items())
    lines = [f"families: {families}", f"devices: {devices}"]
    lines += [f"{group}=: {', '.join(names)}" for group, names in found.choices.items()]
    return [table, Text("\n".join(lines))]


def plan_table(
    cases: Iterable[Case], profilers: Iterable[str], budget: str, estimate: str
) -> RenderableType:
    """What would run, and for how long."""
    table = plain_table("plan: nothing is run")
    for heading in ("model", "device", "how", "profilers", "budget"):
        table.add_column(heading)
    names = ", ".join(profilers)
    for case in cases:
        table.add_row(case.name, case.device_name, describe(case), names, budget)
    return Group(table, Text(estimate))
