"""Two independent counters side by side: ours and fvcore's, operator by operator.

Counters disagree by 5 to 11 % on light networks. Here convolutions and linear layers must
agree to the unit; everything else is convention, and the table says whose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from benchbench.config import ProfilerSettings
from benchbench.errors import UserError
from benchbench.records import Record

PROFILERS = ProfilerSettings(complexity=True, fvcore=True)

# What both count, under their names for it.
CONVOLUTION_AND_LINEAR = {"convolution": "conv", "addmm": "linear", "mm": "linear"}
OTHER_NAMES = {
    "native_batch_norm": "batch_norm",
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "max_pool2d_with_indices": "max_pool2d",
    "_adaptive_avg_pool2d": "adaptive_avg_pool2d",
}
# fvcore counts a linear layer under any of these, depending on how torch traced it.
FVCORE_LINEAR = ("linear", "addmm", "matmul", "mm")


class Row(NamedTuple):
    """One operator: how often it ran, what it produced, and what either counter makes of it."""

    operator: str  # fvcore's name, which is the trace's
    launches: int
    elements: int  # produced, batch included
    multiply_adds: int  # ours
    flops_fvcore: int
    why: str

    @property
    def difference(self) -> int:
        """What fvcore has more than we do."""
        return self.flops_fvcore - self.multiply_adds


class Crosscheck(NamedTuple):
    rows: tuple[Row, ...]

    @property
    def agrees(self) -> bool | None:
        """Whether convolutions and linear layers agree to the unit; None where there are none."""
        shared = [row for row in self.rows if row.operator in CONVOLUTION_AND_LINEAR.values()]
        return all(row.difference == 0 for row in shared) if shared else None

    @property
    def exit_code(self) -> int:
        """0 agreement, 1 disagreement, 3 no evidence."""
        return {True: 0, False: 1, None: 3}[self.agrees]


def judge(record: Record) -> Crosscheck:
    """The table for one record.

    Raises:
        UserError: fvcore could not count this network, so there is nothing to compare.
    """
    theirs = record["flops_fvcore"]
    if theirs.value is None:
        raise UserError(f"task=crosscheck model={record.case.name}: {theirs.reason}")
    counted = _shared_names(theirs.details["operators"])
    skipped = {
        name.removeprefix("aten::"): times for name, times in theirs.details["skipped"].items()
    }
    return Crosscheck(tuple(_rows(record["multiply_adds"].details["operators"], counted, skipped)))


def _shared_names(by_operator: Mapping[str, int]) -> dict[str, int]:
    """fvcore's counts, all its linear layers under one name."""
    counts: dict[str, int] = {}
    for name, flops in by_operator.items():
        shared = "linear" if name in FVCORE_LINEAR else name
        counts[shared] = counts.get(shared, 0) + flops
    return counts


def _rows(
    ours: Mapping[str, Mapping[str, Any]], counted: Mapping[str, int], skipped: Mapping[str, int]
) -> Iterator[Row]:
    merged: dict[str, dict[str, int]] = {}
    for operator, counts in ours.items():
        name = (CONVOLUTION_AND_LINEAR | OTHER_NAMES).get(operator, operator)
        total = merged.setdefault(name, dict.fromkeys(counts, 0))
        for key, number in counts.items():
            total[key] += number
    for name, counts in merged.items():
        why = _why(name, counted, skipped)
        yield Row(name, **counts, flops_fvcore=counted.get(name, 0), why=why)
    for name in sorted((counted.keys() | skipped.keys()) - merged.keys()):
        why = f"in fvcore's trace only, {skipped.get(name, 0)} times: not executed on tensor data"
        if name in counted:
            why = "fvcore adds it; torch executed it under another name"
        yield Row(name, 0, 0, 0, flops_fvcore=counted.get(name, 0), why=why)


def _why(name: str, counted: Mapping[str, int], skipped: Mapping[str, int]) -> str:
    if name in CONVOLUTION_AND_LINEAR.values():
        return "both count one for a multiply-add, and no bias"
    if name in counted:
        return "fvcore adds it; we count convolutions and linear layers only, as the papers do"
    if name in skipped:
        return f"fvcore says it skipped {skipped[name]} of them"
    return "fvcore leaves it out without a word"
