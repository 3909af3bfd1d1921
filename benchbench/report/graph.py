"""The runtime's own graph: how many nodes of which operator, and what they were fused from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from benchbench.metrics import si
from benchbench.records import Record

SHOWN = ("operators", "fused", "left_out", "providers", "opset", "ir_version")


def graph_tables(record: Record) -> list[RenderableType]:
    """Operators of the graph, and what is no node of it; nothing where none could be read."""
    details = _details(record)
    if not details:
        return []
    table = Table(
        title="the runtime's graph", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    table.add_column("operator", overflow="fold")
    for heading in ("nodes", "memory"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("of them fused", overflow="fold")
    for operator in details["operators"]:
        table.add_row(operator, *_cells(operator, details["nodes"]))
    left_out = _listed(details["left_out"])
    remark = [Text(f"costs nothing and is left out: {left_out}\n")] if left_out else []
    return [table, *remark]


def _cells(operator: str, nodes: Sequence[Mapping[str, Any]]) -> tuple[str, str, str]:
    own = [node for node in nodes if node["operator"] == operator]
    fused = Counter(node["pattern"] for node in own if node["pattern"])
    memory = si(sum(node["bytes"] for node in own), "B")
    return f"{len(own):,}", memory, _listed(dict(fused.most_common()))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def graph_document(record: Record) -> dict[str, Any] | None:
    """The same for `output=json`; a row for each node stays in the store."""
    details = _details(record)
    return {key: details[key] for key in SHOWN} if details else None


def _details(record: Record) -> Mapping[str, Any]:
    measurement = record.get("graph_nodes")
    return measurement.details if measurement else {}
