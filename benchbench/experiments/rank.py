"""Which of several networks is fastest: all in turn in the same processes, ranked in pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from benchbench.cases import labels
from benchbench.config import ProfilerSettings
from benchbench.errors import NoEvidence
from benchbench.experiments.bound import AgainstBound, bound_under, roofs_of
from benchbench.measurements import Measurement
from benchbench.records import Record
from benchbench.rounds import log_ratios, shares
from benchbench.statistics.ranking import Rank, Tau, kendall, kendall_between, rank_intervals
from benchbench.statistics.verdicts import Answer, Verdict, corrected, paired

PROFILERS = ProfilerSettings(complexity=True, latency=True, roofs=True)
# What might tell the order without a clock.
PREDICTORS = (
    *("params", "multiply_adds", "activations", "launches"),
    *("memory_access_paper", "memory_access_ops", "memory_access_fused"),
)


class Ranked(NamedTuple):
    """One network in one runtime; `label` tells it from the others."""

    record: Record
    label: str
    latency: Measurement
    rank: Rank
    bound: AgainstBound | None  # None where the roofs of its precision are not known


class Pair(NamedTuple):
    """The second network of the two over the first."""

    first: str
    second: str
    verdict: Verdict


class Way(NamedTuple):
    """Everything that was executed by one runtime in one precision."""

    label: str
    entries: tuple[Ranked, ...]  # in the order in which the networks were named
    correlations: dict[str, Tau | None]  # None: all of them have the same, or not all have it


class Between(NamedTuple):
    """Whether two ways put the same networks into the same order."""

    first: str
    second: str
    tau: Tau | None  # None: one of them takes equally long for all


class Ranking(NamedTuple):
    """The fastest first. Correlations are of latency with counts, over these networks alone."""

    entries: tuple[Ranked, ...]
    pairs: tuple[Pair, ...]
    ways: tuple[Way, ...]
    between: tuple[Between, ...]
    theta: float

    @property
    def decided(self) -> bool:
        """Whether anything is known of any pair."""
        return any(pair.verdict.answer != Answer.AMBIGUOUS for pair in self.pairs)


def judge(records: Sequence[Record], theta: float) -> Ranking:
    """Rank the records of one session; `theta` is the least change that counts as one.

    Raises:
        NoEvidence: they were not measured together, or not all of them were timed.
    """
    _check(records)
    by_record = [record["latency"] for record in records]
    logs = shares(by_record)
    bounds = _bounds(records)
    found = [
        Ranked(*each)
        for each in zip(
            records,
            labels([r.case for r in records]),
            by_record,
            rank_intervals(logs),
            bounds,
            strict=True,
        )
    ]
    entries = tuple(sorted(found, key=lambda entry: entry.rank.rank))
    ways = tuple(_ways(found, logs))
    between = tuple(_between(found, logs))
    return Ranking(entries, tuple(_pairs(entries, theta)), ways, between, theta)


def _bounds(records: Sequence[Record]) -> list[AgainstBound | None]:
    """Each network's, under the roofs that a record of its precision has."""
    roofs = {record.case.precision: found for record in records if (found := roofs_of(record))}
    return [bound_under(record, roofs.get(record.case.precision)) for record in records]


def _ways(found: Sequence[Ranked], logs: Sequence[Sequence[float]]) -> Iterator[Way]:
    for way, indices in _indices(found).items():
        own = [[process[index] for index in indices] for process in logs]
        records = [found[index].record for index in indices]
        correlations = {name: _tau(own, records, name) for name in PREDICTORS}
        yield Way(way, tuple(found[index] for index in indices), correlations)


def _between(found: Sequence[Ranked], logs: Sequence[Sequence[float]]) -> Iterator[Between]:
    """Tau between every two ways, over the networks; none of fewer than 3, which says nothing."""
    for (one, first), (other, second) in combinations(_indices(found).items(), 2):
        if len(first) < 3 or len(first) != len(second):
            continue
        sides = ([[process[index] for index in own] for process in logs] for own in (first, second))
        yield Between(one, other, kendall_between(*sides))


def _indices(found: Sequence[Ranked]) -> dict[str, list[int]]:
    """Where the networks of each way stand; it is called by what tells it from the others."""
    cases = [entry.record.case for entry in found]
    one_precision = len({case.precision for case in cases}) == 1
    one_runtime = len({case.runtime for case in cases}) == 1
    by_way: dict[str, list[int]] = {}
    for index, case in enumerate(cases):
        both = f"{case.runtime} {case.precision}"
        way = case.runtime if one_precision else case.precision if one_runtime else both
        by_way.setdefault(way, []).append(index)
    return by_way


def _check(records: Sequence[Record]) -> None:
    names = ", ".join(record.case.name for record in records)
    turns = {(record.session, record.case.turn) for record in records}
    if len(records) < 2 or len(turns) != 1:
        raise NoEvidence(f"{names or 'no record'}: a ranking needs networks that took turns")
    for record in records:
        latency = record.get("latency")
        if latency is None or not latency.samples or record.session is None:
            raise NoEvidence(f"record {record.id} of {record.case.name} was not timed in turn")


def _pairs(entries: Sequence[Ranked], theta: float) -> list[Pair]:
    both = list(combinations(entries, 2))
    verdicts = [paired(log_ratios(b.latency, a.latency), theta=theta) for a, b in both]
    return [
        Pair(a.label, b.label, verdict)
        for (a, b), verdict in zip(both, corrected(verdicts), strict=True)
    ]


def _tau(logs: Sequence[Sequence[float]], records: Sequence[Record], name: str) -> Tau | None:
    """Of latency with a metric; None where one of the networks has it not."""
    found = [record.get(name) for record in records]
    values = [float(one.value) for one in found if one is not None and one.value is not None]
    return kendall(logs, values) if len(values) == len(records) else None
