"""Verdicts: hand-made, against scipy, and how often they are right in simulation."""

from __future__ import annotations

from collections import Counter
from math import exp, inf, log, log1p, nan, sqrt

import numpy as np
import pytest
from scipy.stats import false_discovery_control, nct, t, ttest_1samp, ttest_ind, wilcoxon
from simulated import WITHIN, Array, Draw, log_samples

from benchbench.statistics.verdicts import (
    Answer,
    apart,
    benjamini_hochberg,
    corrected,
    overall,
    paired,
    smallest_effect,
    threshold,
)

THETA = 0.01


def answers(log_ratios: Array, theta: float = THETA) -> dict[Answer, float]:
    """The share of each answer over trials (rows)."""
    counts = Counter(paired(row, theta=theta).answer for row in log_ratios.tolist())
    return {answer: counts[answer] / len(log_ratios) for answer in Answer}


def between(spread: float) -> Draw:
    """Processes whose log ratios have this standard deviation."""

    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return random.normal(0, spread, shape)

    return draw


@pytest.mark.parametrize(
    ("logs", "answer"),
    [
        ([0.03, 0.0301, 0.0299], Answer.SLOWER),
        ([-0.03, -0.0301, -0.0299], Answer.FASTER),
        ([0.0, 0.0001, -0.0001], Answer.SAME),
        ([0.0, 0.0, 0.0], Answer.SAME),
        ([0.00995, 0.00996, 0.00994], Answer.AMBIGUOUS),  # astride log(1.01) = 0.00995
        ([0.0, 0.1, -0.1], Answer.AMBIGUOUS),
        ([0.03, 0.03], Answer.AMBIGUOUS),  # two processes, however alike
        ([0.03], Answer.AMBIGUOUS),
    ],
)
def test_answers(logs: list[float], answer: Answer) -> None:
    assert paired(logs, theta=THETA).answer is answer


def test_a_verdict_by_hand() -> None:
    """Logs 0.02 -+ 0.01: standard error 0.01 / sqrt(3), and t(0.995, 2) is 9.925 in any table."""
    verdict = paired([0.01, 0.02, 0.03], theta=THETA)
    half = 9.925 * 0.01 / sqrt(3)
    assert verdict.ratio == pytest.approx(exp(0.02))
    assert (verdict.low, verdict.high) == pytest.approx((exp(0.02 - half), exp(0.02 + half)))
    assert (verdict.theta, verdict.processes) == (THETA, 3)
    assert verdict.p_value == pytest.approx(ttest_1samp([0.01, 0.02, 0.03], 0).pvalue)


@pytest.mark.parametrize("logs", [[0.5], [0.5, 0.5]])
def test_below_three_processes_nothing_could_have_been_found(logs: list[float]) -> None:
    verdict = paired(logs, theta=THETA)
    assert verdict.detectable is None
    assert (verdict.low is None) == (len(logs) == 1)
    assert verdict.ratio == pytest.approx(exp(0.5))


def test_processes_that_agree_to_the_last_bit() -> None:
    assert paired([0.25] * 3, theta=THETA).p_value == 0
    assert paired([0.0] * 3, theta=THETA).p_value == 1
    assert paired([0.25] * 3, theta=THETA).detectable == pytest.approx(THETA)
    assert apart([0.0] * 3, [0.25] * 3, theta=THETA).answer is Answer.SLOWER


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_what_is_no_log_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="is not the log of a measured figure"):
        paired([0.0, 0.0, bad], theta=THETA)
    with pytest.raises(ValueError, match="is not the log of a measured figure"):
        apart([0.0, 0.0, 0.0], [bad], theta=THETA)


def test_no_processes_are_refused() -> None:
    with pytest.raises(ValueError, match="no processes"):
        paired([], theta=THETA)
    with pytest.raises(ValueError, match="no processes"):
        apart([0.0], [], theta=THETA)


@pytest.mark.parametrize(
    ("noise", "theta"), [(None, 0.01), (0.0, 0.01), (0.004, 0.01), (0.005, 0.01), (0.03, 0.06)]
)
def test_threshold(noise: float | None, theta: float) -> None:
    assert threshold(noise) == pytest.approx(theta)


@pytest.mark.parametrize("counts", [(3, 3), (5, 3), (4, 10)])
def test_apart_is_scipy_s_welch(counts: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    baseline, candidate = random.normal(0, 0.01, counts[0]), random.normal(0.05, 0.03, counts[1])
    verdict = apart(baseline.tolist(), candidate.tolist(), theta=THETA)
    theirs = ttest_ind(candidate, baseline, equal_var=False)
    interval = theirs.confidence_interval(0.99)
    assert (verdict.low, verdict.high) == pytest.approx((exp(interval.low), exp(interval.high)))
    assert verdict.p_value == pytest.approx(theirs.pvalue)
    assert verdict.processes == min(counts)


def test_apart_needs_three_processes_on_either_side() -> None:
    many, few = [0.0, 0.0001, -0.0001, 0.0], [0.5, 0.5]
    assert apart(many, [value + 0.5 for value in many], theta=THETA).answer is Answer.SLOWER
    assert apart([value + 0.5 for value in many], many, theta=THETA).answer is Answer.FASTER
    assert apart(many, few, theta=THETA).answer is Answer.AMBIGUOUS
    assert apart(few[:1], many, theta=THETA).low is None


@pytest.mark.parametrize("spread", [0.004, 0.01, 0.03, 0.1])
@pytest.mark.parametrize("within", WITHIN.values(), ids=WITHIN)
def test_equals_are_hardly_ever_told_apart(within: Draw, spread: float) -> None:
    """A against A through the samples of both: at most 1 % SLOWER or FASTER at theta 1 %."""
    for processes in (3, 5):
        rounds = log_samples(between(spread), within, 500, processes, seed=1)
        found = answers(np.median(rounds, axis=-1))
        assert found[Answer.SLOWER] + found[Answer.FASTER] <= 0.01


def test_two_modes_of_processes_are_what_the_threshold_is_for() -> None:
    """Half the processes 4 % up, half 4 % down: 3 agree by luck in a quarter of all sessions.

    A fixed 1 % would call that a difference; twice the machine's noise, which the same luck
    makes, does not.
    """
    random = np.random.default_rng(2)
    logs = random.choice([-0.04, 0.04], (1000, 3)) + random.normal(0, 0.0005, (1000, 3))
    careless, careful = answers(logs), answers(logs, threshold(0.04))
    assert careless[Answer.SLOWER] + careless[Answer.FASTER] > 0.2
    assert careful[Answer.SLOWER] + careful[Answer.FASTER] == 0


@pytest.mark.parametrize(("processes", "lowest", "highest"), [(3, 0.47, 0.57), (5, 0.95, 1.0)])
def test_three_per_cent_is_found_by_the_standard_budget(
    processes: int, lowest: float, highest: float
) -> None:
    """Spread 0.4 %. Three processes answer AMBIGUOUS to nearly half, by design: 0.517 find it."""
    random = np.random.default_rng(3)
    found = answers(random.normal(log(1.03), 0.004, (2000, processes)))
    assert lowest <= found[Answer.SLOWER] <= highest
    assert found[Answer.FASTER] == found[Answer.SAME] == 0


@pytest.mark.parametrize("processes", [3, 5, 10])
def test_smallest_effect_is_found_nineteen_times_in_twenty(processes: int) -> None:
    """By simulation, and by scipy's noncentral t."""
    effect = smallest_effect(0.004, processes, THETA)
    random = np.random.default_rng(4)
    logs = random.normal(log1p(effect), 0.004, (2000, processes))
    assert answers(logs)[Answer.SLOWER] == pytest.approx(0.95, abs=0.015)  # 3 standard errors
    distance = (log1p(effect) - log1p(THETA)) * sqrt(processes) / 0.004
    quantile = t.ppf(0.995, processes - 1)
    assert nct.sf(quantile, processes - 1, distance) == pytest.approx(0.95, abs=1e-4)


def test_a_verdict_states_the_smallest_effect_for_its_own_spread() -> None:
    logs = [0.001, -0.002, 0.004, 0.0, -0.003]
    spread = float(np.std(logs, ddof=1))
    assert paired(logs, theta=THETA).detectable == pytest.approx(smallest_effect(spread, 5, THETA))
    assert smallest_effect(0.004, 2, THETA) == inf


def test_overall_keeps_what_a_process_does_to_all_models() -> None:
    """Moved together, two are no more certain than one; moved against each other, they cancel."""
    shared = [0.01, 0.03, 0.05]
    assert overall([shared, shared], THETA)[1:] == pytest.approx(paired(shared, theta=THETA)[1:])
    cancelled = overall([shared, shared[::-1]], THETA)
    assert cancelled.high == pytest.approx(exp(0.03))
    assert cancelled.answer is Answer.SLOWER
    assert overall([shared, shared], THETA).answer is Answer.AMBIGUOUS


def test_overall_wants_the_same_processes_of_every_model() -> None:
    with pytest.raises(ValueError, match="shorter"):
        overall([[0.1, 0.2], [0.1]], THETA)
    with pytest.raises(ValueError, match="no processes"):
        overall([], THETA)


def test_benjamini_and_hochberg_s_own_example() -> None:
    """Their section 3.2: 15 p values, of which the first four are rejected at 0.05."""
    p_values = [
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459),
        *(0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
    ]
    assert benjamini_hochberg(p_values) == [True] * 4 + [False] * 11
    assert benjamini_hochberg(p_values[::-1]) == [False] * 11 + [True] * 4
    assert benjamini_hochberg([]) == []


def test_benjamini_hochberg_is_scipy_s() -> None:
    random = np.random.default_rng(5)
    for _ in range(50):
        p_values = random.random(20) ** 4
        expected = (false_discovery_control(p_values) <= 0.05).tolist()
        assert benjamini_hochberg(p_values.tolist()) == expected


def test_among_many_models_the_few_slow_ones_are_named() -> None:
    """5 of 50 models 3 % slower, 5 processes, spread 0.4 %: named, and few others with them.

    Wilcoxon's test could name none: 1/16 is its smallest p value for five.
    """
    random = np.random.default_rng(6)
    named, falsely = [], []
    for _ in range(60):
        logs = random.normal(0, 0.004, (50, 5))
        logs[:5] += log(1.03)
        verdicts = [paired(row, theta=THETA) for row in logs.tolist()]
        found = benjamini_hochberg([one.p_value for one in verdicts if one.p_value is not None])
        named.append(sum(found[:5]) / 5)
        falsely.append(sum(found[5:]) / max(1, sum(found)))
    assert np.mean(named) >= 0.9
    assert np.mean(falsely) <= 0.05
    assert wilcoxon([1.0, 2.0, 3.0, 4.0, 5.0]).pvalue == 1 / 16


def test_many_at_once_are_held_to_more() -> None:
    """30 equal networks and one whose change is seen at 99 % alone: 0.01 / 31 asks for more."""
    still = paired([0.001, -0.001, 0.0, 0.001, -0.001], theta=0.01)
    weak = paired([0.030, 0.022, 0.040, 0.018, 0.034], theta=0.001)
    strong = paired([0.0300, 0.0301, 0.0299, 0.0300, 0.0301], theta=0.01)
    assert weak.p_value is not None
    assert 0.01 / 31 < weak.p_value < 0.01
    assert weak.answer == Answer.SLOWER == strong.answer
    found = corrected([weak, strong, *[still] * 29])
    assert [one.answer for one in found[:3]] == [Answer.AMBIGUOUS, Answer.SLOWER, Answer.SAME]
    assert [one.answer for one in corrected([weak])] == [Answer.SLOWER]
    assert corrected([]) == []


def test_nothing_is_the_same_within_more_than_a_tenth() -> None:
    """Noise of 10 % makes theta 20 %: 15 % more, known to 1 %, is not the same."""
    logs = [0.142, 0.143, 0.141, 0.142, 0.143]
    assert paired(logs, theta=0.2).answer == Answer.AMBIGUOUS
    assert paired([0.0] * 4 + [0.001], theta=0.2).answer == Answer.AMBIGUOUS
    assert paired([0.0] * 4 + [0.001], theta=0.1).answer == Answer.SAME
