"""Which of several networks is fastest: all in turn in the same processes, ranked in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from benchbench.config import ProfilerSettings
from benchbench.errors import NoEvidence
from benchbench.measurements import Measurement
from benchbench.records import Record
from benchbench.rounds import log_ratios, shares
from benchbench.statistics.ranking import Rank, Tau, kendall, rank_intervals
from benchbench.statistics.verdicts import Answer, Verdict, corrected, paired

PROFILERS = ProfilerSettings(complexity=True, latency=True)
# What might tell the order without a clock.
PREDICTORS = (
    *("params", "multiply_adds", "activations", "launches"),
    *("memory_access_paper", "memory_access_ops", "memory_access_fused"),
)


class Ranked(NamedTuple):
    record: Record
    latency: Measurement
    rank: Rank


class Pair(NamedTuple):
    """The second network of the two over the first."""

    first: str
    second: str
    verdict: Verdict


class Ranking(NamedTuple):
    """The fastest first. Correlations are of latency with counts, over these networks alone."""

    entries: tuple[Ranked, ...]
    pairs: tuple[Pair, ...]
    correlations: dict[str, Tau | None]  # None: all of them have the same, or not all have it
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
    ranks = rank_intervals(logs)
    order = sorted(range(len(records)), key=lambda index: ranks[index].rank)
    entries = tuple(Ranked(records[i], by_record[i], ranks[i]) for i in order)
    correlations = {name: _tau(logs, records, name) for name in PREDICTORS}
    return Ranking(entries, tuple(_pairs(entries, theta)), correlations, theta)


def _check(records: Sequence[Record]) -> None:
    names = ", ".join(record.case.name for record in records)
    if len(records) < 2 or len({record.session for record in records}) != 1:
        raise NoEvidence(f"{names or 'no record'}: a ranking needs networks that took turns")
    for record in records:
        latency = record.get("latency")
        if latency is None or not latency.samples or record.session is None:
            raise NoEvidence(f"record {record.id} of {record.case.name} was not timed in turn")


def _pairs(entries: Sequence[Ranked], theta: float) -> list[Pair]:
    both = list(combinations(entries, 2))
    verdicts = [paired(log_ratios(b.latency, a.latency), theta=theta) for a, b in both]
    return [
        Pair(a.record.case.name, b.record.case.name, verdict)
        for (a, b), verdict in zip(both, corrected(verdicts), strict=True)
    ]


def _tau(logs: Sequence[Sequence[float]], records: Sequence[Record], name: str) -> Tau | None:
    """Of latency with a metric; None where one of the networks has it not."""
    found = [record.get(name) for record in records]
    values = [float(one.value) for one in found if one is not None and one.value is not None]
    return kendall(logs, values) if len(values) == len(records) else None
