"""task=ablation from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Finished

QUICK = (
    *("budget.processes=2", "budget.seconds=0.05", "budget.warm_up_seconds=0.01"),
    *("budget.warm_up_limit_seconds=0.05", "budget.min_samples=2"),
)


@pytest.mark.extended
def test_an_ablation_is_measured_and_judged_again(
    shell: Callable[..., Finished], cli: Callable[..., Finished]
) -> None:
    """MobileNetV2 has two of the five factors: four networks, and the base again."""
    asked = ("task=ablation", "ablation=factorial", "model=mobilenet_v2", "resolution=32")
    ways = ("runtimes=[eager]", "tag=small", "output=json", "plots=false")
    measured = shell(*asked, *ways, *QUICK)
    assert measured.code in (0, 3), measured.err
    (way,) = measured.document["ways"]
    assert [row["edit"] for row in way["edits"]] == [
        *("expansion_3", "no_residual"),
        "expansion_3 + no_residual",
    ]
    assert all(row["predicted_latency"] > 0 for row in way["edits"])
    assert way["factorial"]["factors"] == ["expansion_3", "no_residual"]
    again = cli("task=ablation", "records=small", "output=json", "plots=false")
    assert again.document == measured.document
    pictures = cli("task=ablation", "records=small", "plots=true")
    assert [path.name for path in Path("results").rglob("*.png")] == ["shapley_values.png"]
    assert "single edits and pairs explain" in pictures.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("task=ablation", "no network"),
        ("task=ablation model=resnet50", "allowed are variants of efficientnet"),
        ("task=ablation model=mobilenet_v2 ablation=half", "allowed are edits, factorial"),
        ("task=ablation model=mobilenet_v2 runtimes=[eager,eager]", "stands there twice"),
        ("model=mobilenet_v2 ablation=factorial", "only task=ablation reads ablation"),
        ("task=ablation records=nothing", "no record or tag is called so"),
    ],
)
def test_mistakes_are_told(cli: Callable[..., Finished], arguments: str, told: str) -> None:
    finished = cli(*arguments.split())
    assert finished.code in (2, 3)
    assert told in finished.err
    assert len(finished.err.splitlines()) == 1


def test_a_plan_shows_every_network(cli: Callable[..., Finished]) -> None:
    """Four combinations and the base again, in eager PyTorch and ONNX Runtime."""
    asked = ("task=ablation", "ablation=factorial", "model=mobilenet_v2", "resolution=32")
    listed = cli(*asked, "plan=true", "output=json").document["plan"]
    assert [entry["turn"] for entry in listed] == ["eager"] * 5 + ["onnxruntime"] * 5
    assert len({entry["name"] for entry in listed}) == 5
