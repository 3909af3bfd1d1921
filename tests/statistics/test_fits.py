"""Errors of what was left out of a fit: planted laws are found, and nothing leaks."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest

from benchbench.statistics.fits import Form, collinearity, leave_groups_out, unfitted

FAMILIES = [number for number in range(6) for _ in range(8)]


def predictors(seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    """(networks, 2): work and bytes, which grow together as they do in networks."""
    random = np.random.default_rng(seed)
    work = np.exp(random.uniform(np.log(10e6), np.log(1e9), len(FAMILIES)))
    return np.column_stack([work, 0.2 * work * np.exp(random.normal(0, 0.3, len(work)))])


def test_a_planted_linear_law_is_found_and_a_power_law_is_not_it() -> None:
    table = predictors()
    seconds = 0.002 + table @ [2e-11, 1e-10]
    linear = leave_groups_out(table.tolist(), seconds.tolist(), FAMILIES, Form.LINEAR)
    power = leave_groups_out(table.tolist(), seconds.tolist(), FAMILIES, Form.POWER)
    assert linear is not None
    assert power is not None
    assert linear.error == pytest.approx(0, abs=1e-9)
    assert power.error > 0.01


def test_a_planted_power_law_is_found_and_no_line_is_it() -> None:
    table = predictors()
    seconds = 1e-6 * table[:, 0] ** 0.3 * table[:, 1] ** 0.5
    linear, power = (
        leave_groups_out(table.tolist(), seconds.tolist(), FAMILIES, form)
        for form in (Form.LINEAR, Form.POWER)
    )
    assert linear is not None
    assert power is not None
    assert power.error == pytest.approx(0, abs=1e-9)
    assert linear.error > 0.01


def test_costs_are_never_negative() -> None:
    """Latency falls with the second predictor: a line would use that, a sum of costs may not."""
    table = predictors()
    seconds = 1e-3 * np.sqrt(table[:, 0] / table[:, 1])
    both, first = (
        leave_groups_out(columns.tolist(), seconds.tolist(), FAMILIES, Form.LINEAR)
        for columns in (table, table[:, :1])
    )
    assert both == first


def test_a_family_that_was_left_out_has_no_say_in_what_is_predicted_for_it() -> None:
    """One family 100 times slower: the others are exact, so it is predicted 99 % too fast.

    A fit that had seen any of it would miss it by less.
    """
    table = predictors()[:, :1]
    seconds = table[:, 0] * 1e-10
    seconds[np.array(FAMILIES) == 3] *= 100
    for form in Form:
        found = leave_groups_out(table.tolist(), seconds.tolist(), FAMILIES, form)
        assert found is not None
        assert found.by_group[3] == pytest.approx(0.99)


def test_a_group_by_chance_predicts_nothing() -> None:
    """A predictor that is the family's number in disguise is useless for a family not seen.

    Within the sample it would explain everything; left out, it does as well as no predictor.
    """
    random = np.random.default_rng(4)
    own = np.exp(random.normal(0, 1, 6))
    disguised = np.exp(random.normal(0, 1, 6))
    table = [[float(disguised[family])] for family in FAMILIES]
    seconds = [float(own[family]) for family in FAMILIES]
    found = leave_groups_out(table, seconds, FAMILIES, Form.POWER)
    assert found is not None
    assert found.error > 0.3


def test_the_error_by_hand() -> None:
    """Through (1, 1) and (2, 2) goes y = x: at 4 it says 4, and the figure is 5.

    Without 1 or without 2 the line goes through the other and (4, 5). Log y = log 2 + a log(x/2)
    with a = log(5/2)/log 2 gives 4/5 at 1; log y = a log x with a = log 5/log 4 gives 5^(1/2) at 2.
    """
    found = leave_groups_out([[1.0], [2.0], [4.0], [4.0]], [1, 2, 5, 5], "abcc", Form.POWER)
    assert found is None  # two networks cannot say how a line and a constant do
    table = [[1.0], [1.0], [2.0], [2.0], [4.0], [4.0]]
    found = leave_groups_out(table, [1, 1, 2, 2, 5, 5], "aabbcc", Form.POWER)
    assert found is not None
    errors = {"a": 1 - 4 / 5, "b": (sqrt(5) - 2) / 2, "c": 1 / 5}
    assert found.error == pytest.approx(sorted(errors.values())[1])
    assert found.by_group == pytest.approx(errors)


def test_predictions_that_nothing_was_fitted_for() -> None:
    found = unfitted([11.0, 5.0, 30.0], [10.0, 10.0, 10.0], ["a", "b", "b"])
    assert found == (0.5, {"a": 0.1, "b": 1.25})
    assert found.worst == "b"
    with pytest.raises(ValueError, match="no figures"):
        unfitted([], [], [])


def test_only_positive_figures_are_fitted() -> None:
    with pytest.raises(ValueError, match="positive"):
        leave_groups_out([[1.0], [0.0]], [1.0, 2.0], "ab", Form.LINEAR)


def test_inflation_of_two_is_that_of_their_correlation() -> None:
    """With two predictors 1 / (1 - r^2) for both, and eigenvalues 1 + r and 1 - r."""
    table = predictors()
    found = collinearity(table.T.tolist())
    r = float(np.corrcoef(np.log(table.T))[0, 1])
    assert found.correlations[0][1] == pytest.approx(r)
    assert found.inflation == pytest.approx((1 / (1 - r**2),) * 2)
    assert found.condition == pytest.approx(sqrt((1 + r) / (1 - r)))


def test_inflation_by_the_inverse_of_the_correlations() -> None:
    """Its diagonal, whatever the number of predictors (Marquardt 1970, Technometrics 12:591)."""
    random = np.random.default_rng(2)
    shared = random.normal(0, 1, 60)
    logs = [shared * weight + random.normal(0, 1, 60) for weight in (1.0, 2.0, 0.0, 0.5)]
    found = collinearity(np.exp(logs).tolist())
    assert found.inflation == pytest.approx(np.diag(np.linalg.inv(np.corrcoef(logs))).tolist())


def test_a_predictor_that_follows_from_others_has_no_coefficient_of_its_own() -> None:
    first, second = predictors().T
    found = collinearity([first.tolist(), second.tolist(), (3 * first * second).tolist()])
    assert set(found.inflation) == {inf}
    assert found.condition == inf or found.condition > 1e6
    with pytest.raises(ValueError, match="two or more predictors that vary"):
        collinearity([first.tolist(), [7.0] * len(first)])
