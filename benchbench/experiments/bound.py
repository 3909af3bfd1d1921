"""The physical limit of a record: its counts under the roofs that were measured with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from benchbench.measurements import Measurement
from benchbench.records import Record
from benchbench.roofline import Bound, Kernel, Roofs, lower_bound


class AgainstBound(NamedTuple):
    """A network's latency beside what it takes at least."""

    bound: Bound
    roofs: Roofs
    latency: float
    ratio: float  # latency over bound
    launch_seconds: float | None  # eager launches, each as long as an empty operator


def layer_bounds(kernels: Iterable[Kernel], roofs: Roofs) -> dict[str, Bound]:
    """The bound of each layer that starts a kernel; one that joins another's has none."""
    by_layer: dict[str, list[Kernel]] = {}
    for kernel in kernels:
        by_layer.setdefault(kernel.layer, []).append(kernel)
    return {layer: lower_bound(found, roofs) for layer, found in by_layer.items()}


def kernels_of(record: Record) -> tuple[Kernel, ...]:
    """The kernels a record counted; none where nobody counted, or before they were listed."""
    fused = record.get("memory_access_fused")
    return tuple(Kernel(*item) for item in fused.details.get("kernels", ())) if fused else ()


def roofs_of(record: Record) -> Roofs | None:
    """The roofs of a record; None where they were not measured."""
    peak, bandwidth = (_best(record.get(name)) for name in ("peak_multiply_adds", "peak_bandwidth"))
    return Roofs(peak, bandwidth) if peak and bandwidth else None


def _best(measurement: Measurement | None) -> float | None:
    """The highest of all processes: what one of them reached was no limit for the others."""
    return max(measurement.flat, default=None) if measurement else None


def bound_of(record: Record) -> AgainstBound | None:
    """A record's latency over its bound; None where counts, roofs or latency are missing.

    Nor is there one of training: what is counted is the forward alone.
    """
    return bound_under(record, roofs_of(record))


def bound_under(record: Record, roofs: Roofs | None) -> AgainstBound | None:
    """The same under roofs that another record of its session may have."""
    kernels, latency = kernels_of(record), record.get("latency")
    if roofs is None or latency is None or latency.value is None or record.case.mode == "train":
        return None
    bound = lower_bound(kernels, roofs)
    if not bound.seconds:
        return None
    return AgainstBound(
        bound, roofs, latency.value, latency.value / bound.seconds, _launch_seconds(record)
    )


def _launch_seconds(record: Record) -> float | None:
    launches, cost = (record.get(name) for name in ("launches", "launch_cost"))
    if record.case.runtime != "eager":  # others start their own kernels, without Python
        return None
    if launches is None or launches.value is None or cost is None or cost.value is None:
        return None
    return launches.value * cost.value
