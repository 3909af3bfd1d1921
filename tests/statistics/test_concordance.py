"""Concordance of pairs: by hand, on planted families, and its interval's coverage."""

from __future__ import annotations

from math import exp
from statistics import fmean

import numpy as np
import pytest

from benchbench.statistics.concordance import (
    Share,
    agreements,
    close_pairs,
    concordance,
    difference,
)

SIZES = (32, 30, 22, 16, 9, 7, 6, 2)  # networks of families, about as a zoo has them


class Zoo:
    """Families whose latency is their work times a factor of the family's own, and noise."""

    def __init__(self, seed: int, *, family: float, noise: float) -> None:
        random = np.random.default_rng(seed)
        own = random.normal(0, family, len(SIZES))
        logs = [random.uniform(np.log(10), np.log(1000), size) for size in SIZES]
        self.work = np.exp(np.concatenate(logs)).tolist()
        self.families = [number for number, size in enumerate(SIZES) for _ in range(size)]
        jitter = random.normal(0, noise, len(self.work))
        self.outcome = (np.log(self.work) + own[self.families] + jitter).tolist()
        self.pairs = close_pairs(self.work, self.families, 1.2)


def test_pairs_are_of_other_families_and_close() -> None:
    """100 and 120 differ by exactly the ratio; 100 and 121 do not; 100 and 110 are relatives."""
    values = [100.0, 120.0, 121.0, 110.0]
    families = ["a", "b", "b", "a"]
    assert close_pairs(values, families, 1.2) == [(0, 1), (1, 3), (2, 3)]
    with pytest.raises(ValueError, match="3 families for 4 values"):
        close_pairs(values, families[:3], 1.2)


def test_scores_by_hand() -> None:
    """Larger and slower; larger and faster; equally large; equally slow."""
    predictor, outcome = [1.0, 2.0, 2.0, 0.5], [10.0, 20.0, 5.0, 10.0]
    pairs = [(0, 1), (0, 2), (1, 2), (0, 3)]
    assert agreements(predictor, outcome, pairs) == [1.0, 0.0, 0.5, 0.5]
    found = concordance([1.0, 0.0, 0.5, 0.5], pairs, ["a", "b", "c", "d"])
    assert found is not None
    assert (found.value, found.pairs, found.families) == (0.5, 4, 4)


def test_a_perfect_predictor_scores_one_and_its_reverse_none() -> None:
    zoo = Zoo(0, family=0.2, noise=0.05)
    reverse = [-value for value in zoo.outcome]
    perfect, opposite = (
        concordance(agreements(values, zoo.outcome, zoo.pairs), zoo.pairs, zoo.families)
        for values in (zoo.outcome, reverse)
    )
    assert perfect is not None
    assert opposite is not None
    assert (perfect.value, perfect.high) == (1.0, pytest.approx(1.0))
    assert (opposite.value, opposite.low) == (0.0, pytest.approx(0.0))
    # Eight families that agree are not proof: Wilson's interval of 8 successes starts at 0.68,
    # and Student's t of 7 degrees of freedom widens it.
    assert perfect.low is not None
    assert 0.5 < perfect.low < 0.676


def test_a_random_predictor_scores_a_half() -> None:
    random = np.random.default_rng(1)
    found = []
    for seed in range(40):
        zoo = Zoo(seed, family=0.2, noise=0.05)
        guesses = random.random(len(zoo.work)).tolist()
        found.append(fmean(agreements(guesses, zoo.outcome, zoo.pairs)))
    assert fmean(found) == pytest.approx(0.5, abs=0.02)


def test_what_is_the_same_for_all_ties_everywhere() -> None:
    zoo = Zoo(0, family=0.2, noise=0.05)
    assert set(agreements([7.0] * len(zoo.work), zoo.outcome, zoo.pairs)) == {0.5}


@pytest.mark.parametrize(("family", "noise"), [(0.1, 0.05), (0.05, 0.02), (0.4, 0.05)])
def test_the_interval_covers_what_other_families_would_give(family: float, noise: float) -> None:
    """Truth: the mean over 400 zoos. At least 93 of 100; more where families matter little."""
    others = [Zoo(1000 + seed, family=family, noise=noise) for seed in range(400)]
    truth = fmean(fmean(agreements(z.work, z.outcome, z.pairs)) for z in others)
    covered = 0
    for zoo in others[:150]:
        scores = agreements(zoo.work, zoo.outcome, zoo.pairs)
        found = concordance(scores, zoo.pairs, zoo.families)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high
        covered += found.low <= truth <= found.high
    assert covered >= 0.91 * 150  # 0.95 less two standard errors of 150 zoos


def test_pairs_taken_for_independent_would_not_cover() -> None:
    """What the families are for: an interval of so many free pairs is far too narrow."""
    zoo = Zoo(3, family=0.1, noise=0.05)
    scores = agreements(zoo.work, zoo.outcome, zoo.pairs)
    clustered = concordance(scores, zoo.pairs, zoo.families)
    free = concordance(scores, *_each_its_own(len(scores)))
    assert clustered is not None
    assert free is not None
    assert _width(clustered) > 2.5 * _width(free)


def _each_its_own(count: int) -> tuple[list[tuple[int, int]], list[int]]:
    """Pairs that have nothing in common."""
    return [(2 * number, 2 * number + 1) for number in range(count)], list(range(2 * count))


def _width(share: Share) -> float:
    assert share.low is not None
    assert share.high is not None
    return share.high - share.low


def test_two_families_have_a_share_and_no_interval() -> None:
    found = concordance([1.0, 0.0], [(0, 1), (2, 3)], ["a", "b", "a", "b"])
    assert found == Share(0.5, None, None, 2, 2)
    assert concordance([], [], []) is None
    assert difference([], [], [], []) is None


def test_a_difference_by_hand() -> None:
    """Four families in a ring, each pair of neighbours once.

    Differences 1, 0, 0, 0: mean 1/4. Without a family two pairs are left; their means are
    0, 0, 1/2, 1/2, so the jackknife's variance is 3/4 x 4 x (1/4)^2 = 3/16.
    """
    pairs, families = [(0, 1), (1, 2), (2, 3), (3, 0)], ["a", "b", "c", "d"]
    found = difference([1.0, 1.0, 0.5, 0.0], [0.0, 1.0, 0.5, 0.0], pairs, families)
    assert found is not None
    half = 3.182446 * (3 / 16) ** 0.5  # t(0.975, 3)
    assert found.value == 0.25
    assert found.low == pytest.approx(0.25 - half, rel=1e-6) or found.low == -1.0
    assert found.low == pytest.approx(max(-1.0, 0.25 - half))
    assert found.high == pytest.approx(min(1.0, 0.25 + half))


def test_a_difference_cancels_what_both_share() -> None:
    """A predictor that is right where the other is, and half of what it misses: surely better."""
    zoo = Zoo(5, family=0.1, noise=0.05)
    worse = agreements(zoo.work, zoo.outcome, zoo.pairs)
    better = agreements(zoo.outcome, zoo.outcome, zoo.pairs)
    found = difference(better, worse, zoo.pairs, zoo.families)
    assert found is not None
    assert found.low is not None
    assert found.value == pytest.approx(1 - fmean(worse))
    assert found.low > 0
    assert difference(worse, worse, zoo.pairs, zoo.families) == (0.0, 0.0, 0.0)


def test_the_ratio_holds_for_the_smaller_of_the_two_as_well() -> None:
    assert close_pairs([1.0, exp(0.18)], ["a", "b"], 1.2) == [(0, 1)]
    assert close_pairs([exp(0.19), 1.0], ["a", "b"], 1.2) == []
