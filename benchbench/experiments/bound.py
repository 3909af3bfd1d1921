"""The physical limit: what a network takes at least, at the roofs this device was measured at.

The bound is a sum over ideally fused kernels of max(multiply-adds / peak, bytes / bandwidth):
kernels run one after another, each either computes or waits for memory, and nothing is spent on
starting them. It holds where kernels multiply as often as counted, which Winograd's do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from benchbench.measurements import Measurement
from benchbench.records import Record


class Roofs(NamedTuple):
    """What a device reaches at most, in one element type, with so many threads."""

    peak_multiply_adds: float  # per second
    peak_bandwidth: float  # bytes read and written, per second


class Kernel(NamedTuple):
    """An ideally fused kernel; it belongs to the layer that starts it."""

    layer: str
    multiply_adds: int
    bytes: int


class Bound(NamedTuple):
    """Seconds at least; `compute_seconds` and `memory_seconds` if that alone took time.

    `seconds` is at least the larger of the two and at most their sum.
    """

    seconds: float
    compute_seconds: float
    memory_seconds: float
    kernels: int
    compute_bound: int  # kernels that computing holds up, and not memory


class AgainstBound(NamedTuple):
    """A network's latency beside what it takes at least."""

    bound: Bound
    roofs: Roofs
    latency: float
    ratio: float  # latency over bound
    launch_seconds: float | None  # eager launches, each as long as an empty operator


def lower_bound(kernels: Iterable[Kernel], roofs: Roofs) -> Bound:
    """What these kernels take at least, one after another."""
    pairs = [
        (kernel.multiply_adds / roofs.peak_multiply_adds, kernel.bytes / roofs.peak_bandwidth)
        for kernel in kernels
    ]
    return Bound(
        seconds=sum(max(pair) for pair in pairs),
        compute_seconds=sum(compute for compute, _ in pairs),
        memory_seconds=sum(memory for _, memory in pairs),
        kernels=len(pairs),
        compute_bound=sum(compute > memory for compute, memory in pairs),
    )


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
