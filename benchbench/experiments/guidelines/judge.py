"""From the records of a run to verdicts: what each ladder shows, cell by cell. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import expm1
from statistics import fmean, median
from typing import Any, NamedTuple

from benchbench.errors import NoEvidence
from benchbench.experiments.guidelines.alignment import Alignment, alignments
from benchbench.experiments.guidelines.ladders import BASE, COPY
from benchbench.experiments.guidelines.rule import (
    Answer,
    Decision,
    Rule,
    Scale,
    decide,
    rule_from,
)
from benchbench.experiments.guidelines.rungs import Rung, counted, grouped, kernels, rungs_of
from benchbench.records import Record

# A dense convolution and a separable one never run the same kernels: figures alone.
WITHOUT_VERDICT = (("g2", "extended"),)


CELL = ("device", "runtime", "precision", "layout", "threads", "batch_size")


class Verdict(NamedTuple):
    """What one axis of a guideline's ladder says."""

    axis: str
    decision: Decision
    predicted: float | None  # effect, a fraction, from the probes
    predicted_answer: Answer | None
    padding: float | None  # of vectors, beyond the first rung's, a fraction; None: not known

    @property
    def agrees(self) -> bool | None:
        """Whether the probes foresaw the answer; None where there is none to foresee."""
        if self.predicted_answer is None or self.decision.answer == Answer.INCONCLUSIVE:
            return None
        return self.predicted_answer == self.decision.answer


class Ladder(NamedTuple):
    """One guideline's rungs and, where the rule applies, its verdicts."""

    guideline: str
    claim: str
    kind: str
    rungs: tuple[Rung, ...]
    verdicts: tuple[Verdict, ...]


class Cell(NamedTuple):
    """Everything that was executed in one way."""

    conditions: dict[str, Any]
    ladders: tuple[Ladder, ...]
    alignments: tuple[Alignment, ...]

    @property
    def label(self) -> str:
        """Runtime and precision, with what is not the usual."""
        parts = [self.conditions["runtime"], self.conditions["precision"]]
        if self.conditions["batch_size"] != 1:
            parts.append(f"batch {self.conditions['batch_size']}")
        return " ".join(parts)


class Result(NamedTuple):
    rule: Rule
    cells: tuple[Cell, ...]
    records: tuple[Record, ...]

    @property
    def decided(self) -> bool:
        """Whether any guideline got an answer, if any was asked for one."""
        answers = [
            verdict.decision.answer
            for cell in self.cells
            for ladder in cell.ladders
            for verdict in ladder.verdicts
        ]
        return not answers or any(answer != Answer.INCONCLUSIVE for answer in answers)


def judge(records: Sequence[Record]) -> Result:
    """What the records of one run of task=guidelines say, by the rule they were measured under.

    Raises:
        NoEvidence: none of them is of a ladder, or no ladder was timed.
    """
    mine = [record for record in records if "guideline" in record.case.axes]
    timed = [r for r in mine if (found := r.get("latency")) is not None and found.samples]
    if not timed:
        raise NoEvidence("no record of a guideline's ladder that was timed")
    settings = timed[0].settings
    rule = rule_from(settings["task"]["rule"])
    cells = tuple(
        _cell(found, settings["guideline"], rule) for found in grouped(timed, _conditions).values()
    )
    return Result(rule, cells, tuple(timed))


def _conditions(record: Record) -> tuple[Any, ...]:
    return tuple(getattr(record.case, key) for key in CELL)


def _cell(records: Sequence[Record], options: Mapping[str, Any], rule: Rule) -> Cell:
    by_ladder = grouped(records, lambda r: (r.case.axes["guideline"], r.case.axes["ladder"]))
    rungs = {key: tuple(rungs_of(found)) for key, found in by_ladder.items()}
    sets = {
        key: {axis: _scales(rungs[key], axis, found) for axis in _axes(rungs[key])}
        for key, found in by_ladder.items()
    }
    verdicts: dict[tuple[str, str], list[Verdict]] = {key: [] for key in sets}
    for kind in ("verdict", "extended"):  # each corrected by itself
        judged = [
            (key, axis)
            for key in sets
            if key[1] == kind and key not in WITHOUT_VERDICT
            for axis in sets[key]
        ]
        decisions = decide([sets[key][axis] for key, axis in judged], rule)
        for (key, axis), decision in zip(judged, decisions, strict=True):
            verdicts[key].append(_verdict(axis, decision, rungs[key]))
    ladders = tuple(
        Ladder(key[0], str(options[key[0]]["claim"]), key[1], rungs[key], tuple(verdicts[key]))
        for key in rungs
    )
    conditions = dict(zip(CELL, _conditions(records[0]), strict=True))
    return Cell(conditions, ladders, tuple(_alignments(ladders)))


def _alignments(ladders: Sequence[Ladder]) -> Iterator[Alignment]:
    by_kind = {(ladder.guideline, ladder.kind): ladder for ladder in ladders}
    for ladder in ladders:
        own = by_kind.get((ladder.guideline, "reproduction"))
        if ladder.kind == "verdict" and own is not None:
            deltas = {verdict.axis: verdict.decision.delta for verdict in ladder.verdicts}
            yield from alignments(ladder.guideline, deltas, ladder.rungs, own.rungs)


def _axes(rungs: Sequence[Rung]) -> list[str]:
    return list(dict.fromkeys(rung.axis for rung in rungs if rung.axis not in (BASE, COPY)))


def _scales(rungs: Sequence[Rung], axis: str, records: Sequence[Record]) -> list[Scale]:
    """The sets of one axis, scale by scale; those without a copy of the first rung left out."""
    found = []
    for name in dict.fromkeys(rung.scale for rung in rungs):
        here = [rung for rung in rungs if rung.scale == name]
        own = sorted(
            (rung for rung in here if rung.axis == axis), key=lambda r: r.record.case.axes["step"]
        )
        base = [rung for rung in here if rung.axis == BASE]
        again = [rung for rung in here if rung.axis == COPY]
        if not own or not base or not again:
            continue
        ladder = [base[0], *own]
        found.append(
            Scale(
                name,
                slowdowns=tuple(rung.slowdowns for rung in own),
                again=again[0].slowdowns,
                multiply_adds=tuple(int(counted(r.record, "multiply_adds")) for r in ladder),
                kernels=tuple(kernels(rung.record) for rung in ladder),
                grades=tuple(rung.record.quality.grade for rung in (*ladder, again[0])),
            )
        )
    return found


def _verdict(axis: str, decision: Decision, rungs: Sequence[Rung]) -> Verdict:
    """The decision, what the probes foresaw, and what padding adds, as the mean over scales."""
    last = [rung for rung in rungs if rung.axis == axis and rung.record.case.axes["last"]]
    padded = [rung.padded for rung in last if rung.padded is not None]
    padding = expm1(fmean(padded)) if padded and len(padded) == len(last) else None
    known = [rung.predicted for rung in last if rung.predicted is not None]
    if not known or len(known) != len(last):
        return Verdict(axis, decision, None, None, padding)
    effect = expm1(fmean(known))
    answer = Answer.SUPPORTED if effect > decision.delta else Answer.REFUTED
    return Verdict(axis, decision, effect, answer, padding)


def scored(cell: Cell) -> dict[str, Any] | None:
    """How far what the probes foresaw came true, over a cell's verdicts; None of none."""
    known = [
        verdict
        for ladder in cell.ladders
        for verdict in ladder.verdicts
        if verdict.predicted is not None
    ]
    if not known:
        return None
    decided = [one for one in known if one.agrees is not None]
    errors = [
        abs(one.decision.effect - one.predicted) for one in known if one.predicted is not None
    ]
    return {
        "right": sum(bool(one.agrees) for one in decided),
        "decided": len(decided),
        "all": len(known),
        "median_error": median(errors),
    }
