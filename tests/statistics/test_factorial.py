"""Factorials with planted effects, and Shapley values against their definition by orders."""

from __future__ import annotations

from itertools import permutations
from math import sqrt
from statistics import fmean, stdev

import numpy as np
import pytest
from scipy.stats import t

from benchbench.statistics.factorial import attribution

FACTORS = 5
MAIN = (-0.30, -0.02, 0.10, -0.05, 0.00)
PAIRS = {(0, 1): 0.02, (1, 4): -0.01}
TRIPLE = {(0, 1, 2): 0.004}


def planted(factors: int = FACTORS) -> np.ndarray:
    """Cells whose every set of factors adds plus or minus half of its effect."""
    effects = {(i,): effect for i, effect in enumerate(MAIN)} | PAIRS | TRIPLE
    cells = np.zeros(2**factors)
    for cell in range(2**factors):
        signs = [1 if cell & 2**i else -1 for i in range(factors)]
        for chosen, effect in effects.items():
            cells[cell] += effect / 2 * np.prod([signs[i] for i in chosen])
    return cells


def test_planted_effects_are_found() -> None:
    found = attribution([planted()])
    assert [effect.value for effect in found.main] == pytest.approx(MAIN)
    pairs = {effect.factors: effect.value for effect in found.pairs}
    assert len(pairs) == 10
    for chosen, value in pairs.items():
        assert value == pytest.approx(PAIRS.get(chosen, 0.0), abs=1e-12)
    assert len(found.higher) == 32 - 1 - 5 - 10
    assert found.higher[0].factors == (0, 1, 2)
    assert found.higher[0].value == pytest.approx(0.004)
    assert all(effect.interval is None for effect in found.main)


def test_a_main_effect_and_an_interaction_in_words() -> None:
    """Two factors: 1, 4 with the first, 2 with the second, 9 with both.

    The first makes 3 of 1 and 7 of 2, so 5 on average; the second changes that by 4, of which an
    interaction is half. The same for the second: 1 and 5.
    """
    found = attribution([[1.0, 4.0, 2.0, 9.0]])
    assert [effect.value for effect in found.main] == [5, 3]
    assert [effect.value for effect in found.pairs] == [2]
    assert [effect.value for effect in found.shapley] == [5, 3]
    assert found.total.value == 8


def test_variance_is_shared_out_without_rest() -> None:
    """The variance of 32 cells is the sum of the squared halves of their 31 effects."""
    cells = planted()
    found = attribution([cells])
    everything = [*found.main, *found.pairs, *found.higher]
    assert sum((effect.value / 2) ** 2 for effect in everything) == pytest.approx(cells.var())
    few = sum(effect**2 for effect in MAIN) + sum(effect**2 for effect in PAIRS.values())
    assert found.share == pytest.approx(few / (few + 0.004**2))
    assert found.noise is None


def test_cells_that_are_all_the_same_have_no_share() -> None:
    found = attribution([[2.0] * 4, [3.0] * 4])
    assert (found.share, found.noise) == (None, None)


def test_shapley_values_are_means_over_all_orders() -> None:
    """By definition: what a factor adds where it joins, averaged over the 3! orders."""
    random = np.random.default_rng(0)
    cells = random.normal(size=8)
    expected = []
    for one in range(3):
        added = []
        for order in permutations(range(3)):
            before = sum(2**other for other in order[: order.index(one)])
            added.append(cells[before + 2**one] - cells[before])
        expected.append(fmean(added))
    found = attribution([cells])
    assert [effect.value for effect in found.shapley] == pytest.approx(expected)


def test_shapley_values_add_up_to_the_whole_difference() -> None:
    """Efficiency, process by process and so on average."""
    random = np.random.default_rng(1)
    cells = random.normal(size=(4, 32))
    found = attribution(cells)
    whole = fmean((cells[:, -1] - cells[:, 0]).tolist())
    assert found.total.value == pytest.approx(whole)
    assert sum(effect.value for effect in found.shapley) == pytest.approx(whole)


def test_symmetric_factors_share_alike_and_an_idle_one_gets_nothing() -> None:
    """Cells depend on how many of the first two are there, and not on the third."""
    by_count = (0.0, 1.0, 5.0)
    cells = [by_count[(cell & 1) + (cell >> 1 & 1)] for cell in range(8)]
    first, second, idle = (effect.value for effect in attribution([cells]).shapley)
    assert first == second == 2.5
    assert idle == 0


def test_a_process_that_is_slower_for_all_changes_no_effect() -> None:
    """Whatever a process adds to every cell is in no contrast: intervals stay points."""
    cells = [planted() + luck for luck in (0.0, 0.4, -0.2)]
    found = attribution(cells)
    for effect, expected in zip(found.main, MAIN, strict=True):
        assert effect.interval is not None
        assert effect.interval.low == pytest.approx(expected, abs=1e-9)
        assert effect.interval.high == pytest.approx(expected, abs=1e-9)


def test_intervals_are_student_s_over_processes() -> None:
    """The first factor's effect differs from process to process by what we say."""
    effects = (-0.30, -0.32, -0.27, -0.31, -0.30)
    signs = np.where(np.arange(32) & 1, 0.5, -0.5)
    cells = [planted() + (effect - MAIN[0]) * signs for effect in effects]
    found = attribution(cells)
    half = t.ppf(0.975, 4) * stdev(effects) / sqrt(5)
    for effect in (found.main[0], found.shapley[0]):
        assert effect.interval is not None
        assert effect.interval.high - effect.interval.low == pytest.approx(2 * half)
    assert found.main[0].interval is not None
    assert found.main[0].interval.low == pytest.approx(fmean(effects) - half)


def test_intervals_cover_as_often_as_they_say_and_noise_is_foreseen() -> None:
    """Noise of 1 % a cell in 5 processes, 400 times: coverage of every main effect, 95 %.

    An effect is 2 / 2^5 of the sum of 32 noisy cells over 5 processes; 16 of 31 are higher.
    """
    random = np.random.default_rng(2)
    hits, rests, foreseen = 0, [], []
    trials = 400
    squares = sum(effect**2 for effect in (*MAIN, *PAIRS.values(), *TRIPLE.values()))
    for _ in range(trials):
        found = attribution(planted() + random.normal(0, 0.01, (5, 32)))
        for effect, truth in zip(found.main, MAIN, strict=True):
            assert effect.interval is not None
            hits += effect.interval.low <= truth <= effect.interval.high
        assert found.share is not None
        assert found.noise is not None
        rests.append(1 - found.share)
        foreseen.append(found.noise)
    assert 0.93 < hits / (5 * trials) < 0.97
    variance = 4 / 32 * 0.01**2 / 5
    assert fmean(foreseen) == pytest.approx(16 * variance / squares, rel=0.05)
    assert fmean(rests) == pytest.approx((16 * variance + 0.004**2) / squares, rel=0.05)


@pytest.mark.parametrize("cells", [[], [[1.0]], [[1.0, 2.0, 3.0]], [[1.0] * 31]])
def test_what_is_no_full_factorial_is_refused(cells: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="must be processes x 2"):
        attribution(cells)
