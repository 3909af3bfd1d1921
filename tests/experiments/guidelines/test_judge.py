"""Planted records, as a run would keep them: each gets exactly the verdict of the rule."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from made import in_turn, record
from rich.console import Console

from benchbench import config
from benchbench.cases import Case
from benchbench.experiments.guidelines.judge import Result, Verdict, judge
from benchbench.experiments.guidelines.ladders import (
    BASE,
    COPY,
    Rung,
    extended_rungs,
    paper_notes,
    reproduction_rungs,
    verdict_rungs,
    with_copy,
)
from benchbench.experiments.guidelines.phase import effects, paper_effect
from benchbench.experiments.guidelines.rungs import paper_speed
from benchbench.measure import Measured
from benchbench.measurements import Measurement, exact
from benchbench.prediction import FUSED
from benchbench.profilers.complexity import complexity
from benchbench.records import Record
from benchbench.report.guideline_document import guideline_document, guideline_rows
from benchbench.report.guideline_pictures import save
from benchbench.report.guidelines import guideline_tables
from benchbench.store import Store

OPTIONS = config.guideline_settings()
RULE = {
    "smallest": 0.03,
    "noises": 2.0,
    "confidence": 0.95,
    "equal": 0.005,
    "worst_grade": "B",
    "processes": 5,
}
SETTINGS = {"task": {"name": "guidelines", "rule": RULE}, "guideline": OPTIONS}
NOISE = (0.9985, 0.999, 1.0, 1.001, 1.0015)
AXES = {
    "g1": ("widths",),
    "g2": ("groups",),
    "g3": ("series", "parallel, add", "parallel, concat"),
    "g4": ("ReLU", "shortcut", "ReLU and shortcut"),
}
Slowdown = Callable[[Rung], float]
Plant = Callable[..., list[Record]]


def steps(*factors: float) -> Slowdown:
    """A rung of step n takes so many times as long as the first."""
    return lambda rung: 1.0 if rung.axis in (BASE, COPY) else factors[rung.step - 1]


@pytest.fixture
def plant(case: Callable[..., Case]) -> Plant:
    counts: dict[str, list[Measurement]] = {}

    def make(rungs: list[Rung], slowdown: Slowdown, **changes: Any) -> list[Record]:
        return list(_records(case, counts, rungs, slowdown, **changes))

    return make


def _records(
    case: Callable[..., Case],
    counts: dict[str, list[Measurement]],
    rungs: list[Rung],
    slowdown: Slowdown,
    *,
    kernel: Callable[[Rung], str] = lambda _: "brgemm",
    load: float = 0.0,
    work: Callable[[Rung], float] = lambda _: 1.0,
) -> Iterator[Record]:
    for number, rung in enumerate(rungs):
        made = replace(
            case(target=rung.target, arguments=rung.arguments, resolution=56, name=rung.label),
            input_channels=rung.input_channels,
            turn=f"{rung.guideline} {rung.ladder} {rung.scale}",
            axes={key: getattr(rung, key) for key in _AXES},
        )
        counted = list(complexity(made).measurements)
        counted = [
            exact("multiply_adds", round(work(rung) * item.flat[0]))
            if item.metric == "multiply_adds"
            else item
            for item in counted
        ]
        seconds = 0.01 * slowdown(rung)
        # Rungs differ from process to process by the same noise in another order.
        medians = [seconds * NOISE[(place * 2 + number) % 5] for place in range(5)]
        latency = in_turn(
            [[median] * 40 for median in medians],
            epoch_rounds=[20, 20],
            probe=[0.001] * 40,
            sentinels={"load": load, "runnable": 0},
        )
        machine = {"machine": {"cpu": "made up", "logical_cores": 2}}
        kernels = exact("executed_kernels", 1, kernels=[["0", kernel(rung), 1]])
        foreseen = Measurement(
            "predicted_latency",
            samples=((seconds,),),
            details={"peak_multiply_adds": 8e10, "peak_bandwidth": 5e10, "launch_cost": 1e-6},
        )
        measured = Measured(made, machine, [*counted, latency, kernels, foreseen])
        yield record(measured, task="guidelines", settings=SETTINGS, session="planted", tag="made")


_AXES = ("guideline", "ladder", "scale", "axis", "step", "label", "setting", "last")


def ladder(guideline: str) -> list[Rung]:
    rungs = verdict_rungs(guideline, OPTIONS[guideline])
    scales = dict.fromkeys(rung.scale for rung in rungs)
    return [r for scale in scales for r in with_copy([r for r in rungs if r.scale == scale])]


def verdicts(result: Result) -> dict[str, Verdict]:
    (cell,) = result.cells
    return {verdict.axis: verdict for ladder in cell.ladders for verdict in ladder.verdicts}


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
    console = Console(width=140, record=True, file=StringIO())
    for part in guideline_tables(result, None):
        console.print(part)
    assert "verdicts:" not in console.export_text()


def test_alignment_is_named_where_padding_explains_it(plant: Plant) -> None:
    """Whole vectors show no effect; the paper's channels take as long as their padding says."""
    rungs = ladder("g1")
    narrow = [r for column in ("arm",) for r in reproduction_rungs("g1", column)[0]]
    scales = dict.fromkeys(rung.scale for rung in narrow)
    rungs += [r for scale in scales for r in with_copy([r for r in narrow if r.scale == scale])]
    plain = plant(rungs, steps(1.0, 1.0, 1.0))

    def padded(rung: Rung) -> float:
        own = next(r for r in plain if r.case.axes["label"] == rung.label)
        counts = [own[name].flat[0] for name in ("multiply_adds_padded", "multiply_adds")]
        base = next(
            r for r in plain if r.case.axes["axis"] == BASE and r.case.turn == own.case.turn
        )
        first = [base[name].flat[0] for name in ("multiply_adds_padded", "multiply_adds")]
        return float(counts[0] / first[0])

    (cell,) = judge(plant(rungs, padded)).cells
    (alignment,) = cell.alignments
    assert alignment.column == "arm"
    assert alignment.verdict == pytest.approx(0, abs=0.01)
    assert alignment.reproduction > 0.05
    assert alignment.explains == "vector alignment explains it"


def test_other_kernels_on_the_papers_channels_are_named(plant: Plant) -> None:
    """As ONNX Runtime has them for channels that 4 does not divide."""
    rungs = ladder("g3")
    own = reproduction_rungs("g3", "arm")[0]
    scales = dict.fromkeys(rung.scale for rung in own)
    rungs += [r for scale in scales for r in with_copy([r for r in own if r.scale == scale])]

    def odd(rung: Rung) -> bool:
        return rung.ladder == "reproduction" and rung.axis not in (BASE, COPY) and rung.step == 1

    records = plant(
        rungs,
        lambda rung: 1.5 if odd(rung) else 1.0,
        kernel=lambda rung: "Conv" if odd(rung) else "nchwc.Conv",
    )
    (cell,) = judge(records).cells
    found = {(one.axis, one.setting): one.explains for one in cell.alignments}
    assert found == {
        ("series", "2"): "other kernels run on the paper's",
        ("series", "4"): "no difference",
        ("parallel, add", "2"): "other kernels run on the paper's",
        ("parallel, add", "4"): "no difference",
    }


def test_images_work_and_bytes_a_second_are_told_apart(plant: Plant) -> None:
    """All rungs take the same time: images/s are equal, and the rest goes with what a call does.

    By hand, Table 1, ARM, x1: blocks of 32x32 and of 9x108 channels multiply 2048 and 1944 times
    a pixel, by as many weights; they read and write 128 and 234 channels of it.
    """
    rungs = [r for r in reproduction_rungs("g1", "arm")[0] if r.scale == "x1 arm"]
    result = judge(plant(with_copy(rungs), steps(1.0, 1.0, 1.0)))
    rows = {row["rung"]: row for row in guideline_document(result, None)["cells"][0]["rungs"]}
    found = rows["(9, 108)"]
    assert found["relative_images_per_second"] == pytest.approx(1.0, abs=0.003)
    assert found["relative_speed"] == pytest.approx(1944 / 2048, abs=0.003)
    pixels = 56 * 56
    moved = (234 * pixels + 1944) / (128 * pixels + 2048)
    assert found["relative_bytes_per_second"] == pytest.approx(moved, rel=0.01)
    printed = found["paper_relative_images_per_second"]
    assert printed == pytest.approx(57.6 / 76.2)
    assert found["paper_relative_speed"] == pytest.approx(57.6 / 76.2 * 1944 / 2048)
    text = "".join(str(part) for part in guideline_rows(result))
    assert "relative_bytes_per_second_ci" in text


def test_the_papers_relative_speed_keeps_its_digits() -> None:
    """Table 2, ARM, x4: 2.2 over 2.3 images/s is anything from 2.15/2.35 to 2.25/2.25."""
    found = paper_speed("g2", "g=2", "x4", "arm")
    assert found == pytest.approx((2.2 / 2.3, 2.15 / 2.35, 2.25 / 2.25))
    assert paper_speed("g1", "c1:c2=1:12", "x1", "gpu") == pytest.approx(
        (748 / 1480, 747.5 / 1480.5, 748.5 / 1479.5)
    )


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


def test_rows_of_the_paper_that_are_none_are_named() -> None:
    """Table 2's 180 channels in 8 groups; Table 3's 4 in series: 752 and 745 batches a second."""
    assert paper_notes("g1") == []
    assert paper_notes("g2") == [
        "x1 arm g=8 cannot be built: 180 channels cannot be divided into 8 groups"
    ]
    (note,) = paper_notes("g3")
    assert f"{1e3 / 752:.2f} ms" in note
    assert f"{1e3 / 745:.2f} ms" in note


def test_pictures_can_be_drawn(plant: Plant, tmp_path: Path) -> None:
    result = judge([r for g in AXES for r in plant(ladder(g), steps(1.1, 1.2, 1.3))])
    folder = save(result, tmp_path)
    assert folder is not None
    names = {path.name for path in Path(folder).iterdir()}
    stems = ("guidelines", "phase_diagram")
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}


def test_reports_can_be_written(plant: Plant) -> None:
    result = judge([r for g in AXES for r in plant(ladder(g), steps(1.1, 1.2, 1.3))])
    document = json.loads(json.dumps(guideline_document(result, None), allow_nan=False))
    assert document["task"] == "guidelines"
    (cell,) = document["cells"]
    assert len(cell["verdicts"]) == 8
    assert {one["answer"] for one in cell["verdicts"]} == {"SUPPORTED"}
    assert len(guideline_rows(result)) == len(result.records)
    assert guideline_tables(result, None)


def test_stored_records_are_judged_without_torch(plant: Plant, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'kept.sqlite'}"
    store = Store(url)
    for one in plant(ladder("g2"), steps(1.1, 1.2)):
        store.put(one)
    store.close()
    program = (
        "import sys; from benchbench.commandline import run_command_line\n"
        f"code = run_command_line(['task=guidelines', 'records=made', 'store.url={url}', "
        f"'plots=false', 'results={tmp_path}', 'output=json'])\n"
        "sys.exit(99 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (verdict,) = json.loads(done.stdout)["cells"][0]["verdicts"]
    assert verdict["answer"] == "SUPPORTED"
