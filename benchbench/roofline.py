"""The physical limit and what the probes predict: arithmetic on kernels and roofs, without a clock.

The bound is a sum over ideally fused kernels of max(multiply-adds / peak, bytes / bandwidth):
kernels run one after another, each either computes or waits for memory, and nothing is spent on
starting them. It holds where kernels multiply as often as counted, which Winograd's do not.

The prediction takes the kernels that a runtime starts, lets each multiply what fills whole
vectors, and adds the cost of starting it. Nothing in it is fitted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

ROOF_METRICS = ("peak_multiply_adds", "peak_bandwidth", "launch_cost")  # that are measured


class Roofs(NamedTuple):
    """What a device reaches at most, in one element type, with so many threads."""

    peak_multiply_adds: float  # per second
    peak_bandwidth: float  # bytes read and written, per second


class Kernel(NamedTuple):
    """What one kernel does; it belongs to the layer that starts it."""

    layer: str
    multiply_adds: int
    bytes: int
    padded: int | None = None  # multiply-adds with channels padded; None in older records


class Bound(NamedTuple):
    """Seconds at least; `compute_seconds` and `memory_seconds` if that alone took time.

    `seconds` is at least the larger of the two and at most their sum.
    """

    seconds: float
    compute_seconds: float
    memory_seconds: float
    kernels: int
    compute_bound: int  # kernels that computing holds up, and not memory


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


def predicted(kernels: Sequence[Kernel], roofs: Roofs, launch_seconds: float) -> float:
    """Seconds that the probes let one expect: the bound of padded work, and a launch for each."""
    whole = [
        kernel._replace(
            multiply_adds=kernel.multiply_adds if kernel.padded is None else kernel.padded
        )
        for kernel in kernels
    ]
    return lower_bound(whole, roofs).seconds + len(kernels) * launch_seconds
