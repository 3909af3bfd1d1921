"""An audit as tables, document and rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from benchbench.experiments.audit import DEPTHWISE, WORST, Alike, Audit
from benchbench.experiments.sayings import judge_sayings
from benchbench.experiments.swaps import TOLERANCE, Swap
from benchbench.metrics import si
from benchbench.records import SCHEMA_VERSION, Record
from benchbench.report.sayings import (
    LEDGER,
    saying_document,
    several_tables,
    shown,
    with_means,
)
from benchbench.report.tables import describe, plain_table, quality_lines
from benchbench.statistics.intervals import Interval

VERDICTS = {True: "VIOLATED", False: "obeyed", None: "not known"}


def audit_tables(audits: Sequence[Audit], swaps: Sequence[Swap]) -> list[RenderableType]:
    """The scorecard of one network, or of several with what people say of them."""
    if len(audits) == 1:
        return _single(audits[0], swaps)
    return several_tables(audits)


def _single(audit: Audit, swaps: Sequence[Swap]) -> list[RenderableType]:
    record = audit.record
    heading = f"{record.case.name} under ShuffleNetV2's guidelines"
    parts: list[RenderableType] = [
        Text.assemble((heading, "bold"), f"\n{describe(record.case)}"),
        _scorecard(audit),
        Text("\n".join(_beside(audit)) + "\n"),
    ]
    if audit.known:
        parts += [_split(audit), _worst(audit)]
    if audit.moving:
        parts.append(_moving(audit))
    if swaps:
        parts += [_swaps(swaps), Text(_how_swapped(swaps))]
    return [*parts, Text(f"{LEDGER}\n"), *_closing(record)]


def _closing(record: Record) -> Iterator[Text]:
    """The network's quality, where it is kept and how to repeat it; layers have their grade."""
    session = " and its layers, of the same session" if record.session else ""
    lines = [*quality_lines(record.quality), f"record  {record.id}{session}"]
    yield from map(Text, [*lines, f"repeat  {record.command}"])


def _scorecard(audit: Audit) -> Table:
    table = plain_table("scorecard")
    table.add_column("")
    table.add_column("measure", overflow="fold")
    for heading in ("value", "threshold"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for score in audit.scores:
        cells = shown(score, score.value), shown(score, score.threshold)
        table.add_row(score.guideline, score.measure, *cells, VERDICTS[score.violated])
    return table


def _beside(audit: Audit) -> Iterator[str]:
    """What the scores leave out."""
    kinds = Counter(block.kind for block in audit.blocks)
    if audit.blocks:
        found = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        most = max(audit.blocks, key=lambda block: block.operations)
        yield f"blocks: {found}; most operations in one: {most.operations}, {most.path}"
        pooled = with_means(audit)
        yield f"were a mean over the map a pool too, a block would have {pooled:.2f} on average"
    if audit.parallelism:
        yield f"critical path: of ideally fused kernels, weighed by {audit.parallelism.weighed_by}"
    if audit.small_launches is not None:
        share = f"{100 * audit.small_launches:.0f} %"
        yield f"{share} of the eager launches take less at the roofs than an empty operator"


def _split(audit: Audit) -> Table:
    table = plain_table("memory access, paper, of the scored convolutions")
    table.add_column("part")
    for heading in ("bytes", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    total = audit.scored_bytes or 1
    for name, value in _parts(audit).items():
        table.add_row(name, f"{value:,}", f"{100 * value / total:.1f} %")
    table.add_section()
    table.add_row("total", f"{audit.scored_bytes:,}", "")
    if audit.unscored:
        row = f"beside it, {len(audit.unscored)} on maps of one pixel"
        paper = audit.record["memory_access_paper"].value or 0
        table.add_row(row, f"{int(paper) - audit.scored_bytes:,}", "")
    return table


def _parts(audit: Audit) -> dict[str, int]:
    return {
        "bound: no widths and groups would do with less": audit.terms.bound,
        "excess of unequal widths, G1": audit.terms.g1,
        "excess of groups, G2": audit.terms.g2,
        "depthwise: bound": audit.depthwise.bound,
        "depthwise: excess of strides, by G1's formula": audit.depthwise.g1,
        "depthwise: excess of groups, by G2's formula": audit.depthwise.g2,
    }


def _worst(audit: Audit) -> Table:
    table = plain_table(f"layers with most excess, up to {WORST} of each")
    table.add_column("")
    for heading in ("layer", "convolution"):
        table.add_column(heading, overflow="fold")
    for heading in ("alike", "excess", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, worst in audit.worst.items():
        for alike in worst:
            share = f"{100 * alike.excess / audit.scored_bytes:.1f} %"
            cells = (str(len(alike.layers)), si(alike.excess, "B"), share)
            table.add_row(name, alike.layers[0], _kind(alike), *cells)
    return table


def _kind(alike: Alike) -> str:
    """ "16 to 96, 1x1, 112x112": channels, kernel, map."""
    row = alike.row
    sizes = ("x".join(map(str, size)) for size in (row.kernel_size, row.input_size))
    kernel, size = sizes
    stride = f" / {max(row.stride)}" if max(row.stride) > 1 else ""
    groups = f", {row.groups} groups" if row.groups > 1 else ""
    return f"{row.in_channels} to {row.out_channels}{groups}, {kernel}{stride}, {size}"


def _moving(audit: Audit) -> Table:
    shown = f"{min(WORST, len(audit.moving))} of {len(audit.moving)}"
    table = plain_table(f"G4: kernels that only move data ({shown}, by bytes)")
    table.add_column("layer", overflow="fold")
    table.add_column("operator", no_wrap=True)
    for heading in ("bytes", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    for kernel, operator in audit.moving[:WORST]:
        share = f"{100 * kernel.bytes / audit.matrix_bytes:.1f} %" if audit.matrix_bytes else ""
        table.add_row(kernel.layer, operator, si(kernel.bytes, "B"), share)
    return table


def _swaps(swaps: Iterable[Swap]) -> Table:
    table = plain_table("what a violation costs: the layer less one that obeys")
    table.add_column("")
    for heading in ("layer", "as it is", "obeying"):
        table.add_column(heading, overflow="fold")
    for heading in ("alike", "miss", "costs,\nms", "95 % interval", "of\nlatency"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("kernel", "grade"):
        table.add_column(heading, no_wrap=True)
    for swap in swaps:
        table.add_row(
            swap.guideline,
            swap.layer,
            *(_widths(record.case.arguments) for record in (swap.own, swap.compliant)),
            str(swap.alike),
            f"{100 * swap.miss:+.1f} %",
            _milliseconds(swap.seconds),
            _ends(swap.interval),
            "" if swap.share is None else f"{100 * swap.share:+.1f} %",
            {True: "another", False: "same", None: ""}[swap.other_kernel],
            swap.grade or "none",
        )
    return table


def _widths(arguments: Any) -> str:
    groups = f", g {arguments['groups']}" if arguments["groups"] > 1 else ""
    return f"{arguments['in_channels']} to {arguments['out_channels']}{groups}"


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:+.3f}"


def _ends(interval: Interval | None) -> str:
    if interval is None:
        return "one process"
    return f"{1e3 * interval.low:+.3f} to {1e3 * interval.high:+.3f}"


def _how_swapped(swaps: Sequence[Swap]) -> str:
    undecided = sum(not swap.decided for swap in swaps)
    lines = [
        "costs: of all layers alike, each alone and in turn with the obeying one, whose time is",
        "divided by its miss of equal multiply-adds (channels fill vectors where that is a miss",
        f"of {100 * TOLERANCE:.0f} % at most; g: groups); below 0 the layer is the faster one",
    ]
    if undecided:
        lines.append(f"0 lies in the interval of {undecided} of {len(swaps)}: no cost is shown")
    if any(swap.other_kernel for swap in swaps):
        lines.append("where another kernel ran, the cost is the library's as much as the widths'")
    unlike = [swap.layer for swap in swaps if swap.as_in_network is False]
    if unlike:
        lines.append(f"in the network another kernel runs than alone: {', '.join(unlike)}")
    return "\n".join(lines) + "\n"


def audit_document(audits: Sequence[Audit], swaps: Sequence[Swap]) -> dict[str, Any]:
    """The document of an audit."""
    first = audits[0].record
    return {
        "schema_version": SCHEMA_VERSION,
        "task": "audit",
        "thresholds": [
            {"guideline": s.guideline, "measure": s.measure, "threshold": s.threshold}
            for s in audits[0].scores
        ],
        "ledger": " ".join(LEDGER.split()),
        "audits": [_audit(audit) for audit in audits],
        "swaps": [_swap(swap) for swap in swaps],
        "sayings": [saying_document(judged, audits) for judged in judge_sayings(audits)],
        "session": first.session,
        "environment": dict(first.environment),
        "command": first.command,
    }


def _audit(audit: Audit) -> dict[str, Any]:
    parallel = audit.parallelism
    return {
        "model": audit.record.case.name,
        "input_shape": list(audit.record.case.input_shape),
        "precision": audit.record.case.precision,
        "breaks": list(audit.broken),
        "scores": [score._asdict() | {"violated": score.violated} for score in audit.scores],
        "memory_access_paper": {
            "scored": audit.scored_bytes,
            "bound": audit.terms.bound,
            "g1_excess": audit.terms.g1,
            "g2_excess": audit.terms.g2,
            DEPTHWISE: audit.depthwise._asdict(),
        },
        "unscored": [row.layer for row in audit.unscored],
        "worst": {name: [_alike(alike) for alike in worst] for name, worst in audit.worst.items()},
        "blocks": [block._asdict() | {"operations": block.operations} for block in audit.blocks],
        "parallelism": None if parallel is None else parallel._asdict(),
        "small_launches": audit.small_launches,
        "moving": [
            {"layer": kernel.layer, "operator": operator, "bytes": kernel.bytes}
            for kernel, operator in audit.moving
        ],
        "record": audit.record.id,
    }


def _alike(alike: Alike) -> dict[str, Any]:
    row = alike.row._asdict()
    return {"layers": list(alike.layers), "excess": alike.excess} | {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in row.items()
        if name != "layer"
    }


def _swap(swap: Swap) -> dict[str, Any]:
    return {
        "guideline": swap.guideline,
        "layer": swap.layer,
        "alike": swap.alike,
        "own": _lone(swap.own.case.arguments),
        "compliant": _lone(swap.compliant.case.arguments),
        "multiply_adds_miss": swap.miss,
        "cost": {"value": swap.seconds, "unit": "s", "ci": _pair(swap.interval)},
        "share_of_latency": {"value": swap.share, "ci": _pair(swap.share_interval)},
        "decided": swap.decided,
        "other_kernel": swap.other_kernel,
        "as_in_network": swap.as_in_network,
        "quality": swap.grade,
        "records": [swap.own.id, swap.compliant.id],
    }


def _lone(arguments: Any) -> dict[str, Any]:
    return {name: arguments[name] for name in ("in_channels", "out_channels", "groups")}


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def audit_rows(audits: Iterable[Audit]) -> list[dict[str, Any]]:
    """One flat row a score."""
    return [
        {
            "model": audit.record.case.name,
            "resolution": audit.record.case.resolution,
            "guideline": score.guideline,
            "measure": score.measure,
            "value": score.value,
            "threshold": score.threshold,
            "verdict": VERDICTS[score.violated],
            "depthwise_excess": audit.depthwise.g1 + audit.depthwise.g2,
            "scored_bytes": audit.scored_bytes,
            "record": audit.record.id,
        }
        for audit in audits
        for score in audit.scores
    ]
