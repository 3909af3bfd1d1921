"""Where the time goes: tables by layer and by operator, and the document of both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from benchbench.experiments.bound import AgainstBound, bound_of
from benchbench.experiments.operators import (
    LayerTime,
    OperatorTime,
    attributed,
    executes_layers,
    layer_times,
    operator_times,
)
from benchbench.metrics import si
from benchbench.records import Record

ROWS_SHOWN = 10
MARGIN = 0.01  # of the profiled time may lie outside the layers that the walk counted


def operator_tables(record: Record) -> list[RenderableType]:
    """By layer, by operator, and what to make of it; nothing where nothing was profiled."""
    against = bound_of(record)
    limit: list[RenderableType] = [Text(_limit(against))] if against else []
    layers, operators = layer_times(record), operator_times(record)
    if not operators:
        return limit
    tables = [(_layer_table if executes_layers(record) else _node_table)(layers)] if layers else []
    return [*tables, _operator_table(operators), *(Text(line) for line in _remarks(record)), *limit]


def operators_document(record: Record) -> dict[str, Any]:
    """The same for `output=json`: whole, in order of execution."""
    against = bound_of(record)
    bound = {"bound": None if against is None else _bound_document(against)}
    if record.get("operator_time") is None:
        return bound
    return bound | {
        "layer_times": [
            item._asdict() | {"kernels": list(item.kernels), "ratio": item.ratio}
            for item in layer_times(record)
        ],
        "operator_times": [item._asdict() for item in operator_times(record)],
        "attributed": attributed(record),
    }


def _bound_document(against: AgainstBound) -> dict[str, Any]:
    return against._asdict() | {
        "bound": against.bound._asdict(),
        "roofs": against.roofs._asdict(),
    }


def _layer_table(layers: Sequence[LayerTime]) -> Table:
    """Layers that take most time, and the rest in one row."""
    total = sum(item.seconds for item in layers) or 1.0
    costly = sorted(layers, key=lambda item: item.seconds, reverse=True)
    shown, rest = costly[:ROWS_SHOWN], costly[ROWS_SHOWN:]
    table = _table(f"layers that take most time ({len(shown)} of {len(layers)}, profiled)")
    for heading in ("layer", "kind", "kernel"):
        table.add_column(heading, overflow="fold")
    for heading in ("multiply-\nadds", "memory,\nfused", "time", "share", "time over\nbound"):
        table.add_column(heading, justify="right", no_wrap=True)
    for item in shown:
        table.add_row(*_layer_names(item), *_layer_numbers([item], total))
    if rest:
        table.add_row(f"{len(rest)} others", "", "", *_layer_numbers(rest, total))
    table.add_section()
    table.add_row("total", "", "", *_layer_numbers(layers, total))
    return table


def _node_table(nodes: Sequence[LayerTime]) -> Table:
    """The same of nodes of a runtime's graph, of which nothing was counted."""
    total = sum(item.seconds for item in nodes) or 1.0
    costly = sorted(nodes, key=lambda item: item.seconds, reverse=True)
    shown, rest = costly[:ROWS_SHOWN], costly[ROWS_SHOWN:]
    table = _table(f"nodes that take most time ({len(shown)} of {len(nodes)}, profiled)")
    for heading in ("node", "operator", "kernel"):
        table.add_column(heading, overflow="fold")
    for heading in ("time", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    for item in shown:
        table.add_row(*_layer_names(item), *_layer_numbers([item], total)[2:4])
    if rest:
        table.add_row(f"{len(rest)} others", "", "", *_layer_numbers(rest, total)[2:4])
    table.add_section()
    table.add_row("total", "", "", *_layer_numbers(nodes, total)[2:4])
    return table


def _layer_names(item: LayerTime) -> tuple[str, str, str]:
    name = "(outside any)" if item.layer is None else item.layer or "(the network itself)"
    kernel = short(item.kernels[0]) if item.kernels else ""
    more = f" + {len(item.kernels) - 1}" if len(item.kernels) > 1 else ""
    return name, item.kind, kernel + more


def _layer_numbers(items: Sequence[LayerTime], total: float) -> list[str]:
    """The sums of some layers; over the bound only where one of them has a bound."""
    seconds = sum(item.seconds for item in items)
    bound = sum(item.bound_seconds or 0.0 for item in items)
    return [
        si(sum(item.multiply_adds for item in items), ""),
        si(sum(item.bytes for item in items), "B"),
        si(seconds, "s"),
        f"{100 * seconds / total:.1f} %",
        f"{seconds / bound:.1f}" if bound else "",
    ]


def _operator_table(operators: Sequence[OperatorTime]) -> Table:
    total = sum(item.seconds for item in operators) or 1.0
    shown, rest = operators[:ROWS_SHOWN], operators[ROWS_SHOWN:]
    table = _table(f"operators that take most time ({len(shown)} of {len(operators)}, profiled)")
    for heading in ("operator", "kernel"):
        table.add_column(heading, overflow="fold")
    for heading in ("calls", "time", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    for item in shown:
        table.add_row(item.operator, short(item.kernel), *_operator_numbers([item], total))
    if rest:
        table.add_row(f"{len(rest)} others", "", *_operator_numbers(rest, total))
    table.add_section()
    table.add_row("total", "", *_operator_numbers(operators, total))
    return table


def _operator_numbers(items: Sequence[OperatorTime], total: float) -> list[str]:
    seconds = sum(item.seconds for item in items)
    calls = sum(item.calls for item in items)
    return [f"{calls:,}", si(seconds, "s"), f"{100 * seconds / total:.1f} %"]


def short(kernel: str) -> str:
    """The name of a CUDA kernel without its return type, namespaces and template arguments."""
    plain = kernel.replace("(anonymous namespace)::", "").removeprefix("void ")
    return re.split(r"[<(]", plain)[0].rpartition("::")[2].strip() or kernel


def _remarks(record: Record) -> list[str]:
    """What the profiler changed by looking, and what it could not place."""
    details = record["operator_time"].details
    profiled, plain = (si(details[key], "s") for key in ("profiled_call_seconds", "call_seconds"))
    lines = [
        f"profiled apart from the timed run: a call took {profiled} instead of {plain} "
        f"({details['overhead']:.2f} times), which makes light layers look heavier than they are"
    ]
    share = attributed(record)
    if record.layers and share is not None and share < 1 - MARGIN:
        lines.append(f"only {100 * share:.1f} % of the time is in layers that were counted")
    return lines


def _limit(against: AgainstBound) -> str:
    bound, roofs = against.bound, against.roofs
    peak, bandwidth = si(roofs.peak_multiply_adds, ""), si(roofs.peak_bandwidth, "B/s")
    line = (
        f"bound   {si(bound.seconds, 's')} at {peak} multiply-adds/s and {bandwidth} "
        f"({bound.compute_bound} of {bound.kernels} fused kernels compute-bound); "
        f"latency is {against.ratio:.2f} times that"
    )
    if against.launch_seconds is not None:
        line += f"; {si(against.launch_seconds, 's')} for its eager launches alone"
    if against.ratio < 1:
        line += "; BEATEN: a roof is too low, or a kernel multiplies less often than counted"
    return line


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
