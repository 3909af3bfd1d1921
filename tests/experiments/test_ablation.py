"""Ablations of records with planted effects, and the networks that an ablation lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from math import exp, log, prod
from pathlib import Path
from typing import Any

import pytest
from made import in_turn, record
from rich.console import Console

from benchbench.cases import Case
from benchbench.errors import NoEvidence, UserError
from benchbench.experiments.ablation import Ablation, judge, score
from benchbench.experiments.ablation_design import FACTORS, cases
from benchbench.measure import Measured
from benchbench.measurements import Measurement, exact
from benchbench.records import Record
from benchbench.report.ablation import ablation_tables
from benchbench.report.ablation_document import ablation_document, ablation_rows
from benchbench.report.ablation_pictures import draw, edit_bars, save, shapley_bars

# Process by process the machine is slower for all; ratios hold still to 0.1 %.
MACHINE = (1.0, 1.4, 1.1, 0.9, 1.2)
WOBBLE = (0.999, 1.0, 1.001, 1.0, 1.0)
WORK = 100_000_000  # the base's multiply-adds
Make = Callable[..., Record]


@pytest.fixture
def made(case: Callable[..., Case]) -> Make:
    """A network of an ablation: its time over the base's 10 ms, and its work."""

    def make(
        label: str,
        ratio: float,
        *,
        work: float = 1.0,
        predicted: float = 1.0,
        runtime: str = "eager",
        wobble: Sequence[float] = WOBBLE,
        session: str = "S",
        **axes: Any,
    ) -> Record:
        role = {"base": "base", "base again": "again"}.get(label, "edit")
        edits = [] if role != "edit" else label.split(" + ")
        known = {
            "design": "edits",
            "network": "net",
            "factors": list(FACTORS),
            "label": label,
            "role": role,
            "edits": edits,
            "text": "what it is",
            "note": "",
            "compensator": "width",
            "factor": 1.1,
            "moved": -0.2,
            "miss": work - 1,
        }
        times = [[0.01 * ratio * a * b] * 4 for a, b in zip(MACHINE, wobble, strict=True)]
        measured = Measured(
            case(name=f"net, {label}", runtime=runtime, turn=runtime, axes={**known, **axes}),
            {"machine": {"cpu": "Imaginary CPU"}},
            [
                exact("params", 1000),
                exact("multiply_adds", round(WORK * work)),
                exact("memory_access_fused", 10**6),
                exact("launches", 100),
                Measurement("predicted_latency", samples=((0.008 * predicted,),)),
                in_turn(times, epoch_rounds=[2, 2]),
            ],
        )
        return record(measured, task="ablation", session=session, command="python -m benchbench")

    return make


@pytest.fixture
def edits(made: Make) -> list[Record]:
    return [
        made("base", 1.0, wobble=(1.0,) * 5),
        made("base again", 1.0),
        made("no_se", 0.8, work=0.98, predicted=0.7),
        made("eca", 1.002),
        made("grouped_4", 1.3, work=1.04, predicted=0.9),
    ]


def rows(result: Ablation) -> dict[str, Any]:
    return {row.label: row for row in result.ways[0].rows}


def test_edits_are_judged_per_multiply_add(edits: list[Record]) -> None:
    """0.8 of the time for 0.98 of the work; the ratio as measured stands beside it."""
    found = rows(judge(edits, theta=0.01))
    assert list(found) == ["no_se", "eca", "grouped_4"]
    assert found["no_se"].raw.ratio == pytest.approx(0.8)
    assert found["no_se"].verdict.ratio == pytest.approx(0.8 / 0.98)
    assert found["no_se"].verdict.low < 0.8 / 0.98 < found["no_se"].verdict.high
    assert found["no_se"].predicted == pytest.approx(0.7 / 0.98)
    assert found["grouped_4"].verdict.ratio == pytest.approx(1.3 / 1.04)
    answers = {label: str(row.verdict.answer) for label, row in found.items()}
    assert answers == {"no_se": "FASTER", "eca": "SAME", "grouped_4": "SLOWER"}


def test_a_miss_alone_is_no_effect(made: Make) -> None:
    """3 % slower with 3 % more work."""
    found = rows(judge([made("base", 1.0), made("dw3", 1.03, work=1.03)], theta=0.01))
    assert str(found["dw3"].raw.answer) == "SLOWER"
    assert str(found["dw3"].verdict.answer) == "SAME"


def test_the_base_against_itself_raises_what_counts(edits: list[Record], made: Make) -> None:
    """2 % where there is nothing: below 4 % nothing counts any more."""
    small = made("relu6", 0.97)
    quiet = judge([*edits, small], theta=0.01)
    assert str(rows(quiet)["relu6"].verdict.answer) == "FASTER"
    assert quiet.ways[0].theta == 0.01
    noisy = judge([edits[0], made("base again", 1.02), *edits[2:], small], theta=0.01)
    assert noisy.ways[0].theta == pytest.approx(2 * log(1.02), rel=1e-4)
    assert str(rows(noisy)["relu6"].verdict.answer) == "SAME"
    assert str(rows(noisy)["no_se"].verdict.answer) == "FASTER"
    assert "NOT within 1 %" in text_of(noisy)
    assert ", within 1 %" in text_of(quiet)


def test_the_prediction_is_scored_on_what_is_known(edits: list[Record]) -> None:
    """Of no_se and grouped_4 it has one sign; off by 0.8/0.7 and by 1.3/0.9, in the middle."""
    result = judge(edits, theta=0.01)
    found = score(result.ways[0])
    assert found is not None
    assert (found.edits, found.same_sign) == (2, 1)
    assert found.error == pytest.approx(exp((log(0.8 / 0.7) + log(1.3 / 0.9)) / 2) - 1)


def test_runtimes_are_judged_apart(edits: list[Record], made: Make) -> None:
    other = [
        made("base", 3.0, runtime="onnxruntime", wobble=(1.0,) * 5),
        made("no_se", 3.3, runtime="onnxruntime"),
    ]
    result = judge([*edits, *other], theta=0.01)
    assert [way.label for way in result.ways] == ["eager", "onnxruntime"]
    (row,) = result.ways[1].rows
    assert row.verdict.ratio == pytest.approx(1.1)
    assert result.ways[1].again is None


def test_other_records_are_no_ablation(edits: list[Record], made: Make) -> None:
    with pytest.raises(NoEvidence, match="no records of one task=ablation"):
        judge([*edits, made("eca", 1.0, session="T")], theta=0.01)
    with pytest.raises(NoEvidence, match="no records of one task=ablation"):
        judge([made("base", 1.0, design="something else")], theta=0.01)
    with pytest.raises(NoEvidence, match="was not timed in turn"):
        judge([replace(one, measurements=one.measurements[:4]) for one in edits], theta=0.01)
    with pytest.raises(NoEvidence, match="the base is not among the records"):
        judge(edits[1:], theta=0.01)


MAIN = dict(zip(FACTORS, (0.75, 0.98, 1.05, 0.96, 0.99), strict=True))


def factorial(
    made: Make, *, triple: float = 1.0, work: Callable[[list[str]], float] = lambda _: 1.0
) -> list[Record]:
    """32 networks: each edit's factor, 4 % beyond both for two of them, and one for three.

    The time grows with the work. The probes foretell the single edits alone.
    """
    records = [made("base again", 1.0, design="factorial")]
    for cell in range(32):
        edits = [name for bit, name in enumerate(FACTORS) if cell >> bit & 1]
        own = prod(MAIN[name] for name in edits)
        both = 1.04 if {"no_se", "relu6"} <= set(edits) else 1.0
        third = triple if {"no_se", "relu6", "dw3"} <= set(edits) else 1.0
        label = " + ".join(edits) or "base"
        times = own * both * third * work(edits)
        foretold = own * work(edits)
        records.append(made(label, times, work=work(edits), predicted=foretold, design="factorial"))
    return records


def test_a_factorial_is_shared_out(made: Make) -> None:
    """An extra factor of two edits is shared between them, half each by Shapley's values."""
    (way,) = judge(factorial(made), theta=0.01).ways
    assert way.shared is not None
    assert way.shared.factors == FACTORS
    shapley = [effect.value for effect in way.shared.measured.shapley]
    halves = (log(1.04) / 2, log(1.04) / 2, 0, 0, 0)
    expected = [log(MAIN[name]) + half for name, half in zip(FACTORS, halves, strict=True)]
    assert shapley == pytest.approx(expected, abs=1e-4)
    total = log(prod(MAIN.values()) * 1.04)
    assert way.shared.measured.total.value == pytest.approx(total, abs=1e-4)
    assert sum(shapley) == pytest.approx(way.shared.measured.total.value)
    pairs = {effect.factors: effect.value for effect in way.shared.measured.pairs}
    assert pairs[0, 1] == pytest.approx(log(1.04) / 2, abs=1e-4)
    assert way.shared.measured.share == pytest.approx(1, abs=1e-6)
    assert way.shared.predicted is not None
    foretold = [effect.value for effect in way.shared.predicted.shapley]
    assert foretold == pytest.approx([log(MAIN[name]) for name in FACTORS])


def test_a_factorial_is_of_latency_per_multiply_add(made: Make) -> None:
    """Whatever the compensator misses, time that only follows the work is nobody's effect."""
    records = factorial(made, work=lambda edits: 0.97 if "dw3" in edits else 1.0)
    (way,) = judge(records, theta=0.01).ways
    assert way.shared is not None
    at = FACTORS.index("dw3")
    assert way.shared.measured.main[at].value == pytest.approx(log(0.96), abs=1e-4)
    assert way.shared.raw.main[at].value == pytest.approx(log(0.96 * 0.97), abs=1e-4)
    assert way.shared.predicted is not None
    assert way.shared.predicted.main[at].value == pytest.approx(log(0.96))


def test_what_pairs_do_not_explain_is_named(made: Make) -> None:
    explained = text_of(judge(factorial(made), theta=0.01))
    assert "explain 100.00 % of the variance" in explained
    assert "what else goes on" not in explained
    text = text_of(judge(factorial(made, triple=1.5), theta=0.01))
    assert "what else goes on, the largest first:" in text
    after = text.split("the largest first:\n")[-1]
    assert after.strip().startswith("no_se x relu6 x dw3 +")


def test_a_factorial_with_a_hole_has_no_attribution(made: Make) -> None:
    (way,) = judge(factorial(made)[:-1], theta=0.01).ways
    assert way.shared is None
    assert len(way.rows) == 30


def text_of(result: Ablation) -> str:
    console = Console(markup=False, file=StringIO(), width=140)
    for part in ablation_tables(result, "no selftest", "a/folder"):
        console.print(part, soft_wrap=not hasattr(part, "columns"))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_the_tables_of_an_ablation(edits: list[Record]) -> None:
    text = text_of(judge(edits, theta=0.01))
    assert "3 edits of net on cpu (Imaginary CPU)" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert any(
        line.startswith("no_se width 1.100 -20.0 % -2.00 % 1,000 1.000 MB") for line in lines
    )
    (timed,) = (line for line in lines if line.startswith("no_se 8."))
    milliseconds = 8 * prod(MACHINE) ** (1 / 5)  # the geometric mean of the processes
    assert timed.startswith(f"no_se {milliseconds:.3f} ms 0.800 0.816 ")
    assert " 0.714 FASTER " in timed
    assert "has the sign of 1 of 2 known effects" in text
    assert "misses by up to +4.0 % (grouped_4)" in text
    assert "folder  a/folder" in text
    assert "repeat  python -m benchbench" in text


def test_the_document_and_rows_of_an_ablation(made: Make, edits: list[Record]) -> None:
    result = judge(edits, theta=0.01)
    document = ablation_document(result, "no selftest", None)
    json.dumps(document, allow_nan=False)
    assert (document["task"], document["model"], document["ablation"]) == (
        *("ablation", "net"),
        "edits",
    )
    (way,) = document["ways"]
    assert way["again"]["ratio"] == pytest.approx(1)
    assert way["edits"][0]["per_multiply_add"]["verdict"] == "FASTER"
    assert way["edits"][0]["as_measured"]["ratio"] == pytest.approx(0.8)
    assert way["factorial"] is None
    table = ablation_rows(result)
    assert [row["edit"] for row in table] == ["base", "no_se", "eca", "grouped_4"]
    assert len({tuple(row) for row in table}) == 1  # the same columns in all
    assert table[1]["work"] == pytest.approx(0.98)
    document = ablation_document(judge(factorial(made), theta=0.01), "no selftest", None)
    json.dumps(document, allow_nan=False)
    found = document["ways"][0]["factorial"]
    assert found["factors"] == list(FACTORS)
    assert len(found["measured"]["higher"]) == 16


def test_the_pictures_of_an_ablation(made: Make, edits: list[Record], tmp_path: Path) -> None:
    result = judge(edits, theta=0.01)
    bars = {bar.name: bar for bar in edit_bars(result.ways[0])}
    assert set(bars) == {"no_se", "eca", "grouped_4", "base again"}
    assert bars["no_se"].value == pytest.approx(log(0.8 / 0.98))
    assert bars["no_se"].predicted == pytest.approx(log(0.7 / 0.98))
    axes = draw(result).axes[0]
    assert axes.get_yticklabels()[0].get_text() == "no_se"  # the fastest
    folder = save(result, tmp_path / "runs")
    assert {file.name for file in folder.iterdir()} == {"effects.png", "effects.svg"}
    assert save(result, tmp_path / "runs") == folder  # judged again
    shared = judge(factorial(made), theta=0.01)
    (first, *_) = sorted(shapley_bars(shared.ways[0]), key=lambda bar: bar.value)
    assert first.name == "no_se"
    assert (save(shared, tmp_path / "runs") / "shapley_values.png").exists()


def test_an_ablation_lists_every_edit_that_applies(case: Callable[..., Case]) -> None:
    """MobileNetV2 has neither squeeze-excite nor 5x5: 13 edits, and two more compensators."""
    eager, other = case(), case(runtime="onnxruntime")
    listed = cases(eager, [other], "edits")
    assert [one.turn for one in listed] == ["eager"] * 17 + ["onnxruntime"] * 17
    labels = [one.axes["label"] for one in listed[:17]]
    assert labels[:3] == ["base", "base again", "hard_swish"]
    assert labels[-2:] == ["expansion_3, by depth", "expansion_3, by resolution"]
    by_label = {one.axes["label"]: one for one in listed[:17]}
    assert by_label["base"].arguments == by_label["base again"].arguments
    assert by_label["hard_swish"].axes["compensator"] == "none"
    assert by_label["fused_late"].axes["factor"] < 1
    assert "not accuracy-matched" in by_label["fused_late"].axes["note"]
    assert "a different block" in by_label["expansion_1"].axes["note"]
    assert by_label["expansion_3, by resolution"].resolution > 64
    for mine, theirs in zip(listed[:17], listed[17:], strict=True):
        assert replace(mine, runtime="onnxruntime", turn="onnxruntime") == theirs
    json.dumps([dict(one.axes) for one in listed])


def test_a_factorial_lists_every_combination(case: Callable[..., Case]) -> None:
    b0 = case(name="b0", target="architectures.efficientnet.EfficientNet", resolution=32)
    listed = cases(b0, [], "factorial")
    assert len(listed) == 33
    combinations = {frozenset(one.axes["edits"]) for one in listed}
    assert len(combinations) == 32
    assert frozenset(FACTORS) in combinations
    assert all(one.axes["factors"] == list(FACTORS) for one in listed)
    small = cases(case(), [], "factorial")  # of the five, two apply to MobileNetV2
    assert [one.axes["label"] for one in small] == [
        *("base", "base again", "expansion_3", "no_residual"),
        "expansion_3 + no_residual",
    ]


def test_other_networks_and_weights_are_refused(case: Callable[..., Case]) -> None:
    with pytest.raises(UserError, match="variants of efficientnet, mobilenet_v2, mobilenet_v3"):
        cases(case(name="r", target="architectures.resnet.ResNet"), [], "edits")
    with pytest.raises(UserError, match="weights=w: an edited network has no trained"):
        cases(case(weights="w"), [], "edits")
