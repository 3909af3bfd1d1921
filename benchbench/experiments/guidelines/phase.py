"""Where each guideline holds, by the probes' law alone, on any device.

The law is sum over kernels of max(multiply-adds / peak, bytes / bandwidth) + launches x t0. Divided
by the peak's time, two numbers of a device are left: the ridge point (multiply-adds a byte that
bring both roofs together) and the multiply-adds that a launch costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, expm1, log
from statistics import fmean
from typing import NamedTuple

from benchbench.experiments.guidelines.judge import Ladder
from benchbench.experiments.guidelines.ladders import BASE
from benchbench.experiments.guidelines.rungs import Rung, paper_speed
from benchbench.prediction import FUSED
from benchbench.records import Record
from benchbench.roofline import Kernel, Roofs, predicted

OPS = "memory_access_ops"
LEDGERS = {OPS: "an operator, a kernel (eager)", FUSED: "ideally fused"}


class Device(NamedTuple):
    """Two numbers of a device that decide, with all else equal."""

    name: str
    ridge: float  # multiply-adds a byte
    launch: float  # multiply-adds that a launch costs
    column: str = ""  # of the paper's tables


# The paper's: not measured by anybody here. Peak and bandwidth are from data sheets, the cost of a
# launch is an order of magnitude.
PAPER_DEVICES = (
    # 3584 cores x 1.582 GHz; 484 GB/s; 5 us a launch
    Device("GTX 1080Ti", 3584 * 1.582e9 / 484e9, 3584 * 1.582e9 * 5e-6, "gpu"),
    # One Cortex-A57: 4 multiply-adds a cycle x 2 GHz; 8 GB/s of one core; 1 us a call
    Device("Snapdragon 810", 8e9 / 8e9, 8e9 * 1e-6, "arm"),
)
# The last row of the paper's table that answers a question.
PAPER_ROWS = {
    ("g1", "widths"): "c1:c2=1:12",
    ("g2", "groups"): "g=8",
    ("g3", "series"): "4-fragment-series",
    ("g3", "parallel, add"): "4-fragment-parallel",
    ("g3", "parallel, concat"): "4-fragment-parallel",
    ("g4", "ReLU"): "ReLU=yes;shortcut=no",
    ("g4", "shortcut"): "ReLU=no;shortcut=yes",
    ("g4", "ReLU and shortcut"): "ReLU=yes;shortcut=yes",
}


def paper_effect(guideline: str, axis: str, column: str) -> float | None:
    """The slowdown of the paper's last row, a fraction, as printed: the mean over its scales."""
    setting = PAPER_ROWS.get((guideline, axis))
    found = [paper_speed(guideline, setting or "", scale, column) for scale in ("x1", "x2", "x4")]
    known = [-log(speed[0]) for speed in found if speed is not None]
    return expm1(fmean(known)) if known else None


def device_of(record: Record) -> Device | None:
    """Where the machine of a record lies; None where its roofs are not known."""
    foreseen = record.get("predicted_latency")
    if foreseen is None or not foreseen.samples:
        return None
    peak, bandwidth, launch = (
        foreseen.details[key] for key in ("peak_multiply_adds", "peak_bandwidth", "launch_cost")
    )
    return Device("this machine", peak / bandwidth, peak * launch)


def effects(
    ladder: Ladder, axis: str, ledger: str, ridges: Sequence[float], launches: Sequence[float]
) -> list[list[float]]:
    """The slowdown (a fraction) that the law gives the last rung: [launch][ridge].

    Linear in kernels times devices; the mean over scales is of logarithms, as the verdict's.
    """
    pairs = list(_last_rungs(ladder, axis, ledger))
    return [
        [expm1(fmean(_slowdown(*pair, ridge, launch) for pair in pairs)) for ridge in ridges]
        for launch in launches
    ]


def _last_rungs(
    ladder: Ladder, axis: str, ledger: str
) -> list[tuple[Sequence[Kernel], Sequence[Kernel]]]:
    base = {rung.scale: rung for rung in ladder.rungs if rung.axis == BASE}
    return [
        (_kernels(rung, ledger), _kernels(base[rung.scale], ledger))
        for rung in ladder.rungs
        if rung.axis == axis and rung.record.case.axes["last"] and rung.scale in base
    ]


def _kernels(rung: Rung, ledger: str) -> list[Kernel]:
    return [Kernel(*row) for row in rung.record[ledger].details["kernels"]]


def _slowdown(rung: Sequence[Kernel], base: Sequence[Kernel], ridge: float, launch: float) -> float:
    """Time in multiply-adds at the peak: so a byte takes `ridge` of them."""
    roofs = Roofs(peak_multiply_adds=1.0, peak_bandwidth=1 / ridge)
    times = [predicted(kernels, roofs, launch) for kernels in (rung, base)]
    work = [sum(kernel.multiply_adds for kernel in kernels) for kernels in (rung, base)]
    return log(times[0] / times[1]) - log(work[0] / work[1])


def grid(low: float, high: float, count: int) -> list[float]:
    """Numbers from low to high, each the same factor above the one before."""
    return [exp(log(low) + (log(high) - log(low)) * n / (count - 1)) for n in range(count)]
