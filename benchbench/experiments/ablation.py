"""A network of MBConv blocks rewritten edit by edit, at equal multiply-adds: what each edit buys.

Two designs. `edits`: every edit that applies, each against the network itself. `factorial`: all
combinations of the main edits, so that a difference is shared out between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, log
from statistics import median
from typing import Any, NamedTuple

from benchbench.errors import NoEvidence
from benchbench.experiments.ablation_design import AGAIN, BASE, EDIT, EDITS, FACTORIAL
from benchbench.records import Record
from benchbench.rounds import log_ratios, shares
from benchbench.statistics.factorial import Attribution, attribution
from benchbench.statistics.verdicts import Answer, Verdict, corrected, paired

AGAIN_LIMIT = 0.01  # the base against itself must be within it
EXPLAINED = 0.99  # of the variance, by main effects and pairs: less needs a word


class Row(NamedTuple):
    """An edited network beside its base. Ratios are edited / base."""

    record: Record
    label: str
    raw: Verdict  # of the latencies as they are
    verdict: Verdict  # of latency per multiply-add
    predicted: float | None  # the same ratio, from the probes alone


class Shared(NamedTuple):
    """A factorial's differences shared out between its factors, in logs."""

    factors: tuple[str, ...]
    measured: Attribution  # of latency per multiply-add
    raw: Attribution  # of latency as it is
    predicted: Attribution | None  # per multiply-add, from the probes alone


class Way(NamedTuple):
    """All networks that took turns: those of one runtime."""

    label: str
    base: Record
    again: Verdict | None
    theta: float
    rows: tuple[Row, ...]
    shared: Shared | None


class Ablation(NamedTuple):
    network: str
    design: str
    theta: float  # before the base's row against itself was seen
    ways: tuple[Way, ...]

    @property
    def decided(self) -> bool:
        """Whether anything is known of any edit."""
        rows = [row for way in self.ways for row in way.rows]
        effects = [e for way in self.ways if way.shared for e in way.shared.measured.shapley]
        return any(row.verdict.answer != Answer.AMBIGUOUS for row in rows) or any(
            e.interval is not None and not e.interval.low <= 0 <= e.interval.high for e in effects
        )


def judge(records: Sequence[Record], theta: float) -> Ablation:
    """What the records of one session say; `theta` is the least change that counts as one.

    Where the base's second row differs from the first by more than half of that, twice its
    difference is what counts.

    Raises:
        NoEvidence: they are no ablation's, or not all of them were timed.
    """
    _check(records)
    by_turn: dict[str, list[Record]] = {}
    for record in records:
        by_turn.setdefault(record.case.turn, []).append(record)
    ways = tuple(_way(label, found, theta) for label, found in by_turn.items())
    axes = records[0].case.axes
    return Ablation(str(axes["network"]), str(axes["design"]), theta, ways)


def _check(records: Sequence[Record]) -> None:
    names = ", ".join(record.case.name for record in records[:3])
    if len({record.session for record in records}) != 1 or any(
        record.case.axes.get("design") not in (EDITS, FACTORIAL) for record in records
    ):
        raise NoEvidence(f"{names or 'no record'}: these are no records of one task=ablation")
    for record in records:
        latency = record.get("latency")
        if latency is None or not latency.samples:
            raise NoEvidence(f"record {record.id} of {record.case.name} was not timed in turn")


def _way(label: str, records: Sequence[Record], theta: float) -> Way:
    roles = {role: [r for r in records if _axis(r, "role") == role] for role in (BASE, AGAIN, EDIT)}
    if not roles[BASE]:
        raise NoEvidence(f"{label}: the base is not among the records")
    base = roles[BASE][0]
    again = next((_paired(record, base, theta) for record in roles[AGAIN]), None)
    if again is not None:
        theta = max(theta, 2 * abs(log(again.ratio)))
    return Way(
        label=label,
        base=base,
        again=again,
        theta=theta,
        rows=tuple(_rows(roles[EDIT], base, theta)),
        shared=_shared([base, *roles[EDIT]]) if _axis(base, "design") == FACTORIAL else None,
    )


def _axis(record: Record, name: str) -> Any:
    return record.case.axes.get(name)


def _paired(record: Record, base: Record, theta: float, work: float = 1.0) -> Verdict:
    """The record's latency over the base's, divided by `work`."""
    ratios = log_ratios(record["latency"], base["latency"])
    return paired([ratio - log(work) for ratio in ratios], theta=theta)


def _rows(records: Sequence[Record], base: Record, theta: float) -> Iterator[Row]:
    works = [work_ratio(record, base) for record in records]
    both = zip(records, works, strict=True)
    verdicts = corrected([_paired(record, base, theta, work) for record, work in both])
    for record, work, verdict in zip(records, works, verdicts, strict=True):
        predicted = _predicted_ratio(record, base)
        yield Row(
            record=record,
            label=str(_axis(record, "label")),
            raw=_paired(record, base, theta),
            verdict=verdict,
            predicted=None if predicted is None else predicted / work,
        )


def work_ratio(record: Record, base: Record) -> float:
    """Its multiply-adds over the base's."""
    return float(record["multiply_adds"].value or 1) / float(base["multiply_adds"].value or 1)


def _predicted_ratio(record: Record, base: Record) -> float | None:
    found = [item.get("predicted_latency") for item in (record, base)]
    values = [item.value for item in found if item is not None and item.value]
    return float(values[0]) / float(values[1]) if len(values) == 2 else None


def _shared(records: Sequence[Record]) -> Shared | None:
    """The factorial of one runtime; None where a cell of it is missing, or no process was whole."""
    factors = tuple(_axis(records[0], "factors"))
    cells: dict[int, Record] = {}
    for record in records:
        edits = set(_axis(record, "edits"))
        cells[sum(1 << bit for bit, name in enumerate(factors) if name in edits)] = record
    if len(cells) != 2 ** len(factors):
        return None
    ordered = [cells[cell] for cell in range(len(cells))]
    logs = shares([record["latency"] for record in ordered])
    if not logs:
        return None
    works = [log(work_ratio(record, ordered[0])) for record in ordered]
    ratios = [_predicted_ratio(record, ordered[0]) for record in ordered]
    known = [log(ratio) for ratio in ratios if ratio]
    return Shared(
        factors,
        measured=attribution([_less(process, works) for process in logs]),
        raw=attribution(logs),
        predicted=attribution([_less(known, works)]) if len(known) == len(ordered) else None,
    )


def _less(logs: Sequence[float], works: Sequence[float]) -> list[float]:
    return [one - work for one, work in zip(logs, works, strict=True)]


def again_is_fine(way: Way) -> bool:
    """Whether the base's second row is as far from the first as it may be."""
    return way.again is not None and abs(way.again.ratio - 1) <= AGAIN_LIMIT


class Score(NamedTuple):
    """How well the probes' prediction did on the edits that are known to matter."""

    edits: int
    same_sign: int
    error: float  # the median factor by which predicted and measured ratio differ, less 1


def score(way: Way) -> Score | None:
    """None where nothing was predicted or nothing was decided."""
    decided = [
        (row.predicted, row.verdict.ratio)
        for row in way.rows
        if row.predicted and row.verdict.answer in (Answer.FASTER, Answer.SLOWER)
    ]
    if not decided:
        return None
    errors = [abs(log(predicted / measured)) for predicted, measured in decided]
    same = sum((predicted > 1) == (measured > 1) for predicted, measured in decided)
    return Score(len(decided), same, exp(median(errors)) - 1)
