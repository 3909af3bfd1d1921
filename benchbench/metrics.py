"""One table: what each metric is called, its unit, its direction and whether it is exact.

Tables, plots, documents and comparisons follow it, in its order.
"""

from __future__ import annotations

from typing import NamedTuple


class Metric(NamedTuple):
    label: str
    unit: str  # SI, "" for a count
    exact: bool = True  # the same however often it is taken
    portable: bool = True  # if exact, also on another machine and with other libraries
    lower_is_better: bool = True
    # Or "mean" or "maximum"; or "proportion": samples are 0 or 1, shown as percent.
    estimator: str = "median"
    of: str = "image"  # what a sample is of, where it is no median
    # Which checks grade it, if it is not exact: those of a "time", a "peak" or any other "figure".
    # None: it is derived from others, taken once beside them, or has an uncertainty of its own.
    checked_as: str | None = "figure"


METRICS: dict[str, Metric] = {
    "params": Metric("parameters", ""),
    "multiply_adds": Metric("multiply-adds", ""),
    "multiply_adds_padded": Metric("multiply-adds, padded", "", portable=False),
    "flops_fvcore": Metric("FLOPs by fvcore", ""),
    "activations": Metric("activations", ""),
    "launches": Metric("launches, eager", ""),
    "memory_access_paper": Metric("memory access, paper", "B"),
    "memory_access_ops": Metric("memory access, ops", "B"),
    "memory_access_fused": Metric("memory access, fused", "B"),
    "graph_nodes": Metric("nodes of the runtime's graph", "", portable=False),
    "executed_kernels": Metric("kernels of convolutions", "", portable=False),
    "memory_access_graph": Metric("memory access, runtime's graph", "B", portable=False),
    "peak_memory": Metric("peak memory", "B", exact=False, checked_as="peak"),
    "peak_memory_kernel": Metric("peak memory, kernel's mark", "B", exact=False, checked_as="peak"),
    "peak_memory_reserved": Metric("peak memory, reserved", "B", exact=False, checked_as="peak"),
    "latency": Metric("latency", "s", exact=False, checked_as="time"),
    "predicted_latency": Metric("latency predicted by probes", "s", exact=False, checked_as=None),
    "forward_time": Metric("forward with loss", "s", exact=False),
    "backward_time": Metric("backward", "s", exact=False),
    "optimiser_step_time": Metric("optimiser step", "s", exact=False),
    "preparation_time": Metric("time to export and compile", "s", exact=False, checked_as=None),
    "preparation_memory": Metric("memory to export and compile", "B", exact=False, checked_as=None),
    "runtime_difference": Metric("difference from eager fp32", "", exact=False, checked_as=None),
    "build_time": Metric("time to build or load", "s", exact=False),
    "cold_start": Metric("first call", "s", exact=False),
    "device_time": Metric("device time", "s", exact=False, checked_as="time"),
    "graph_time": Metric("graph time", "s", exact=False, checked_as="time"),
    "launch_bound": Metric("launch-bound: latency / graph time", "", exact=False, checked_as=None),
    "energy": Metric("energy, counter", "J", exact=False),
    "energy_integrated": Metric("energy, integrated power", "J", exact=False),
    "operator_time": Metric("time in operators, profiled", "s", exact=False),
    "peak_multiply_adds": Metric(
        "multiply-add roof, GEMM", "/s", exact=False, lower_is_better=False
    ),
    "peak_bandwidth": Metric(
        "bandwidth roof, copy or read", "B/s", exact=False, lower_is_better=False
    ),
    "launch_cost": Metric("empty operator", "s", exact=False),
    "top1": Metric(
        "top-1", "", exact=False, lower_is_better=False, estimator="proportion", checked_as=None
    ),
    "top5": Metric(
        "top-5", "", exact=False, lower_is_better=False, estimator="proportion", checked_as=None
    ),
    "agreement": Metric(
        "top-1 agreement with fp32",
        "",
        exact=False,
        lower_is_better=False,
        estimator="proportion",
        of="crop",
        checked_as=None,
    ),
    "agreement_confident": Metric(
        "top-1 agreement where fp32 is sure",
        "",
        exact=False,
        lower_is_better=False,
        estimator="proportion",
        of="crop",
        checked_as=None,
    ),
    "error_maximum": Metric(
        "largest error of a probability",
        "",
        exact=False,
        estimator="maximum",
        of="crop",
        checked_as=None,
    ),
    "error_mean": Metric(
        "mean error of the probabilities",
        "",
        exact=False,
        estimator="mean",
        of="crop",
        checked_as=None,
    ),
}
# Which of them grow with the batch, so that a table shows them per image too.
PER_IMAGE = (
    "multiply_adds",
    "multiply_adds_padded",
    "flops_fvcore",
    "activations",
    "memory_access_paper",
    "memory_access_ops",
    "memory_access_fused",
    "memory_access_graph",
    "latency",
    "device_time",
    "graph_time",
    "energy",
    "energy_integrated",
)
_PREFIXES = {-9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}


def si(value: float, unit: str, digits: int = 4) -> str:
    """A value with an SI prefix: `si(0.02131, "s")` is "21.31 ms"."""
    exponent = 0
    for candidate in sorted(_PREFIXES):
        # Compared after rounding, so that 999.96 becomes 1.000 k and not 1000.
        if float(f"{abs(value):.{digits}g}") >= 10.0**candidate:
            exponent = candidate
    scaled = f"{value / 10.0**exponent:#.{digits}g}".rstrip(".")
    return f"{scaled} {_PREFIXES[exponent]}{unit}".rstrip()


def show(metric: str, value: float | None) -> str:
    """A value as tables print it: counts in full, proportions as percent, the rest in SI.

    What has no unit and is no count is a ratio: two decimals.
    """
    if value is None:
        return "not available"
    if METRICS[metric].estimator == "proportion":
        return f"{100 * value:.2f} %"
    unit = METRICS[metric].unit
    if unit:
        return si(value, unit)
    if METRICS[metric].exact:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.01 or value == 0 else f"{value:.1e}"
