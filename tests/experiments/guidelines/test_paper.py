"""The paper's own channels beside the verdict ladder, in its own currency."""

from __future__ import annotations

import pytest
from planted import Plant, ladder, steps

from benchbench.experiments.guidelines.judge import judge
from benchbench.experiments.guidelines.ladders import (
    BASE,
    COPY,
    Rung,
    paper_notes,
    reproduction_rungs,
    with_copy,
)
from benchbench.experiments.guidelines.rungs import paper_speed
from benchbench.report.guideline_document import guideline_document, guideline_rows


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


def test_rows_of_the_paper_that_are_none_are_named() -> None:
    """Table 2's 180 channels in 8 groups; Table 3's 4 in series: 752 and 745 batches a second."""
    assert paper_notes("g1") == []
    assert paper_notes("g2") == [
        "x1 arm g=8 cannot be built: 180 channels cannot be divided into 8 groups"
    ]
    (note,) = paper_notes("g3")
    assert f"{1e3 / 752:.2f} ms" in note
    assert f"{1e3 / 745:.2f} ms" in note
