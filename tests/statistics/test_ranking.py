"""Ranks and Kendall's tau: small cases by hand, scipy, and coverage of a known truth."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr, t

from benchbench.statistics.ranking import (
    Rank,
    draws,
    kendall,
    kendall_between,
    rank_intervals,
    spearman,
)


@pytest.mark.parametrize("processes", [3, 5, 10])
def test_draws_have_student_s_quantiles(processes: int) -> None:
    """Of a network and of a difference of two, whatever moves them together."""
    random = np.random.default_rng(0)
    logs = random.normal(0, 0.01, (processes, 2)) + random.normal(0, 0.1, (processes, 1))
    drawn = draws(logs.tolist(), 40_000, seed=1)
    assert drawn.shape == (40_000, 2)
    for values, found in [(logs[:, 0], drawn[:, 0]), (logs @ [1, -1], drawn @ [1, -1])]:
        half = t.ppf(0.975, processes - 1) * values.std(ddof=1) / sqrt(processes)
        expected = values.mean() + np.array([-half, half])
        assert np.quantile(found, [0.025, 0.975]) == pytest.approx(expected, abs=0.05 * half)


def test_draws_repeat_and_need_two_processes() -> None:
    logs = [[0.0, 1.0], [0.1, 1.2], [0.3, 1.1]]
    assert (draws(logs, 5, seed=2) == draws(logs, 5, seed=2)).all()
    with pytest.raises(ValueError, match="1 process: draws need at least 2"):
        draws(logs[:1], 5, seed=2)


def test_ranks_by_hand() -> None:
    """The first two differ by 1 -+ 12.706 * 0.1 (t(0.975, 1) = 12.706): too little for two
    processes, even before it is shared among two rivals; the third is 100 away from both.
    """
    logs = [[0.0, 1.1, 100.0], [0.2, 1.1, 100.1]]
    assert rank_intervals(logs) == [Rank(1, 1, 2), Rank(2, 1, 2), Rank(3, 3, 3)]


def test_one_process_ranks_without_an_interval_and_equals_share() -> None:
    logs = [[3.0, 1.0, 2.0, 1.0]]
    assert [rank.rank for rank in rank_intervals(logs)] == [4, 1, 3, 1]
    assert {rank[1:] for rank in rank_intervals(logs)} == {(None, None)}
    assert rank_intervals([[1.0], [2.0]]) == [Rank(1, 1, 1)]


@pytest.mark.parametrize("gap", [1e-5, 0.001, 0.01])
@pytest.mark.parametrize("processes", [3, 5])
def test_each_true_rank_is_covered(processes: int, gap: float) -> None:
    """20 networks `gap` apart, 0.4 % noise of each within a process, 10 % of all together.

    The extremes too: there, among near-equals, resampled ranks cover 30 %.
    """
    random = np.random.default_rng(9)
    truth = np.arange(1, 21)
    held = []
    for _ in range(400):
        noise = random.normal(0, 0.004, (processes, 20)) + random.normal(0, 0.1, (processes, 1))
        found = rank_intervals((gap * truth + noise).tolist())
        bounds = np.array([rank[1:] for rank in found])
        held.append((bounds[:, 0] <= truth) & (truth <= bounds[:, 1]))
    coverage = np.mean(held, axis=0)
    assert coverage[[0, -1]].min() >= 0.95 - 0.02  # two standard errors
    assert coverage.mean() >= 0.95


def test_ranks_get_narrow_with_processes() -> None:
    """1 % apart at 0.4 % noise: ten processes place each within a rank or so."""
    random = np.random.default_rng(10)
    logs = 0.01 * np.arange(20) + random.normal(0, 0.004, (10, 20))
    widths = [
        rank.high - rank.low for rank in rank_intervals(logs.tolist()) if rank.low and rank.high
    ]
    assert len(widths) == 20
    assert np.mean(widths) < 1


def test_tau_by_hand() -> None:
    """Latencies 1 2 3 4, metric 1 3 2 2: of six pairs, three with the first network agree, the
    second's other two do not, and the last is tied in the metric: (3 - 2) / sqrt(6 * 5).
    """
    found = kendall([[1.0, 2.0, 3.0, 4.0]], [1.0, 3.0, 2.0, 2.0])
    assert found is not None
    assert found.value == pytest.approx(1 / sqrt(30))
    assert (found.low, found.high) == (None, None)


@pytest.mark.parametrize("networks", [2, 7, 40])
def test_tau_is_scipy_s(networks: int) -> None:
    random = np.random.default_rng(networks)
    for _ in range(20):
        logs = random.integers(0, 12, (1, networks)).astype(float)  # ties on both sides
        metric = random.integers(0, 8, networks).astype(float)
        theirs = kendalltau(logs[0], metric).statistic
        ours = kendall(logs.tolist(), metric.tolist())
        assert (ours is None) == np.isnan(theirs)
        assert ours is None or ours.value == pytest.approx(theirs)


def test_what_is_the_same_for_all_predicts_nothing() -> None:
    logs = [[1.0, 2.0], [1.1, 2.0]]
    assert kendall(logs, [5.0, 5.0]) is None
    assert kendall([[1.0, 1.0]] * 3, [1.0, 2.0]) is None
    with pytest.raises(ValueError, match="3 values of the metric for 2 networks"):
        kendall(logs, [1.0, 2.0, 3.0])


def test_a_clear_order_leaves_tau_no_room() -> None:
    logs = np.arange(5.0) + np.random.default_rng(3).normal(0, 0.004, (5, 5))
    assert kendall(logs.tolist(), [1, 2, 3, 4, 5]) == (1, 1, 1)


@pytest.mark.parametrize("processes", [3, 5, 10])
@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_tau_covers_that_of_the_true_latencies(processes: int, noise: float) -> None:
    """15 networks whose logs vary by 1: noise of a tenth of that, and of half of it.

    Where noise exceeds what differs, coverage falls to about 0.9.
    """
    random = np.random.default_rng(11)
    held = []
    for _ in range(300):
        truth, other = random.standard_normal((2, 15))
        metric = truth + other
        logs = (
            truth + random.normal(0, noise, (processes, 15)) + random.normal(0, 1, (processes, 1))
        )
        found = kendall(logs.tolist(), metric.tolist(), count=500)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        expected = kendalltau(truth, metric).statistic
        held.append(found.low - 1e-9 <= expected <= found.high + 1e-9)
    assert np.mean(held) >= 0.94


def test_tau_between_two_latencies_is_scipy_s() -> None:
    random = np.random.default_rng(5)
    for _ in range(20):
        one, two = random.integers(0, 6, (2, 1, 9)).astype(float)
        found = kendall_between(one.tolist(), two.tolist())
        theirs = kendalltau(one[0], two[0]).statistic
        assert (found is None) == np.isnan(theirs)
        assert found is None or found.value == pytest.approx(theirs)
    assert kendall_between([[1.0, 1.0]], [[1.0, 2.0]]) is None
    with pytest.raises(ValueError, match="processes and networks"):
        kendall_between([[1.0, 2.0]], [[1.0, 2.0, 3.0]])


@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_tau_between_covers_that_of_the_true_latencies(noise: float) -> None:
    """8 networks in two runtimes, whose logs vary by 1; 5 processes, each slow in its own way."""
    random = np.random.default_rng(17)
    held = []
    for _ in range(300):
        truth = random.standard_normal((2, 8))
        truth[1] += truth[0]
        shift = random.normal(0, 1, (5, 1))
        one, two = (of + shift + random.normal(0, noise, (5, 8)) for of in truth)
        found = kendall_between(one.tolist(), two.tolist(), count=500)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        expected = kendalltau(truth[0], truth[1]).statistic
        held.append(found.low - 1e-9 <= expected <= found.high + 1e-9)
    assert np.mean(held) >= 0.94


def test_spearman_is_scipys_and_by_hand() -> None:
    """One swap of neighbours among five: 1 - 6 x 2 / (5 x 24)."""
    assert spearman([1, 2, 3, 4, 5], [1, 3, 2, 4, 9]) == pytest.approx(0.9)
    random = np.random.default_rng(3)
    first = random.integers(0, 9, 40).tolist()
    second = (np.array(first) + random.integers(0, 9, 40)).tolist()
    assert spearman(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert spearman([1, 1, 1], [1, 2, 3]) is None
    with pytest.raises(ValueError, match="3 and 2 values"):
        spearman([1, 2, 3], [1, 2])
