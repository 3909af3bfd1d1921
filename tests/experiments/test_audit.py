"""Audits of records with round numbers, and of networks whose papers say what they obey."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from audited import THRESHOLDS, counted_record, pointwise
from made import record
from variants import variant

from benchbench.cases import Case
from benchbench.errors import NoEvidence, UserError
from benchbench.experiments.audit import Audit, judge, span, thresholds_of, worst_layers
from benchbench.experiments.sayings import (
    OTHERS,
    SAYINGS,
    SHUFFLENET_V2,
    Claim,
    Saying,
    Standing,
    judge_sayings,
)
from benchbench.measure import Measured
from benchbench.measurements import Measurement, exact


def values(audit: Audit) -> list[float | None]:
    return [score.value for score in audit.scores]


def test_shares_of_the_scored_convolutions(case: Callable[..., Case]) -> None:
    """4 to 16: 400 + 1600 + 64 bytes, (40 - 20)^2 too many. 8 to 8 in 4 groups: 1600 + 16 bytes,
    half of the 1600 too many. Depthwise and the one-pixel map: apart."""
    rows = [
        pointwise("unequal", 4, 16),
        pointwise("grouped", 8, 8, groups=4),
        pointwise("depthwise", 9, 9, groups=9),
        pointwise("gate", 4, 64, side=1),
    ]
    audit = judge(counted_record(case(), convolutions=rows), THRESHOLDS)
    total = (400 + 1600 + 64) + (1600 + 16) + (1800 + 9)
    assert audit.scored_bytes == total
    assert audit.terms.g1 == 400
    assert audit.terms.g2 == 800
    assert audit.depthwise == (600 + 9, 0, 1200)  # a third of 1800 would do: sqrt(9) is 3
    assert values(audit)[:2] == pytest.approx([400 / total, 800 / total])
    assert [row.layer for row in audit.unscored] == ["gate"]
    assert [audit.violates(name) for name in ("G1", "G2")] == [True, True]


def test_a_value_at_its_threshold_obeys(case: Callable[..., Case]) -> None:
    """Four operations a block on average are not over 4."""
    blocks = [("a", "Block", 5, 0, 1), ("b", "Block", 2, 1, 0)]
    audit = judge(counted_record(case(), blocks=blocks), THRESHOLDS)
    assert values(audit)[2] == 4
    assert audit.scores[2].violated is False
    stricter = judge(counted_record(case(), blocks=blocks), THRESHOLDS | {"g3_operations": 3.9})
    assert stricter.violates("G3") is True


def test_what_is_not_known_is_neither_obeyed_nor_violated(case: Callable[..., Case]) -> None:
    audit = judge(counted_record(case()), THRESHOLDS)
    assert values(audit) == [None] * 5
    assert audit.violates("G1") is audit.violates(None) is None
    assert audit.broken == ()
    assert not audit.known


def test_g4_is_what_moves_beside_what_multiplies(case: Callable[..., Case]) -> None:
    """A mean reduces, a joined relu starts nothing: 30 + 20 beside 150 + 50."""
    operators = [
        ("convolution", 1, 9, 150, []),
        ("relu_", 0, 0, 999, [0]),
        ("mean", 1, 0, 70, [1]),
        ("mul_", 1, 0, 30, [1, 2]),
        ("cat", 1, 0, 20, [3]),
        ("addmm", 1, 9, 50, [4]),
    ]
    audit = judge(counted_record(case(), operators=operators), THRESHOLDS)
    assert values(audit)[4] == pytest.approx(50 / 200)
    assert [(kernel.bytes, name) for kernel, name in audit.moving] == [(30, "mul_"), (20, "cat")]
    assert audit.matrix_bytes == 200


@pytest.mark.parametrize(
    ("costs", "waits", "expected"),
    [
        ([1, 2, 3], [[], [0], [1]], 6),  # a chain
        ([1, 2, 3], [[], [], []], 3),  # all at once
        ([1, 5, 2, 1], [[], [0], [0], [1, 2]], 7),  # a diamond, along its longer side
        ([1, 1, 4, 1], [[], [0], [], [1, 2]], 5),  # the late branch is the longer one
        ([], [], 0),
    ],
)
def test_the_span_is_the_most_expensive_path(
    costs: list[float], waits: list[list[int]], expected: float
) -> None:
    assert span(costs, waits) == expected


# Two branches side by side. Computing and moving weigh otherwise than bytes + multiply-adds do.
FORKED = [
    ("convolution", 1, 100, 10, []),
    ("convolution", 1, 10, 100, []),
    ("add", 0, 0, 60, [0, 1]),
]
ROOFS = (
    Measurement("peak_multiply_adds", samples=((100.0,),)),
    Measurement("peak_bandwidth", samples=((50.0,),)),
    Measurement("launch_cost", samples=((1.1,),)),
)


def test_work_over_span_is_counted_where_no_roofs_are_known(case: Callable[..., Case]) -> None:
    """110 and 110 side by side: 220 of work, 110 of path."""
    audit = judge(counted_record(case(), operators=FORKED), THRESHOLDS)
    assert audit.parallelism is not None
    assert audit.parallelism == (pytest.approx(2.0), "bytes + multiply-adds")
    assert audit.small_launches is None
    assert audit.violates("G3") is True


def test_work_over_span_at_the_roofs(case: Callable[..., Case]) -> None:
    """1 s and 2 s side by side. Launches take 1, 2 and 1.2 s; an empty one 1.1 s."""
    audit = judge(counted_record(case(), *ROOFS, operators=FORKED), THRESHOLDS)
    assert audit.parallelism is not None
    assert audit.parallelism == (pytest.approx(1.5), "seconds at the measured roofs")
    assert audit.small_launches == pytest.approx(1 / 3)


def test_the_worst_layers_are_those_with_most_excess_together(case: Callable[..., Case]) -> None:
    rows = [
        pointwise("one", 4, 36),  # (60 - 20)^2 = 1600
        pointwise("first", 4, 16, side=15),  # 225 / 100 x 400 = 900, twice
        pointwise("second", 4, 16, side=15),
        pointwise("equal", 64, 64),
        *(pointwise(f"small {n}", 4, 9 + n) for n in range(5)),
    ]
    paper = counted_record(case(), convolutions=rows)["memory_access_paper"]
    found = worst_layers(paper)["G1"]
    assert [alike.layers for alike in found[:2]] == [("first", "second"), ("one",)]
    assert [alike.excess for alike in found[:2]] == [1800, 1600]
    assert len(found) == 5
    assert worst_layers(paper)["G2"] == ()


def test_a_record_from_before_convolutions_were_listed_is_no_evidence(
    case: Callable[..., Case],
) -> None:
    old = counted_record(case())
    without = replace(old, measurements=(exact("memory_access_paper", 1), exact("launches", 1)))
    with pytest.raises(NoEvidence, match=f"record {old.id} of mobilenet_v2 has no list"):
        judge(without, THRESHOLDS)
    with pytest.raises(NoEvidence, match="count it anew"):
        judge(replace(old, measurements=(exact("params", 1),)), THRESHOLDS)


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ({**THRESHOLDS, "g5": 1.0}, "g5"),
        ({"g1": 0.05}, "g2"),
        ({**THRESHOLDS, "g4": -1.0}, r"task\.rule\.g4=-1\.0: must be a number from 0 on"),
        ({**THRESHOLDS, "g4": "a little"}, "g4=a little: must be a number"),
        ({**THRESHOLDS, "g4": float("nan")}, "g4=nan: must be a number from 0 on"),
    ],
)
def test_thresholds_are_all_there_or_refused(thresholds: Mapping[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        thresholds_of(thresholds)
    assert thresholds_of(THRESHOLDS) == THRESHOLDS


@pytest.fixture(scope="module")
def counted() -> dict[str, Audit]:
    from benchbench.profilers.complexity import complexity

    audits = {}
    for name in ("shufflenet_v2_x1_0", "shufflenet_v1_g3_x1_0", "mobilenet_v2"):
        case = variant(name, "profiler=complexity")
        measured = Measured(
            case, {"machine": {"cpu": "Imaginary CPU"}}, list(complexity(case).measurements)
        )
        audits[name] = judge(record(measured, task="audit"), THRESHOLDS)
    return audits


def test_networks_break_what_the_paper_says_they_break(counted: dict[str, Audit]) -> None:
    """Section 2: ShuffleNetV1 against G1 and G2, MobileNetV2 against G1; section 3: V2 neither."""
    v2, v1, mobilenet = counted.values()
    assert {"G1", "G2"} <= set(v1.broken)
    assert "G1" in mobilenet.broken
    assert not {"G1", "G2"} & set(v2.broken)
    assert v2.violates("G3") is False


# Sayings.


def network(case: Callable[..., Case], name: str, *broken: str) -> Audit:
    """An audit that breaks these."""
    audit = judge(counted_record(case(name=name)), THRESHOLDS)
    scores = [
        score._replace(value=1e3 if score.guideline in broken else 0.0) for score in audit.scores
    ]
    return audit._replace(scores=tuple(scores))


def standings(audits: Sequence[Audit]) -> dict[str, Standing]:
    return {judged.saying.text: judged.standing for judged in judge_sayings(audits)}


def test_sayings_are_confirmed_where_all_their_claims_hold(case: Callable[..., Case]) -> None:
    everything = ("G1", "G2", "G3", "G4")
    audits = [network(case, name, *everything) for name in OTHERS]
    found = standings([*audits, network(case, SHUFFLENET_V2)])
    assert found.pop("all break G4") is Standing.OVERTURNED  # ShuffleNetV2 does not
    assert set(found.values()) == {Standing.CONFIRMED}


def test_one_claim_overturns_a_saying_whatever_is_missing(case: Callable[..., Case]) -> None:
    """MobileNetV3 breaks G1 alone; of MobileNetV1 it is enough that it breaks nothing."""
    audits = [network(case, "mobilenet_v3_large", "G1"), network(case, "mobilenet_v1")]
    found = standings(audits)
    assert found["MobileNetV3 breaks G1 and G3"] is Standing.OVERTURNED
    assert found["all but ShuffleNetV2 break something"] is Standing.OVERTURNED
    assert found["all break G4"] is Standing.OVERTURNED
    assert found["MobileNetV2 breaks G1"] is Standing.NO_EVIDENCE


def test_a_network_that_was_not_audited_is_named(case: Callable[..., Case]) -> None:
    saying = Saying("both", (Claim("here", "G1"), Claim("elsewhere", "G1")))
    (judged,) = judge_sayings([network(case, "here", "G1")], [saying])
    assert judged.standing is Standing.NO_EVIDENCE
    assert judged.missing == (Claim("elsewhere", "G1"),)
    (unknown,) = judge_sayings([judge(counted_record(case(name="here")), THRESHOLDS)], [saying])
    assert len(unknown.missing) == 2


def test_shufflenet_v2_may_break_nothing(case: Callable[..., Case]) -> None:
    audits = [network(case, name, "G1") for name in OTHERS]
    found = standings([*audits, network(case, SHUFFLENET_V2, "G4")])
    assert found["all but ShuffleNetV2 break something"] is Standing.OVERTURNED


def test_sayings_are_of_networks_that_there_are() -> None:
    from variants import NAMES

    assert {claim.network for saying in SAYINGS for claim in saying.claims} <= set(NAMES)
