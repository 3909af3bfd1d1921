"""From the records of a run to verdicts: what each ladder shows, cell by cell. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import exp, expm1, log
from statistics import fmean, median
from typing import Any, NamedTuple

from benchbench.errors import NoEvidence
from benchbench.experiments.guidelines.ladders import BASE, COLUMNS, COPY, published
from benchbench.experiments.guidelines.rule import (
    Answer,
    Decision,
    Rule,
    Scale,
    decide,
    interval,
    rule_from,
)
from benchbench.records import Record
from benchbench.rounds import log_ratios

# A dense convolution and a separable one never run the same kernels: figures alone.
WITHOUT_VERDICT = (("g2", "extended"),)
CELL = ("device", "runtime", "precision", "layout", "threads", "batch_size")


class Rung(NamedTuple):
    """One network beside the first of its ladder. Slowdowns are logarithms, by process.

    They are of multiply-adds per second; `work` and `bytes` are what others of it are told from.
    """

    record: Record
    scale: str
    axis: str
    label: str
    slowdowns: tuple[float, ...]
    predicted: float | None  # slowdown, from the probes
    padded: float | None  # log of padded over counted multiply-adds, less the first rung's
    paper: tuple[float, float, float] | None  # relative images/s as printed, and what digits allow
    work: float  # log of its multiply-adds over the first rung's
    bytes: float  # the same of memory_access_fused

    @property
    def speed(self) -> float | None:
        """Multiply-adds per second."""
        seconds, work = self.record["latency"].value, self.record["multiply_adds"].value
        return None if not seconds or work is None else work / seconds

    @property
    def images(self) -> float | None:
        """Images per second."""
        seconds = self.record["latency"].value
        return self.record.case.batch_size / seconds if seconds else None

    @property
    def foreseen(self) -> float | None:
        """Relative speed, from the probes."""
        return None if self.predicted is None else exp(-self.predicted)


class Verdict(NamedTuple):
    """What one axis of a guideline's ladder says."""

    axis: str
    decision: Decision
    predicted: float | None  # effect, a fraction, from the probes
    predicted_answer: Answer | None

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
        _cell(found, settings["guideline"], rule) for found in _grouped(timed, _conditions).values()
    )
    return Result(rule, cells, tuple(timed))


def _conditions(record: Record) -> tuple[Any, ...]:
    return tuple(getattr(record.case, key) for key in CELL)


def _grouped(records: Sequence[Record], key: Any) -> dict[Any, list[Record]]:
    found: dict[Any, list[Record]] = {}
    for record in records:
        found.setdefault(key(record), []).append(record)
    return found


def _cell(records: Sequence[Record], options: Mapping[str, Any], rule: Rule) -> Cell:
    by_ladder = _grouped(records, lambda r: (r.case.axes["guideline"], r.case.axes["ladder"]))
    rungs = {key: tuple(_rungs(found)) for key, found in by_ladder.items()}
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


def _axes(rungs: Sequence[Rung]) -> list[str]:
    return list(dict.fromkeys(rung.axis for rung in rungs if rung.axis not in (BASE, COPY)))


def _rungs(records: Sequence[Record]) -> Iterator[Rung]:
    """Each with its slowdown against the first rung of its own set."""
    for members in _grouped(records, lambda r: (r.session, r.case.turn)).values():
        base = next((r for r in members if r.case.axes["axis"] == BASE), None)
        if base is not None:
            yield from (_rung(record, base) for record in members)


def _rung(record: Record, base: Record) -> Rung:
    axes = record.case.axes
    work = log(_value(record, "multiply_adds") / _value(base, "multiply_adds"))
    times = [0.0] if record is base else log_ratios(record["latency"], base["latency"])
    predicted = [one.get("predicted_latency") for one in (record, base)]
    expected = [one.value for one in predicted if one is not None and one.value]
    padded = [one.get("multiply_adds_padded") for one in (record, base)]
    filled = [float(one.value) for one in padded if one is not None and one.value]
    return Rung(
        record,
        scale=axes["scale"],
        axis=axes["axis"],
        label=axes["label"],
        slowdowns=tuple(time - work for time in times),
        predicted=log(expected[0] / expected[1]) - work if len(expected) == 2 else None,
        padded=log(filled[0] / filled[1]) - work if len(filled) == 2 else None,
        paper=_paper(axes) if axes.get("setting") else None,
        work=work,
        bytes=log(_value(record, "memory_access_fused") / _value(base, "memory_access_fused")),
    )


def _value(record: Record, metric: str) -> float:
    value = record[metric].value
    assert value is not None
    return float(value)


def _paper(axes: Mapping[str, Any]) -> tuple[float, float, float] | None:
    scale, _, column = axes["scale"].partition(" ")
    return paper_speed(axes["guideline"], axes["setting"], scale, column)


def paper_speed(
    guideline: str, setting: str, scale: str, column: str
) -> tuple[float, float, float] | None:
    """Relative images/s in the paper's table, and the interval that its printed digits leave."""
    rows = {
        row.setting: row
        for row in published()
        if (row.guideline, row.column, row.scale) == (guideline, column, scale)
    }
    first, own = rows.get(_FIRST[guideline]), rows.get(setting)
    if own is None or first is None:
        return None
    (value, half), (base, base_half) = (_printed(row.value) for row in (own, first))
    if own is first:
        return 1.0, 1.0, 1.0
    return value / base, (value - half) / (base + base_half), (value + half) / (base - base_half)


_FIRST = {
    "g1": "c1:c2=1:1",
    "g2": "g=1",
    "g3": "1-fragment",
    "g4": "ReLU=no;shortcut=no",
}


def _printed(text: str) -> tuple[float, float]:
    """A printed figure, and half a unit of its last digit."""
    decimals = len(text.partition(".")[2])
    return float(text), 0.5 * 10.0**-decimals


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
                multiply_adds=tuple(int(_value(r.record, "multiply_adds")) for r in ladder),
                kernels=tuple(kernels(rung.record) for rung in ladder),
                grades=tuple(rung.record.quality.grade for rung in (*ladder, again[0])),
            )
        )
    return found


def kernels(record: Record) -> frozenset[str] | None:
    """What executed its convolutions: kernels, and how often for one where not once."""
    measured = record.get("executed_kernels")
    if measured is None or not measured.samples:
        return None
    rows = measured.details["kernels"]
    return frozenset(name if calls == 1 else f"{name} x{calls}" for _, name, calls in rows)


def _verdict(axis: str, decision: Decision, rungs: Sequence[Rung]) -> Verdict:
    """The decision beside what the probes foresaw for the last rung, as the mean over scales."""
    last = [rung for rung in rungs if rung.axis == axis and rung.record.case.axes["last"]]
    known = [rung.predicted for rung in last if rung.predicted is not None]
    if not known or len(known) != len(last):
        return Verdict(axis, decision, None, None)
    effect = expm1(fmean(known))
    answer = Answer.SUPPORTED if effect > decision.delta else Answer.REFUTED
    return Verdict(axis, decision, effect, answer)


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


class Speed(NamedTuple):
    """Over the first rung's, with the interval over processes."""

    value: float  # NaN where nothing was timed
    bounds: tuple[float, float] | None

    def times(self, factor: float) -> Speed:
        """The same of something of which each call has so many times as much."""
        bounds = self.bounds and (self.bounds[0] * factor, self.bounds[1] * factor)
        return Speed(self.value * factor, bounds)


def relative_speed(rung: Rung, level: float) -> Speed:
    """Multiply-adds per second over the first rung's."""
    bounds = interval(rung.slowdowns, level)
    value = exp(-fmean(rung.slowdowns)) if rung.slowdowns else float("nan")
    return Speed(value, None if bounds is None else (exp(-bounds[1]), exp(-bounds[0])))


def relative_images(rung: Rung, level: float) -> Speed:
    """Images per second over the first rung's."""
    return relative_speed(rung, level).times(exp(-rung.work))


def relative_bytes(rung: Rung, level: float) -> Speed:
    """Bytes per second, of what fused kernels have to move, over the first rung's."""
    return relative_speed(rung, level).times(exp(rung.bytes - rung.work))


def _alignments(ladders: Sequence[Ladder]) -> Iterator[Alignment]:
    """Where the paper's channels show another effect than whole vectors do."""
    by_kind = {(ladder.guideline, ladder.kind): ladder for ladder in ladders}
    for (guideline, kind), ladder in by_kind.items():
        own = by_kind.get((guideline, "reproduction"))
        if kind != "verdict" or own is None:
            continue
        for verdict in ladder.verdicts:
            aligned, theirs = (_by_setting(one, verdict.axis) for one in (ladder, own))
            shared = [setting for setting in aligned if setting in theirs]
            for setting, column in product(shared, COLUMNS):
                rungs = [rung for rung in theirs[setting] if rung.scale.endswith(column)]
                if not rungs:
                    continue
                whole = expm1(fmean(fmean(rung.slowdowns) for rung in aligned[setting]))
                others = _mixes(own, rungs) and not _mixes(ladder, aligned[setting])
                key = (guideline, verdict.axis, setting, column)
                yield _alignment(key, whole, rungs, verdict.decision.delta, others=others)


def _by_setting(ladder: Ladder, axis: str) -> dict[str, list[Rung]]:
    """The rungs of an axis by what the other ladder has too; of G1 and G4 the last ones alone."""
    found: dict[str, list[Rung]] = {}
    for rung in ladder.rungs:
        if rung.axis != axis:
            continue
        step, last = (rung.record.case.axes[key] for key in ("step", "last"))
        if ladder.guideline == "g2":
            found.setdefault(rung.label.partition(",")[0], []).append(rung)
        elif ladder.guideline == "g3":
            found.setdefault(f"{2**step}", []).append(rung)
        elif last:
            found.setdefault("", []).append(rung)
    return found


def _mixes(ladder: Ladder, rungs: Sequence[Rung]) -> bool:
    """Whether some rungs run other kernels than the first of their scale."""
    first = {rung.scale: kernels(rung.record) for rung in ladder.rungs if rung.axis == BASE}
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
