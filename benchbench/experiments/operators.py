"""Profiled time by layer and by operator, joined with what the walk counted.

Eager PyTorch executes layers. Other runtimes execute nodes of their own graphs: whatever those are
called, they are not joined with layers.

Layers join by name. Time of an activation or a norm that ideal fusion would give away has no
bound of its own: its layer starts no kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from benchbench.experiments.bound import kernels_of, layer_bounds, roofs_of
from benchbench.measurements import Layer
from benchbench.records import Record
from benchbench.roofline import Bound

Row = Mapping[str, Any]  # as `operator_time` has them: layer, operator, kernel, calls, seconds


class LayerTime(NamedTuple):
    """One layer: counts from the walk, time from the profiler, per call of the network.

    Or one node of a runtime's graph: nothing is counted of it.
    """

    layer: str | None  # None: outside any module
    kind: str  # "depthwise 3x3"; "" where the walk counts nothing; the operator of a node
    multiply_adds: int
    bytes: int  # memory access, fused
    seconds: float
    bound_seconds: float | None  # None: no roofs, or no kernel starts here
    kernels: tuple[str, ...]  # those that took most time first

    @property
    def ratio(self) -> float | None:
        """Time over its bound."""
        return self.seconds / self.bound_seconds if self.bound_seconds else None


class OperatorTime(NamedTuple):
    """One operator by one kernel, in all layers, per call of the network."""

    operator: str
    kernel: str
    calls: int
    seconds: float


def layer_times(record: Record) -> list[LayerTime]:
    """Every layer that was counted or took time, in order of execution; none if not profiled.

    Of a runtime's own graph every node that took time; none where it names none (inductor).
    """
    by_layer: dict[str | None, list[Row]] = {}
    for row in _rows(record):
        by_layer.setdefault(row["layer"], []).append(row)
    if not executes_layers(record):
        return [_node_time(name, rows) for name, rows in by_layer.items() if name is not None]
    if not by_layer:
        return []
    roofs = roofs_of(record)
    bounds = layer_bounds(kernels_of(record), roofs) if roofs else {}
    counted: dict[str | None, Layer] = {
        layer.name: layer for layer in record.layers if layer.launches
    }
    names = dict.fromkeys([*counted, *by_layer])
    return [_layer_time(name, counted.get(name), by_layer.get(name, ()), bounds) for name in names]


def executes_layers(record: Record) -> bool:
    """Whether names in a profile are those of layers."""
    return record.case.runtime == "eager"


def _node_time(name: str, rows: Sequence[Row]) -> LayerTime:
    operators = ", ".join(dict.fromkeys(row["operator"] for row in rows))
    return _layer_time(name, None, rows, {})._replace(kind=operators)


def _layer_time(
    name: str | None, layer: Layer | None, rows: Sequence[Row], bounds: Mapping[str, Bound]
) -> LayerTime:
    bound = None if name is None else bounds.get(name)
    return LayerTime(
        layer=name,
        kind=layer.kind if layer else "",
        multiply_adds=layer.multiply_adds if layer else 0,
        bytes=layer.memory_access_fused if layer else 0,
        seconds=sum(row["seconds"] for row in rows),
        bound_seconds=bound.seconds if bound else None,
        kernels=_by_time(rows),
    )


def _by_time(rows: Iterable[Row]) -> tuple[str, ...]:
    ordered = sorted(rows, key=lambda row: row["seconds"], reverse=True)
    return tuple(dict.fromkeys(row["kernel"] for row in ordered))


def operator_times(record: Record) -> list[OperatorTime]:
    """Operators by kernel, those that took most time first."""
    found: dict[tuple[str, str], OperatorTime] = {}
    for row in _rows(record):
        key = (row["operator"], row["kernel"])
        before = found.get(key, OperatorTime(*key, 0, 0.0))
        found[key] = before._replace(
            calls=before.calls + row["calls"], seconds=before.seconds + row["seconds"]
        )
    return sorted(found.values(), key=lambda item: item.seconds, reverse=True)


def attributed(record: Record) -> float | None:
    """The share of the profiled time that lies in layers the walk counted: near 1, or the two
    do not speak of the same network. None where nothing was profiled, or no layers."""
    times = layer_times(record) if executes_layers(record) else []
    total = sum(item.seconds for item in times)
    return sum(item.seconds for item in times if item.kind) / total if total else None


def _rows(record: Record) -> Iterable[Row]:
    measurement = record.get("operator_time")
    return measurement.details.get("operators", ()) if measurement else ()
