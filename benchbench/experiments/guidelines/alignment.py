"""Where the paper's own channels show another effect than whole vectors do, and why. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import expm1
from statistics import fmean
from typing import NamedTuple

from benchbench.experiments.guidelines.ladders import BASE, COLUMNS
from benchbench.experiments.guidelines.rungs import Rung, kernels


class Alignment(NamedTuple):
    """The paper's own channels beside whole vectors: effects of rungs both have, fractions."""

    guideline: str
    axis: str
    setting: str  # "" where it is the last rung
    column: str
    verdict: float
    reproduction: float
    padded: float  # the reproduction's, of padded multiply-adds per second
    explains: str  # a sentence


def alignments(
    guideline: str, deltas: Mapping[str, float], whole: Sequence[Rung], own: Sequence[Rung]
) -> Iterator[Alignment]:
    """Whole vectors beside the paper's own channels, axis by axis.

    `deltas` are the smallest effects that count, by axis.
    """
    for axis, delta in deltas.items():
        aligned, theirs = (_by_setting(guideline, axis, rungs) for rungs in (whole, own))
        shared = [setting for setting in aligned if setting in theirs]
        for setting, column in product(shared, COLUMNS):
            rungs = [rung for rung in theirs[setting] if rung.scale.endswith(column)]
            if not rungs:
                continue
            effect = expm1(fmean(fmean(rung.slowdowns) for rung in aligned[setting]))
            others = _mixes(own, rungs) and not _mixes(whole, aligned[setting])
            key = (guideline, axis, setting, column)
            yield _alignment(key, effect, rungs, delta, others=others)


def _by_setting(guideline: str, axis: str, rungs: Sequence[Rung]) -> dict[str, list[Rung]]:
    """The rungs of an axis by what the other ladder has too; of G1 and G4 the last ones alone."""
    found: dict[str, list[Rung]] = {}
    for rung in rungs:
        if rung.axis != axis:
            continue
        step, last = (rung.record.case.axes[key] for key in ("step", "last"))
        if guideline == "g2":
            found.setdefault(rung.label.partition(",")[0], []).append(rung)
        elif guideline == "g3":
            found.setdefault(f"{2**step}", []).append(rung)
        elif last:
            found.setdefault("", []).append(rung)
    return found


def _mixes(ladder: Sequence[Rung], rungs: Sequence[Rung]) -> bool:
    """Whether some rungs run other kernels than the first of their scale."""
    first = {rung.scale: kernels(rung.record) for rung in ladder if rung.axis == BASE}
    return any(kernels(rung.record) != first.get(rung.scale) for rung in rungs)


def _alignment(
    key: tuple[str, str, str, str],
    whole: float,
    own: Sequence[Rung],
    delta: float,
    *,
    others: bool,
) -> Alignment:
    plain = fmean(fmean(rung.slowdowns) for rung in own)
    filled = fmean(fmean(rung.slowdowns) - (rung.padded or 0.0) for rung in own)
    gap, left = abs(expm1(plain) - whole), abs(expm1(filled) - whole)
    if gap <= delta:
        explains = "no difference"
    elif left <= delta:
        explains = "vector alignment explains it"
    elif others:
        explains = "other kernels run on the paper's"
    elif left < gap / 2:
        explains = "vector alignment explains more than half"
    else:
        explains = "not explained by vector alignment"
    return Alignment(*key, whole, expm1(plain), expm1(filled), explains)
