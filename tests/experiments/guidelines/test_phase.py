"""The law over ridge point and launch cost, against what it comes to by hand."""

from __future__ import annotations

import pytest
from planted import Plant, ladder, steps

from benchbench.experiments.guidelines.judge import judge
from benchbench.experiments.guidelines.phase import effects, paper_effect
from benchbench.prediction import FUSED


def test_the_law_far_from_the_ridge(plant: Plant) -> None:
    """Unequal widths cost nothing where computing holds up, and their bytes where memory does.

    (32, 288) for (96, 96): 320 n + 9216 elements a convolution for 192 n + 9216, n being 56 x 56:
    1.657 times as many; 1.647 with twice the widths, 1.628 with four times.
    """
    (cell,) = judge(plant(ladder("g1"), steps(1.0, 1.0, 1.0))).cells
    (found,) = cell.ladders
    ((computing, memory),) = effects(found, "widths", FUSED, [1e-6, 1e6], [0.0])
    assert computing == pytest.approx(0, abs=1e-6)
    assert memory == pytest.approx((1.6566 * 1.6469 * 1.6282) ** (1 / 3) - 1, rel=1e-3)


def test_where_launches_are_all_four_in_series_take_four_times_as_long(plant: Plant) -> None:
    (cell,) = judge(plant(ladder("g3"), steps(1.0, 1.0))).cells
    (found,) = cell.ladders
    assert effects(found, "series", FUSED, [1e-6], [1e15])[0][0] == pytest.approx(3, rel=1e-3)


def test_what_the_paper_observed_on_its_last_rows() -> None:
    """Table 2, GPU: 2451 to 634, 1289 to 445 and 437 to 230 images/s."""
    expected = (2451 / 634 * 1289 / 445 * 437 / 230) ** (1 / 3) - 1
    assert paper_effect("g2", "groups", "gpu") == pytest.approx(expected)
    assert paper_effect("g2", "depthwise separable", "gpu") is None
