"""What task=guidelines measures, against what docs/experiments.md promises."""

from __future__ import annotations

import re

import pytest
from variants import composed

from benchbench.cases import Case
from benchbench.errors import UserError
from benchbench.experiments.guidelines.cases import guideline_cases
from benchbench.support import installed_runtimes


def cases(*overrides: str) -> list[Case]:
    return guideline_cases(composed("resnet18", "task=guidelines", *overrides))


def ladders_by_runtime(found: list[Case]) -> dict[str, set[str]]:
    by_runtime: dict[str, set[str]] = {}
    for case in found:
        by_runtime.setdefault(case.runtime, set()).add(case.axes["ladder"])
    return by_runtime


def test_standard_tries_both_ladders_in_every_runtime() -> None:
    found = ladders_by_runtime(cases("guideline=[g1,g2,g3,g4]", "budget=standard"))
    assert list(found) == installed_runtimes(composed("resnet18"), "fp32")
    assert {"eager", "compiled"} <= set(found)
    assert all(ladders == {"verdict", "reproduction"} for ladders in found.values())


def test_quick_tries_what_a_verdict_needs() -> None:
    found = ladders_by_runtime(cases("guideline=[g1,g2,g3,g4]", "budget=quick"))
    assert set(found) <= {"eager", "onnxruntime"}
    assert all(ladders == {"verdict"} for ladders in found.values())


def test_runtimes_are_those_that_execute_what_is_asked() -> None:
    """ONNX Runtime casts half precision to fp32 on a CPU, and lays tensors out by itself."""
    found = cases("guideline=[g1]", "precisions=[fp32,bf16]")
    ways = {(case.runtime, case.precision) for case in found}
    assert {("eager", "bf16"), ("eager", "fp32"), ("onnxruntime", "fp32")} <= ways
    assert ("onnxruntime", "bf16") not in ways
    laid_out = {case.runtime for case in cases("guideline=[g1]", "layout=channels_last")}
    assert laid_out == {"eager", "compiled"}


def test_the_papers_own_rows_by_number() -> None:
    """Table 1: 4 ratios and a copy of the first, at 3 scales, of 2 devices."""
    found = cases("guideline=[g1]", "ladders=[reproduction]", "runtimes=[eager]")
    assert len(found) == (4 + 1) * 3 * 2
    assert {case.processes for case in found} == {3}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("mode=train", "mode=train"),
        ("resolution=64", "resolution=64: the ladders' maps are 56x56"),
        ("weights=random", "weights=random"),
        ("ladders=[steep]", "unknown ladders 'steep'; allowed: extended, reproduction, verdict"),
        ("ladders=[extended]", "ladders=extended: g1 has none"),
    ],
)
def test_what_makes_no_ladder_is_refused(override: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        cases("guideline=[g1]", override)
