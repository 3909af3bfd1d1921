"""A network under ShuffleNetV2's four guidelines, from what was counted of it.

G1: equal widths. G2: no groups. G3: no fragments. G4: few element-wise operators. Each has a
measure and a threshold that is registered in conf/task/audit.yaml. Source: Ma et al. 2018,
arXiv:1807.11164, section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from benchbench.counting.split import Convolved, Terms, added, from_row, split
from benchbench.errors import NoEvidence, UserError
from benchbench.experiments.bound import kernels_of, roofs_of
from benchbench.measurements import Measurement
from benchbench.records import Record
from benchbench.roofline import Kernel, Roofs

GUIDELINES = ("G1", "G2", "G3", "G4")
DEPTHWISE = "depthwise"  # all groups by its nature, so reported apart
THRESHOLDS = ("g1", "g2", "g3_operations", "g3_parallelism", "g4")
WORST = 5  # of each guideline
MATRIX_OPERATORS = ("convolution", "addmm", "mm")
# Kernels that move data to reduce it. G4 is about those that move it for little or nothing.
REDUCTIONS = (
    *("mean", "sum", "amax", "amin", "max_pool2d_with_indices", "avg_pool2d"),
    *("_adaptive_avg_pool2d", "adaptive_max_pool2d"),
)


class Alike(NamedTuple):
    """Convolutions that differ in their place alone; `excess` is of all of them, in bytes."""

    layers: tuple[str, ...]
    row: Convolved
    excess: int


class Block(NamedTuple):
    """A repeated unit: what it executes."""

    path: str
    kind: str
    convolutions: int
    pools: int
    means: int

    @property
    def operations(self) -> int:
        """Convolutions and pools, as the paper counts fragments."""
        return self.convolutions + self.pools


class Score(NamedTuple):
    """What a guideline is judged by. It is violated above the threshold; None: not known."""

    guideline: str
    measure: str
    value: float | None
    threshold: float
    unit: str = ""  # of how it is shown: "%" of a share

    @property
    def violated(self) -> bool | None:
        """Whether the value is above the threshold."""
        return None if self.value is None else self.value > self.threshold


class Parallelism(NamedTuple):
    """Work over span: how many times faster it could be if all went on side by side."""

    ratio: float
    weighed_by: str  # what an operator's cost is


class Audit(NamedTuple):
    """One network. Bytes are of the whole batch."""

    record: Record
    terms: Terms  # of all scored convolutions that are not depthwise
    depthwise: Terms  # of those that are
    unscored: tuple[Convolved, ...]  # on maps of one pixel
    scores: tuple[Score, ...]
    worst: Mapping[str, tuple[Alike, ...]]  # as `worst_layers`
    blocks: tuple[Block, ...]
    parallelism: Parallelism | None
    small_launches: float | None  # share whose roofline time is below the launch cost
    moving: tuple[tuple[Kernel, str], ...]  # G4's kernels, most bytes first, with their operator
    matrix_bytes: int  # of convolution and linear kernels, ideally fused

    @property
    def scored_bytes(self) -> int:
        """Memory access, paper, of the scored convolutions."""
        return self.terms.total + self.depthwise.total

    def violates(self, guideline: str | None) -> bool | None:
        """Whether a guideline is violated, or any of them; None where that is not known."""
        found = [s.violated for s in self.scores if guideline in (None, s.guideline)]
        return True if any(found) else None if None in found else False

    @property
    def broken(self) -> tuple[str, ...]:
        """The guidelines that are violated."""
        return tuple(name for name in GUIDELINES if self.violates(name))

    @property
    def known(self) -> bool:
        """Whether there is a convolution to score at all."""
        return self.scored_bytes > 0


def judge(record: Record, thresholds: Mapping[str, float]) -> Audit:
    """The audit of a record with counts.

    Raises:
        NoEvidence: it has none, or is from before convolutions were listed.
    """
    _check(record)
    rows = convolutions_of(record["memory_access_paper"])
    of_width, of_depth = _scored(rows)
    terms, depthwise = (added(map(split, some)) for some in (of_width, of_depth))
    named, matrix_bytes = _by_operator(record)
    found = Audit(
        record,
        terms,
        depthwise,
        tuple(row for row in rows if not row.scored),
        scores=(),
        worst=worst_layers(record["memory_access_paper"]),
        blocks=tuple(Block(*row) for row in record["launches"].details["blocks"]),
        parallelism=_parallelism(record),
        small_launches=_small_launches(record),
        moving=named,
        matrix_bytes=matrix_bytes,
    )
    return found._replace(scores=tuple(_scores(found, thresholds)))


def thresholds_of(rule: Mapping[str, Any]) -> dict[str, float]:
    """The thresholds of a rule.

    Raises:
        UserError: one is missing, unknown, or no number from 0 on.
    """
    for name in (*rule, *THRESHOLDS):
        if name not in THRESHOLDS or name not in rule:
            allowed = ", ".join(THRESHOLDS)
            raise UserError(f"task.rule: has {', '.join(rule)}; it needs each of {allowed}")
        value = rule[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise UserError(f"task.rule.{name}={value}: must be a number from 0 on")
    return {name: float(rule[name]) for name in THRESHOLDS}


def convolutions_of(paper: Measurement) -> list[Convolved]:
    """Every convolution that `memory_access_paper` counted."""
    return [from_row(row) for row in paper.details["convolutions"]]


def worst_layers(paper: Measurement) -> dict[str, tuple[Alike, ...]]:
    """Of G1, of G2 and of depthwise convolutions those with most excess, the most first."""
    of_width, of_depth = _scored(convolutions_of(paper))
    return {
        "G1": _worst(of_width, lambda terms: terms.g1),
        "G2": _worst(of_width, lambda terms: terms.g2),
        DEPTHWISE: _worst(of_depth, lambda terms: terms.g1 + terms.g2),
    }


def _check(record: Record) -> None:
    paper, launches = record.get("memory_access_paper"), record.get("launches")
    listed = paper is not None and "convolutions" in paper.details
    if not listed or launches is None or "blocks" not in launches.details:
        why = "has no list of its convolutions and blocks"
        raise NoEvidence(f"record {record.id} of {record.case.name} {why}: count it anew")


def _scored(rows: Iterable[Convolved]) -> tuple[list[Convolved], list[Convolved]]:
    """Those on maps: the others, and the depthwise ones."""
    scored = [row for row in rows if row.scored]
    return [r for r in scored if not r.depthwise], [r for r in scored if r.depthwise]


def _scores(found: Audit, thresholds: Mapping[str, float]) -> Iterable[Score]:
    total = found.scored_bytes
    excess = {name: getattr(found.terms, name) / total if total else None for name in ("g1", "g2")}
    of_paper = "of the scored convolutions' memory access, paper"
    yield Score("G1", f"excess, {of_paper}", excess["g1"], thresholds["g1"], "%")
    yield Score("G2", f"excess, {of_paper}", excess["g2"], thresholds["g2"], "%")
    operations = fmean(b.operations for b in found.blocks) if found.blocks else None
    measure = "convolutions and pools a block, mean"
    yield Score("G3", measure, operations, thresholds["g3_operations"])
    ratio = found.parallelism.ratio if found.parallelism else None
    yield Score("G3", "work / critical path", ratio, thresholds["g3_parallelism"])
    moved = sum(kernel.bytes for kernel, _ in found.moving)
    share = moved / found.matrix_bytes if found.matrix_bytes else None
    measure = "element-wise and moving kernels, of convolution's and linear's bytes, fused"
    yield Score("G4", measure, share, thresholds["g4"], "%")


def _worst(rows: Iterable[Convolved], excess: Callable[[Terms], int]) -> tuple[Alike, ...]:
    """The convolutions with most excess, those that are alike taken together."""
    groups: dict[Convolved, list[str]] = {}
    for row in rows:
        groups.setdefault(row._replace(layer=""), []).append(row.layer)
    found = [
        Alike(tuple(layers), row, len(layers) * excess(split(row)))
        for row, layers in groups.items()
    ]
    costly = sorted((alike for alike in found if alike.excess), key=lambda alike: -alike.excess)
    return tuple(costly[:WORST])


def _by_operator(record: Record) -> tuple[tuple[tuple[Kernel, str], ...], int]:
    """G4's kernels with the operator that starts each, and the bytes of what they are beside."""
    names = [name for name, starts, _ in record["launches"].details["operators"] if starts]
    named = list(zip(kernels_of(record), names, strict=True))
    moving = [pair for pair in named if pair[1] not in (*MATRIX_OPERATORS, *REDUCTIONS)]
    matrix_bytes = sum(kernel.bytes for kernel, name in named if name in MATRIX_OPERATORS)
    return tuple(sorted(moving, key=lambda pair: -pair[0].bytes)), matrix_bytes


def _parallelism(record: Record) -> Parallelism | None:
    """An ideally fused kernel's cost is charged to the operator that starts it."""
    roofs = roofs_of(record)
    kernels = iter(kernels_of(record))
    operators = record["launches"].details["operators"]
    costs = [_cost(next(kernels), roofs) if starts else 0.0 for _, starts, _ in operators]
    longest = span(costs, [waits for _, _, waits in operators])
    if not longest:
        return None
    weighed_by = "bytes + multiply-adds" if roofs is None else "seconds at the measured roofs"
    return Parallelism(sum(costs) / longest, weighed_by)


def _cost(kernel: Kernel, roofs: Roofs | None) -> float:
    """Seconds at the roofs; without them a multiply-add counts as much as a byte."""
    if roofs is None:
        return kernel.bytes + kernel.multiply_adds
    return _seconds(kernel, roofs)


def _seconds(kernel: Kernel, roofs: Roofs) -> float:
    return max(kernel.multiply_adds / roofs.peak_multiply_adds, kernel.bytes / roofs.peak_bandwidth)


def span(costs: Sequence[float], predecessors: Sequence[Sequence[int]]) -> float:
    """The cost of the most expensive path; an operator waits for operators before it alone."""
    ends: list[float] = []
    for cost, waits in zip(costs, predecessors, strict=True):
        ends.append(cost + max((ends[index] for index in waits), default=0.0))
    return max(ends, default=0.0)


def _small_launches(record: Record) -> float | None:
    """The share of executed operators that take less, at the roofs, than starting them."""
    roofs, launch, ops = roofs_of(record), record.get("launch_cost"), record["memory_access_ops"]
    if roofs is None or launch is None or launch.value is None:
        return None
    small = [_seconds(Kernel(*row), roofs) < launch.value for row in ops.details["kernels"]]
    return fmean(small) if small else None
