"""How small a change this machine lets one see: a network against itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log
from statistics import stdev
from typing import NamedTuple

from benchbench.cases import Case
from benchbench.config import ProfilerSettings
from benchbench.errors import NoEvidence
from benchbench.records import Record
from benchbench.rounds import log_ratios
from benchbench.statistics.verdicts import Verdict, paired, smallest_effect, threshold

PROFILERS = ProfilerSettings(latency=True, roofs=True)
NETWORK = "mobilenet_v3_small"  # short calls: many rounds in little time
NAMES = ("one", "the same again")
TASK = "selftest"
FEWEST_PROCESSES = 3
WORST = "D"


class Selftest(NamedTuple):
    """Noise is the standard deviation of a logarithm, so about a share of the time."""

    noise: float  # between processes, of the ratio of a network to itself
    noise_apart: float  # between processes, of its time: what records measured apart show
    theta: float  # the least change that counts as one
    effects: dict[int, float]  # smallest change found with 95 % probability, by processes
    verdict: Verdict  # of the network against itself
    clock_resolution: float  # seconds
    timer_cost: float  # seconds


def cases(case: Case) -> list[Case]:
    """The same case twice."""
    return [replace(case, name=f"{case.name}, {name}") for name in NAMES]


def judge(records: Sequence[Record]) -> Selftest:
    """What the two records of one selftest say.

    Raises:
        NoEvidence: fewer than 3 processes came to an end.
    """
    one, again = (record["latency"] for record in records)
    ratios = log_ratios(again, one)
    if len(ratios) < FEWEST_PROCESSES:
        raise NoEvidence(f"{len(ratios)} processes: a selftest needs at least {FEWEST_PROCESSES}")
    noise = stdev(ratios)
    theta = threshold(noise)
    return Selftest(
        noise=noise,
        noise_apart=stdev(log(median) for median in one.medians),
        theta=theta,
        effects={count: smallest_effect(noise, count, theta) for count in (3, 5, 10)},
        verdict=paired(ratios, theta=theta),
        clock_resolution=min(known["clock_resolution"] for known in one.processes),
        timer_cost=min(known["timer_cost"] for known in one.processes),
    )


class Threshold(NamedTuple):
    theta: float
    source: str  # a sentence


def known_threshold(selftests: Sequence[Record]) -> Threshold:
    """The least change that counts as one, from the latest of a machine's selftests.

    One of the worst grade says what disturbed it and not what the machine is like.
    """
    sessions: dict[str, list[Record]] = {}
    for record in selftests:
        sessions.setdefault(str(record.session), []).append(record)
    for session, pair in sorted(sessions.items(), reverse=True):
        disturbed = any(record.quality.grade == WORST for record in pair)
        whole = len(pair) == len(NAMES) and len(pair[0]["latency"].samples) >= FEWEST_PROCESSES
        if whole and not disturbed:
            found = judge(pair)
            return Threshold(found.theta, f"selftest {session}: noise {100 * found.noise:.2f} %")
    return Threshold(threshold(None), "no selftest of this machine as it is now: task=selftest")
