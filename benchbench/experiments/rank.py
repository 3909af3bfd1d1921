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
from benchbench.statistics.verdicts import Verdict, paired

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
    correlations: dict[str, Tau | None]  # None: all of them have the same
    theta: float


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
    correlations = {name: kendall(logs, _metric(records, name)) for name in PREDICTORS}
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
    return [
        Pair(
            first.record.case.name,
            second.record.case.name,
            paired(log_ratios(second.latency, first.latency), theta=theta),
        )
        for first, second in combinations(entries, 2)
    ]


def _metric(records: Sequence[Record], name: str) -> list[float]:
    values = [record.get(name) for record in records]
    return [float(found.value or 0) if found else 0.0 for found in values]
