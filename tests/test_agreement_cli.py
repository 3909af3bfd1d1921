"""`task=agreement` from the command line: one run, a plan, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Finished
from PIL import Image
from skimage import data

from benchbench.store import Store

Cli = Callable[..., Finished]
BF16 = ("task=agreement", "model=mobilenet_v3_small", "resolution=64", "precision=bf16")


def test_from_photographs_to_a_document_and_a_record(cli: Cli) -> None:
    """Random weights: chance decides among 1,000 classes of almost equal probability."""
    Path("set").mkdir()
    for name in ("chelsea", "coffee"):
        Image.fromarray(getattr(data, name)()).save(f"set/{name}.png")
    finished = cli(*BF16, "input=set", "crops=10", "batch_size=4", "output=json")
    assert (finished.code, finished.err) == (0, "")
    document = finished.document
    assert (document["task"], document["precision"]) == ("agreement", "bf16")
    assert document["crops"]["count"] == document["crops"]["asked"] == 10
    assert (document["images"], document["calibration"]) == (2, None)
    metrics = document["metrics"]
    assert metrics["agreement"]["samples"] == metrics["error_mean"]["samples"] == 10
    assert 0 < metrics["error_mean"]["value"] < metrics["error_maximum"]["value"] < 0.01
    assert document["confident"] == {"count": 0, "probability": 0.5}
    why = "eager fp32 gives its class a probability of 0.5 on none of 10 crops"
    assert metrics["agreement_confident"] == {"value": None, "unit": "", "reason": why}
    assert document["quality"] == {
        "grade": None,
        "reasons": [
            "random weights: agreement says nothing about a trained network",
            "the intervals are about the choice of crops of these 2 images alone",
        ],
    }
    (record,) = Store("sqlite:///results/benchbench.sqlite").records()
    assert (record.id, record.case.crops) == (document["record"], 10)
    assert len(record["agreement"].flat) == 10


MISTAKES = {
    "precision=fp32 input=.": ["runtime=eager precision=fp32", "another"],
    "precision=fp32 layout=channels_last input=.": ["runtime=eager precision=fp32"],
    "input=random": ["input=random", "input=PATH"],
    "input=nosuch": ["input=nosuch", "No such file"],
    "input=~/nosuch": ["input=~/nosuch", "No such file"],
    "input=text.jpg": ["input=text.jpg", "not an image"],
    "input=.": ["input=text.jpg", "not an image"],
    "input=empty": ["input=empty", "no image"],
    "input=. crops=0": ["crops=0", "at least 1"],
    "input=. crops=1000001": ["crops=1000001", "at most 1000000"],
    "input=. labels=x": ["labels=x", "task=accuracy"],
    "input=. runtime=onnxruntime": ["runtime=onnxruntime", "precision=bf16"],
    "task=profile crops=10": ["crops=10", "task=agreement"],
    "task=profile profiler.agreement=true": ["profiler.agreement", "task=agreement"],
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(cli: Cli, line: str) -> None:
    Path("text.jpg").write_text("no picture")
    Path("empty").mkdir()
    finished = cli(*BF16, *line.split())
    assert (finished.code, finished.out) == (2, "")
    assert len(finished.err.splitlines()) == 1
    for part in MISTAKES[line]:
        assert part in finished.err
    assert sorted(path.name for path in Path().iterdir()) == ["empty", "text.jpg"]


def test_a_resolution_that_does_not_fit_is_refused(cli: Cli) -> None:
    Image.new("RGB", (40, 40)).save("a.png")
    finished = cli(*BF16, "input=a.png", "resolution=31")
    assert finished.code == 2
    assert "resolution=31" in finished.err


def test_a_plan_names_the_profiler_and_the_crops(cli: Cli) -> None:
    finished = cli(*BF16, "input=x", "plan=true", "output=json")
    (plan,) = finished.document["plan"]
    assert (plan["profilers"], plan["input"], plan["crops"]) == (["agreement"], "x", 500)
