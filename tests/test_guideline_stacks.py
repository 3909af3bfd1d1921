"""The stacks, against the work that the paper's tables imply."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from architectures.guideline_stacks import ELEMENTWISE, Bottlenecks, FragmentedBlocks, Fragments
from benchbench.cases import Case
from benchbench.config import guideline_settings
from benchbench.experiments.guidelines.ladders import (
    COLUMNS,
    Rung,
    extended_rungs,
    published,
    reproduction_rungs,
    verdict_rungs,
)
from benchbench.experiments.guidelines.widths import chain
from benchbench.networks import build
from benchbench.profilers.complexity import complexity

GUIDELINES = ("g1", "g2", "g3", "g4")
OPTIONS = guideline_settings()
SHARED = Path(__file__).parents[2] / "shared" / "reference" / "guidelines.csv"
PIXELS = 56 * 56


def case_of(case: Callable[..., Case], rung: Rung) -> Case:
    made = case(target=rung.target, arguments=rung.arguments, resolution=56)
    return replace(made, input_channels=rung.input_channels)


def multiply_adds(case: Callable[..., Case], rung: Rung) -> int:
    return complexity(case_of(case, rung)).multiply_adds


@pytest.mark.parametrize("guideline", GUIDELINES)
def test_a_verdict_ladder_does_equal_work_on_whole_vectors(
    case: Callable[..., Case], guideline: str
) -> None:
    rungs = verdict_rungs(guideline, OPTIONS[guideline])
    by_scale: dict[str, list[int]] = {}
    for rung in rungs:
        counted = complexity(case_of(case, rung))
        by_scale.setdefault(rung.scale, []).append(counted.multiply_adds)
        for layer in counted.layers:
            assert layer.output_shape[1] % 16 == 0
    assert list(by_scale) == ["x1", "x2", "x4"]
    for work in by_scale.values():
        assert max(work) <= 1.005 * min(work)


@pytest.mark.parametrize(
    ("guideline", "rung", "expected"),
    [
        ("g1", 3, 20 * PIXELS * 32 * 288),  # ten blocks of two, 32 -> 288 -> 32
        ("g2", 2, 10 * PIXELS * 256 * 256 // 16),
        ("g3", 0, 10 * PIXELS * 64 * 64),
        ("g4", 0, 10 * PIXELS * (2 * 64 * 16 + 9 * 16 * 16)),  # 64 -> 16 -> 3x3 -> 64
    ],
)
def test_work_by_hand(case: Callable[..., Case], guideline: str, rung: int, expected: int) -> None:
    assert multiply_adds(case, verdict_rungs(guideline, OPTIONS[guideline])[rung]) == expected


def test_half_the_work_of_64_channels_mixes_widths() -> None:
    """20 convolutions of 64 x 64 / 2 = 2048: 45.25 channels are no multiple of 16."""
    widths = chain(64, 20, 2)
    work = sum(a * b for a, b in pairwise(widths))
    assert set(widths) <= {32, 48, 64}
    assert work == 20 * 2048
    assert chain(128, 40, 4) == (64,) * 41  # half the width is a quarter of the work
    with pytest.raises(ValueError, match="no chain"):
        chain(48, 1, 2)


@pytest.mark.parametrize("guideline", GUIDELINES[:3])
def test_the_papers_rows_do_the_work_that_their_channels_imply(
    case: Callable[..., Case], guideline: str
) -> None:
    """Equal within 5.5 % as architecture facts say; Table 2's g=8 with 180 channels is none."""
    for column in COLUMNS:
        rungs, missing = reproduction_rungs(guideline, column)
        base = {r.scale: multiply_adds(case, r) for r in rungs if r.step == 0}
        for rung in rungs:
            work = multiply_adds(case, rung)
            # The narrowest fragments of Table 3 are widths we had to round, as 45.25 to 45.
            assert work == pytest.approx(base[rung.scale], rel=0.056)
        bad = [(row.guideline, row.scale, row.label) for row in missing]
        assert bad == ([("g2", "x1 arm", "g=8")] if (guideline, column) == ("g2", "arm") else [])


def test_work_of_the_papers_tables_as_the_reference_has_it(case: Callable[..., Case]) -> None:
    if not SHARED.exists():
        pytest.skip("the reference lies beside the repository on some machines alone")
    with SHARED.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["computed_network_macs_m"]]
    expected = {(row["guideline"].lower(), row["setting"], row["value"]): row for row in rows}
    ours = {(row.guideline, row.setting, row.value): row for row in published()}
    assert expected.keys() <= ours.keys()
    for guideline in GUIDELINES[:3]:
        for column in COLUMNS:
            for rung in reproduction_rungs(guideline, column)[0]:
                scale = rung.scale.split()[0]
                (known,) = (
                    row
                    for row in published()
                    if (row.guideline, row.column, row.scale) == (guideline, column, scale)
                    and row.setting == rung.setting
                )
                found = expected.get((guideline, rung.setting, known.value))
                if found is not None and "series" not in rung.setting and rung.step < 2:
                    millions = float(found["computed_network_macs_m"])
                    tolerance = 0.02 if guideline == "g3" else 1e-4  # their rounded widths
                    assert multiply_adds(case, rung) / 1e6 == pytest.approx(millions, rel=tolerance)


def test_the_copy_of_the_papers_figures_is_whole() -> None:
    if not SHARED.exists():
        pytest.skip("the reference lies beside the repository on some machines alone")
    with SHARED.open(encoding="utf-8") as file:
        theirs = [
            (row["guideline"].lower(), row["setting"], row["value"], "NVIDIA" in row["platform"])
            for row in csv.DictReader(file)
        ]
    ours = [(row.guideline, row.setting, row.value, row.column == "gpu") for row in published()]
    assert ours == theirs
    assert len(ours) == 102


@pytest.mark.parametrize("elementwise", ELEMENTWISE)
@pytest.mark.parametrize("shortcut", [False, True])
def test_element_wise_operations_add_no_multiply_adds_of_1x1_and_3x3(
    case: Callable[..., Case], elementwise: str, *, shortcut: bool
) -> None:
    arguments = {"channels": 64, "elementwise": elementwise, "shortcut": shortcut}
    target = "architectures.guideline_stacks.Bottlenecks"
    found = complexity(
        replace(case(target=target, arguments=arguments, resolution=56), input_channels=64)
    )
    plain = 10 * PIXELS * (2 * 64 * 16 + 9 * 16 * 16)
    # Squeeze-excite alone has convolutions of its own: 64 -> 16 -> 64 on one pixel.
    own = 10 * 2 * 64 * 16 if elementwise == "squeeze_excite" else 0
    assert found.multiply_adds == plain + own


def test_parallel_fragments_are_one_convolution_with_their_weights() -> None:
    """Side by side they are a wider convolution; added, one whose weights are added."""
    torch.manual_seed(0)
    images = torch.randn(2, 32, 5, 5)
    joined, added = Fragments(32, 32, 4, add=False), Fragments(32, 32, 4, add=True)
    weight = torch.cat([part.weight for part in joined.parts])
    torch.testing.assert_close(joined(images), torch.conv2d(images, weight))
    weight = torch.stack([part.weight for part in added.parts]).sum(0)
    torch.testing.assert_close(added(images), torch.conv2d(images, weight))


@pytest.mark.parametrize("guideline", GUIDELINES)
def test_stacks_neither_die_out_nor_overflow(case: Callable[..., Case], guideline: str) -> None:
    rungs = verdict_rungs(guideline, OPTIONS[guideline]) + extended_rungs(
        guideline, OPTIONS[guideline]
    )
    for rung in rungs:
        if rung.scale != "x1":
            continue
        made = replace(case_of(case, rung), resolution=8)
        network = build(made, "cpu")
        with torch.inference_mode():
            out = network(torch.randn(made.input_shape))
        assert 1e-3 < float(out.std()) < 1e3, rung.label


def test_wrong_choices_are_refused() -> None:
    with pytest.raises(ValueError, match="arrangement='ring': allowed are series"):
        FragmentedBlocks(widths=[16, 16], arrangement="ring")
    with pytest.raises(ValueError, match="elementwise='tanh': allowed are none, relu"):
        Bottlenecks(channels=16, elementwise="tanh")
