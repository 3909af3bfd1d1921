"""What the probes of a device let one expect of a case, before it is timed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from benchbench.cases import Case
from benchbench.measurements import Measurement
from benchbench.roofline import Kernel, Roofs, predicted

LEDGERS = {"eager": "memory_access_ops", "cuda_graph": "memory_access_ops"}
FUSED = "memory_access_fused"  # of runtimes that compile


def prediction(
    case: Case, counts: Mapping[str, Measurement], roofs: Mapping[str, Measurement]
) -> Measurement | None:
    """`predicted_latency` from counted kernels and measured roofs; None where either is missing.

    Eager PyTorch and its CUDA graphs start a kernel for each operator, the others one for each
    ideally fused group. A replay of a CUDA graph launches nothing by itself.
    """
    counted = counts.get(LEDGERS.get(case.runtime, FUSED))
    peak, bandwidth, launch = (
        roofs.get(name) for name in ("peak_multiply_adds", "peak_bandwidth", "launch_cost")
    )
    rows = counted.details.get("kernels") if counted is not None else None
    if not rows or case.mode == "train":
        return None
    if peak is None or bandwidth is None or launch is None or launch.value is None:
        return None
    if not peak.flat or not bandwidth.flat:
        return None
    limits = Roofs(max(peak.flat), max(bandwidth.flat))
    seconds = 0.0 if case.runtime == "cuda_graph" else float(launch.value)
    kernels = [Kernel(*row) for row in rows]
    details = {
        "peak_multiply_adds": limits.peak_multiply_adds,
        "peak_bandwidth": limits.peak_bandwidth,
        "launch_cost": seconds,
        "kernels": len(kernels),
        "before_timing": "latency" not in counts,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    value = predicted(kernels, limits, seconds)
    return Measurement("predicted_latency", samples=((value,),), details=details)
