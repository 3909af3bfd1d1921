"""How the samples of a process lie in blocks, rounds and epochs, and what stands for them.

A round is one block of every network; an epoch is the rounds on one copy of the networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import exp, log
from statistics import fmean, median
from typing import TypeVar

Item = TypeVar("Item")


def parts(items: Sequence[Item], lengths: Sequence[int]) -> Iterator[Sequence[Item]]:
    """Consecutive parts of so many items each; what is beyond them is left out."""
    ends = list(accumulate(lengths))
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        yield items[start:end]


def block_values(seconds: Sequence[float], block_samples: Sequence[int]) -> list[float]:
    """The median of every block; `block_samples` says how many samples each has."""
    return [median(block) for block in parts(seconds, block_samples)]


def log_ratio(
    candidate: Sequence[float], baseline: Sequence[float], epoch_rounds: Sequence[int]
) -> float:
    """One process's log(candidate / baseline), from the block values of both, round by round.

    The median over the rounds of an epoch, so that a disturbed one does not count; the mean
    over epochs, because where a copy lies is luck, of which every epoch draws anew.
    """
    logs = [log(mine / theirs) for mine, theirs in zip(candidate, baseline, strict=False)]
    return fmean(median(epoch) for epoch in parts(logs, epoch_rounds) if epoch)


def log_shares(values: Sequence[Sequence[float]], epoch_rounds: Sequence[int]) -> list[float]:
    """One process's log(network / geometric mean of all), from the block values of each network.

    As `log_ratio`, against everybody: the difference of two of them is not quite the log ratio
    of the pair, which is taken from their own rounds.
    """
    by_round = list(zip(*values, strict=False))
    means = [exp(fmean(log(value) for value in of_round)) for of_round in by_round]
    return [log_ratio(of_network, means, epoch_rounds) for of_network in values]
