"""Blocks, rounds and epochs by hand, and what their log ratios are good for by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchbench.statistics.blocks import block_values, log_ratio, log_shares, parts


def test_parts_are_consecutive_and_what_is_beyond_is_left_out() -> None:
    assert list(parts([1, 2, 3, 4, 5, 6], [2, 0, 3])) == [[1, 2], [], [3, 4, 5]]


def test_a_block_is_the_median_of_its_samples() -> None:
    assert block_values([1, 9, 2, 5, 7], [3, 2]) == [2, 6]


def test_a_log_ratio_is_the_median_of_rounds_and_the_mean_of_epochs() -> None:
    """Two epochs: ratios 2, 2 and 100 (a disturbed round), then 8. Mean of log 2 and log 8."""
    candidate, baseline = [2.0, 4.0, 100.0, 8.0], [1.0, 2.0, 1.0, 1.0]
    assert log_ratio(candidate, baseline, [3, 1]) == pytest.approx(math.log(4))


def test_shares_are_relative_to_the_geometric_mean() -> None:
    """1, 2 and 4 have the mean 2, whatever the round was like for all of them."""
    rounds = [1.0, 5.0, 0.2]
    values = [[factor * one for one in rounds] for factor in (1.0, 2.0, 4.0)]
    assert log_shares(values, [3]) == pytest.approx([-math.log(2), 0.0, math.log(2)])


def test_new_copies_average_out_where_they_lie() -> None:
    """Placement worth 1 % an epoch: 16 epochs leave a quarter of it, one leaves all."""
    random = np.random.default_rng(0)
    found = []
    for epochs in (1, 16):
        trials = []
        for _ in range(300):
            luck = np.repeat(random.normal(0, 0.01, (2, epochs)), 20, axis=1)
            drift = random.normal(0, 0.05, 20 * epochs)  # shared by a round
            first, second = np.exp(luck + drift)
            trials.append(log_ratio(list(second), list(first), [20] * epochs))
        found.append(float(np.std(trials)))
    assert found[0] == pytest.approx(0.01 * math.sqrt(2), rel=0.15)
    assert found[1] == pytest.approx(0.01 * math.sqrt(2) / 4, rel=0.15)
