"""Planted records, as a run would keep them: each gets exactly the verdict of the rule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planted import AXES, OPTIONS, Plant, Slowdown, ladder, printed, steps, verdicts

from benchbench.experiments.guidelines.judge import judge
from benchbench.experiments.guidelines.ladders import (
    BASE,
    COPY,
    Rung,
    extended_rungs,
    reproduction_rungs,
    with_copy,
)
from benchbench.measurements import Measurement
from benchbench.report.guideline_document import guideline_document


@pytest.mark.parametrize("guideline", AXES)
@pytest.mark.parametrize(
    ("slowdown", "answer", "why"),
    [
        (steps(1.1, 1.2, 1.3), "SUPPORTED", ""),
        (steps(1.0, 1.0, 1.0), "REFUTED", "no effect"),
        (steps(0.9, 0.85, 0.8), "REFUTED", "reversed"),
    ],
)
def test_support_no_effect_and_reversal(
    plant: Plant, guideline: str, slowdown: Slowdown, answer: str, why: str
) -> None:
    found = verdicts(judge(plant(ladder(guideline), slowdown)))
    assert tuple(found) == AXES[guideline]
    assert {(v.decision.answer, v.decision.why) for v in found.values()} == {(answer, why)}


@pytest.mark.parametrize("guideline", AXES)
def test_scales_that_disagree(plant: Plant, guideline: str) -> None:
    def slowdown(rung: Rung) -> float:
        return steps(1.2, 1.3, 1.4)(rung) if rung.scale != "x4" else 1.0

    for verdict in verdicts(judge(plant(ladder(guideline), slowdown))).values():
        assert verdict.decision.answer == "INCONCLUSIVE"
        assert verdict.decision.why == "scales disagree: slower at x1, x2, not at x4"


@pytest.mark.parametrize("guideline", AXES)
def test_unequal_multiply_adds(plant: Plant, guideline: str) -> None:
    """What takes 20 % longer because it does 20 % more is none of the guideline's business."""

    def more(rung: Rung) -> float:
        return 1.0 if rung.axis in (BASE, COPY) else 1.2

    records = plant(ladder(guideline), steps(1.2, 1.2, 1.2), work=more)
    for verdict in verdicts(judge(records)).values():
        assert verdict.decision.answer == "INCONCLUSIVE"
        assert "multiply-adds differ by 20 % at x1" in verdict.decision.why
        assert verdict.decision.effect == pytest.approx(0, abs=0.006)


@pytest.mark.parametrize("guideline", AXES)
def test_mixed_kernels(plant: Plant, guideline: str) -> None:
    def kernel(rung: Rung) -> str:
        return "slow" if rung.last and rung.scale == "x2" else "brgemm"

    records = plant(ladder(guideline), steps(1.2, 1.3, 1.4), kernel=kernel)
    for verdict in verdicts(judge(records)).values():
        assert verdict.decision.answer == "INCONCLUSIVE"
        assert verdict.decision.why == "other kernels run on other rungs at x2: brgemm, slow"


@pytest.mark.parametrize("guideline", AXES)
def test_a_bad_grade(plant: Plant, guideline: str) -> None:
    """A load of 9 on two cores allows a B; 5 % of drift of the probe does not."""
    good = plant(ladder(guideline), steps(1.2, 1.3, 1.4), load=9.0)
    assert {r.quality.grade for r in good} == {"B"}
    assert {v.decision.answer for v in verdicts(judge(good)).values()} == {"SUPPORTED"}
    graded = [replace(r, quality=replace(r.quality, grade="C")) for r in good]
    for verdict in verdicts(judge(graded)).values():
        assert (verdict.decision.answer, verdict.decision.why) == ("INCONCLUSIVE", "quality is C")


def test_padding_is_told_where_vectors_are_wider_than_channels(plant: Plant) -> None:
    """16 channels a group fill half a vector of bf16: (32 / 16)^2 the work, at the first scale.

    32 and 64 channels, those of the others, fill whole ones; so do G1's last and first rungs at
    all scales, while its (48, 192) between them does not.
    """
    for guideline, precision, padding in (
        ("g2", "fp32", 0.0),
        ("g2", "bf16", 4 ** (1 / 3) - 1),
        ("g1", "bf16", 0.0),
    ):
        records = plant(ladder(guideline), steps(1.1, 1.2, 1.3), precision=precision)
        result = judge(records)
        (found,) = verdicts(result).values()
        assert (found.decision.answer, found.padding) == ("SUPPORTED", pytest.approx(padding))
        (cell,) = guideline_document(result, None)["cells"]
        assert cell["verdicts"][0]["padding"] == pytest.approx(padding)
        told = "mean over scales: G2 groups +59 %"
        assert (told in printed(result)) is (padding > 0)


def test_the_probes_are_scored(plant: Plant) -> None:
    """The planted prediction is the planted time: right, and off by the noise alone."""
    (found,) = verdicts(judge(plant(ladder("g2"), steps(1.1, 1.3)))).values()
    assert found.predicted == pytest.approx(0.3)
    assert found.agrees is True


def test_fewer_processes_than_the_rule_asks_for_decide_nothing(plant: Plant) -> None:
    """As after Ctrl-C: the first four of five."""

    def cut(one: Measurement) -> Measurement:
        processes = one.details.get("processes", ())[:4]
        return replace(one, samples=one.samples[:4], details={"processes": processes})

    records = [
        replace(
            record,
            measurements=tuple(
                cut(one) if one.metric == "latency" else one for one in record.measurements
            ),
        )
        for record in plant(ladder("g2"), steps(1.2, 1.4))
    ]
    (found,) = verdicts(judge(records)).values()
    assert found.decision.answer == "INCONCLUSIVE"
    assert "4 processes, and 5 are the fewest" in found.decision.why


def test_without_a_question_there_is_nothing_to_decide(plant: Plant) -> None:
    """The paper's own channels, and depthwise convolutions beside dense ones, get no verdict."""
    own = [rung for rung in reproduction_rungs("g1", "arm")[0] if rung.scale == "x1 arm"]
    dense = [rung for rung in extended_rungs("g2", OPTIONS["g2"]) if rung.scale == "x1"]
    result = judge(plant(with_copy(own) + with_copy(dense), steps(1.3, 1.3, 1.3)))
    assert not verdicts(result)
    assert result.decided
    assert "verdicts:" not in printed(result)
