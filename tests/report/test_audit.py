"""An audit as people and programs read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from audited import THRESHOLDS, counted_record, pointwise, swapped
from rich.console import Console, RenderableType

from benchbench.cases import Case
from benchbench.experiments.audit import Audit, judge
from benchbench.experiments.swaps import judge_swaps
from benchbench.report.audit import audit_document, audit_rows, audit_tables

OPERATORS = [
    ("convolution", 1, 100, 3000, []),
    ("mean", 1, 0, 70, [0]),
    ("mul_", 1, 0, 600, [0, 1]),
]
BLOCKS = [("stages.0", "Bottleneck", 5, 0, 1), ("stages.1", "Bottleneck", 3, 1, 0)]


def audit(case: Case) -> Audit:
    """4 to 16 on 100 positions: 2064 bytes, 400 of them too many; beside it a gate."""
    rows = [pointwise("first", 4, 16), pointwise("gate", 4, 64, side=1)]
    made = counted_record(case, convolutions=rows, operators=OPERATORS, blocks=BLOCKS)
    return judge(made, THRESHOLDS)


def text(parts: Sequence[RenderableType]) -> str:
    console = Console(markup=False, width=140, record=True)
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def test_the_scorecard_of_one_network(case: Callable[..., Case]) -> None:
    shown = text(audit_tables([audit(case())], []))
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    paper = "excess, of the scored convolutions' memory access, paper"
    assert f"G1 {paper} 19.4 % 5.0 % VIOLATED" in lines  # 400 / 2064
    assert f"G2 {paper} 0.0 % 5.0 % obeyed" in lines
    assert "G3 convolutions and pools a block, mean 4.500 4.000 VIOLATED" in lines
    assert "G3 work / critical path 1.000 1.100 obeyed" in lines
    assert any(line.startswith("G4 ") and line.endswith("20.0 % 10.0 % VIOLATED") for line in lines)
    assert "blocks: 2 Bottleneck; most operations in one: 5, stages.0" in lines
    assert "were a mean over the map a pool too, a block would have 5.00 on average" in lines
    assert "excess of unequal widths, G1 400 19.4 %" in lines
    assert "total 2,064" in lines
    assert "G1 first 4 to 16, 1x1, 10x10 1 400.0 B 19.4 %" in lines
    assert "x mul_ 600.0 B 20.0 %" in lines
    assert "repeat python -m benchbench" in lines


def test_what_a_violation_costs(case: Callable[..., Case]) -> None:
    """1.1667 of 3.75 ms, as in the test of the costs."""
    network, *pair = swapped(case())
    shown = text(audit_tables([audit(network.case)], judge_swaps([network, *pair])))
    (line,) = [one for one in shown.splitlines() if "16 to 96" in one and "40 to 40" in one]
    assert "+20.0 %" in line
    assert "+4.375" in line
    assert "+3.8 %" in line
    assert "another" in line
    assert "the cost is the library's as much as the widths'" in shown


def test_several_networks_and_what_is_said_of_them(case: Callable[..., Case]) -> None:
    audits = [audit(case(name="mobilenet_v2")), audit(case(name="efficientnet_b0"))]
    shown = text(audit_tables(audits, []))
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "mobilenet_v2 19.4 %! 0.0 % 0.0 % 4.500! 5 5.00 1.000 20.0 %! G1, G3, G4" in lines
    said = "MobileNetV2 breaks G1 CONFIRMED mobilenet_v2: G1 19.4 % > 5.0 % arXiv:1807.11164"
    assert any(line.startswith(said) for line in lines)
    assert any("no evidence not audited: shufflenet_v1_g3_x1_0" in line for line in lines)
    thresholds = (
        "thresholds: G1 5.0 %, G2 5.0 %, G3 4.000 operations a block and 1.100 work / path, "
        "G4 10.0 %"
    )
    assert thresholds in lines


@pytest.mark.parametrize(
    ("target", "stands"), [("architectures.efficientnet.EfficientNet", True), ("x.Y", False)]
)
def test_where_efficientnet_stands(case: Callable[..., Case], target: str, stands: bool) -> None:
    audits = [audit(case(name="one", target=target)), audit(case(target="x.Y"))]
    shown = text(audit_tables(audits, []))
    assert ("one breaks G1, G3, G4 and obeys G2" in shown) is stands


def test_the_document_is_json_and_says_all(case: Callable[..., Case]) -> None:
    network, *pair = swapped(case())
    swaps = judge_swaps([network, *pair])
    document = json.loads(json.dumps(audit_document([audit(case())], swaps), allow_nan=False))
    assert (document["schema_version"], document["task"]) == (1, "audit")
    (found,) = document["audits"]
    assert found["breaks"] == ["G1", "G3", "G4"]
    assert found["memory_access_paper"] == {
        "scored": 2064,
        "bound": 1664,
        "g1_excess": 400,
        "g2_excess": 0,
        "depthwise": {"bound": 0, "g1": 0, "g2": 0},
    }
    assert found["unscored"] == ["gate"]
    assert found["worst"]["G1"][0]["layers"] == ["first"]
    assert found["worst"]["G1"][0]["kernel_size"] == [1, 1]
    assert [score["violated"] for score in found["scores"]] == [True, False, True, False, True]
    (swap,) = document["swaps"]
    assert swap["compliant"] == {"in_channels": 40, "out_channels": 40, "groups": 1}
    low, high = swap["cost"]["ci"]
    assert low < swap["cost"]["value"] < high
    assert {saying["standing"] for saying in document["sayings"]} == {"CONFIRMED", "no evidence"}


def test_a_row_is_a_score(case: Callable[..., Case]) -> None:
    rows: list[dict[str, Any]] = audit_rows([audit(case())])
    assert [row["guideline"] for row in rows] == ["G1", "G2", "G3", "G3", "G4"]
    assert rows[0]["value"] == pytest.approx(400 / 2064)
    assert [row["verdict"] for row in rows[:2]] == ["VIOLATED", "obeyed"]
