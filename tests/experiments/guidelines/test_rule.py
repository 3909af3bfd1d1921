"""The rule on made-up slowdowns, by Student's and Holm's tables."""

from __future__ import annotations

from math import log, sqrt

import pytest

from benchbench.errors import UserError
from benchbench.experiments.guidelines.rule import Answer, Rule, Scale, decide, interval, rule_from

RULE = Rule(smallest=0.03, noises=2.0, confidence=0.95, equal=0.005, worst_grade="B", processes=5)
QUIET = (0.001, -0.001, 0.0005, -0.0005, 0.0)
ONE = frozenset({"brgemm"})


def spread(middle: float, width: float = 0.004) -> tuple[float, ...]:
    """Five processes around a slowdown of so many percent, evenly spread."""
    return tuple(log(1 + middle / 100) + width * step for step in (-1, -0.5, 0, 0.5, 1))


def scale(name: str = "x1", *steps: tuple[float, ...], again: tuple[float, ...] = QUIET) -> Scale:
    rungs = len(steps) + 1
    return Scale(name, steps, again, (1000,) * rungs, (ONE,) * rungs, ("A",) * (rungs + 1))


def three(*steps: tuple[float, ...]) -> list[Scale]:
    return [scale(name, *steps) for name in ("x1", "x2", "x4")]


def test_support_no_effect_and_reversal() -> None:
    axes = [three(spread(10), spread(20)), three(spread(1), spread(0)), three(spread(-10))]
    supported, none, reversed_ = decide(axes, RULE)
    assert (supported.answer, none.answer, reversed_.answer) == (
        Answer.SUPPORTED,
        Answer.REFUTED,
        Answer.REFUTED,
    )
    assert (none.why, reversed_.why) == ("no effect", "reversed")
    assert supported.effect == pytest.approx(0.20)
    assert reversed_.effect == pytest.approx(-0.10)


def test_the_interval_is_students_at_holms_level() -> None:
    """t(4) at 0.975 is 2.776, at 0.9875 (the first of two) 3.495: Student's tables."""
    sd = 0.004 * sqrt(2.5 / 4)
    values = spread(20)
    found = interval(values, 0.05)
    assert found is not None
    assert found[1] - found[0] == pytest.approx(2 * 2.7764 * sd / sqrt(5), rel=1e-3)
    # The wider one comes second, at the full level; the other at half of it.
    first, second = decide([three(values), three(spread(20, 0.008))], RULE)
    assert first.high is not None
    assert second.high is not None
    assert log(1 + first.high) - log(1.2) == pytest.approx(3.4954 * sd / sqrt(5), rel=1e-3)
    assert log(1 + second.high) - log(1.2) == pytest.approx(2.7764 * 2 * sd / sqrt(5), rel=1e-3)


def test_what_one_axis_would_show_alone_may_not_stand_among_many() -> None:
    """4 % with a half width of 0.8 %: above 3 % alone, and not at a quarter of the level."""
    sd = 0.008 / 2.7764 * sqrt(5)
    width = sd / sqrt(2.5 / 4)
    weak = three(spread(4, width))
    (alone,) = decide([weak], RULE)
    assert alone.answer == Answer.SUPPORTED
    among = decide([weak] * 4, RULE)
    assert {one.answer for one in among} == {Answer.INCONCLUSIVE}


def test_scales_that_disagree_are_named() -> None:
    axis = [scale("x1", spread(30)), scale("x2", spread(10)), scale("x4", spread(0))]
    (found,) = decide([axis], RULE)
    assert found.answer == Answer.INCONCLUSIVE
    assert found.why == "scales disagree: slower at x1, x2, not at x4"


def test_noise_of_the_first_rung_raises_what_is_needed() -> None:
    """A copy that differs by 4 % in every process: 8 % are needed, and 6 % are no effect."""
    loud = (log(1.04),) * 5
    axis = [scale(name, spread(6), again=loud) for name in ("x1", "x2")]
    (found,) = decide([axis], RULE)
    assert found.delta == pytest.approx(0.08)
    assert (found.answer, found.why) == (Answer.REFUTED, "no effect")


def test_a_step_back_stands_in_the_way() -> None:
    (found,) = decide([three(spread(40), spread(20))], RULE)
    assert found.answer == Answer.INCONCLUSIVE
    assert found.why == "step 2 is faster by 14 %"  # 1 - 1.2 / 1.4


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"multiply_adds": (1000, 1006)}, "multiply-adds differ by 0.6 % at x1"),
        (
            {"kernels": (ONE, frozenset({"slow", "brgemm"}))},
            "other kernels run on other rungs at x1: brgemm, slow",
        ),
        ({"kernels": (ONE, None)}, "which kernels ran at x1 is not known"),
        ({"grades": ("A", "C", "A")}, "quality is C"),
        ({"grades": ("A", "A", None)}, "quality is D"),
        ({"slowdowns": ((0.2, 0.21),)}, "2 processes, and 5 are the fewest"),
    ],
)
def test_what_stands_in_the_way(changes: dict[str, object], why: str) -> None:
    (found,) = decide([[scale("x1", spread(20))._replace(**changes)]], RULE)
    assert (found.answer, found.why) == (Answer.INCONCLUSIVE, why)


def test_multiply_adds_and_grades_on_the_edge_are_fine() -> None:
    edge = {"multiply_adds": (1000, 1005), "grades": ("B", "B", "B")}
    (found,) = decide([[scale("x1", spread(20))._replace(**edge)]], RULE)
    assert found.answer == Answer.SUPPORTED


def test_a_wide_interval_decides_nothing() -> None:
    (found,) = decide([three(spread(5, 0.05))], RULE)
    assert found.answer == Answer.INCONCLUSIVE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"smallest": -1.0}, "task.rule.smallest=-1.0"),
        ({"confidence": 1.0}, "task.rule.confidence=1.0"),
        ({"worst_grade": "E"}, "task.rule.worst_grade=E: allowed are A, B, C, D"),
        ({"processes": 2}, "task.rule.processes=2"),
        ({"extra": 1}, "needs smallest"),
    ],
)
def test_a_rule_that_is_none(change: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        rule_from(RULE.__dict__ | change)
