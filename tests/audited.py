"""Records of networks under the guidelines, and of layers beside twins, from round numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from made import in_turn, record

from benchbench.cases import Case
from benchbench.counting.split import Convolved
from benchbench.experiments.audit import Alike
from benchbench.experiments.swaps import cases
from benchbench.measure import Measured
from benchbench.measurements import Measurement, exact
from benchbench.records import Record

THRESHOLDS = {"g1": 0.05, "g2": 0.05, "g3_operations": 4, "g3_parallelism": 1.1, "g4": 0.1}


def pointwise(layer: str, c1: int, c2: int, *, groups: int = 1, side: int = 10) -> list[Any]:
    """A 1x1 convolution of bytes, so that elements and bytes are one."""
    work = side * side * c1 * c2 // groups
    shape = ((1, 1), (1, 1), (0, 0), (1, 1), (side, side), (side, side))
    row = Convolved(layer, c1, c2, groups, *shape, batch=1, element_size=1, multiply_adds=work)
    return [list(value) if isinstance(value, tuple) else value for value in row]


def counted_record(
    case: Case,
    *extra: Measurement,
    convolutions: Sequence[list[Any]] = (),
    operators: Sequence[tuple[str, int, int, int, list[int]]] = (),
    blocks: Sequence[tuple[str, str, int, int, int]] = (),
) -> Record:
    """A record; an operator has a name, whether it starts a kernel, its cost, and predecessors."""
    fused = [["x", work, moved, work] for _, starts, work, moved, _ in operators if starts]
    ops = [["x", work, moved, work] for _, _, work, moved, _ in operators]
    counts = [
        exact("memory_access_paper", 1, convolutions=list(convolutions)),
        exact(
            "launches",
            len(operators),
            operators=[[name, starts, waits] for name, starts, _, _, waits in operators],
            blocks=[list(block) for block in blocks],
        ),
        exact("memory_access_ops", 1, kernels=ops),
        exact("memory_access_fused", 1, kernels=fused),
    ]
    measured = Measured(case, {"machine": {"cpu": "Imaginary CPU"}}, [*counts, *extra])
    return record(measured, task="audit", command="python -m benchbench")


def row(c1: int, c2: int, *, groups: int = 1, stride: int = 1, kernel: int = 1) -> Convolved:
    side = 56
    written = side // stride
    return Convolved(
        layer="layer",
        in_channels=c1,
        out_channels=c2,
        groups=groups,
        kernel_size=(kernel, kernel),
        stride=(stride, stride),
        padding=(kernel // 2, kernel // 2),
        dilation=(1, 1),
        input_size=(side, side),
        output_size=(written, written),
        batch=1,
        element_size=4,
        multiply_adds=written**2 * kernel**2 * c1 * c2 // groups,
    )


MACHINE = (1.0, 1.4, 1.1)  # how slow it is for all, in each process


def timed(case: Case, seconds: float, work: int, *kernels: str, turns: int = 2) -> Record:
    processes = [[seconds * slow] * 4 for slow in MACHINE]
    measurements = [
        exact("multiply_adds", work),
        in_turn(processes, epoch_rounds=[turns, turns]),
    ]
    if kernels:
        rows = [[f"layer {number}", name, 1] for number, name in enumerate(kernels)]
        measurements.append(exact("executed_kernels", len(set(kernels)), kernels=rows))
    measured = Measured(case, {"machine": {"cpu": "Imaginary CPU"}}, measurements)
    return record(measured, task="audit", session="S")


def swapped(case: Case) -> list[Record]:
    """A call of the own layer takes 10 ms, of its twin 6 ms with a fifth more multiply-adds."""
    alike = Alike(("layer 0", "layer 1", "layer 2"), row(16, 96), excess=1)
    network, own, twin = cases(case, {"G1": [alike]})
    return [
        timed(network, 0.1, 5000, "slow", "slow"),
        timed(own, 0.010, 1000, "slow"),
        timed(twin, 0.006, 1200, "fast"),
    ]
