"""Tables verbatim, because they are the product; documents and pictures of made-up records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made import record
from PIL import Image
from rich.console import Console, RenderableType
from rich.text import Text

from benchbench.cases import Case
from benchbench.experiments.accuracy import judge
from benchbench.experiments.agreement import judge as judge_agreement
from benchbench.measure import Measured
from benchbench.measurements import Layer, Measurement, absent, exact
from benchbench.records import Record
from benchbench.report.documents import (
    accuracy_document,
    accuracy_row,
    agreement_document,
    agreement_row,
    profile_document,
    profile_row,
)
from benchbench.report.pictures import save, stage
from benchbench.report.tables import accuracy_tables, agreement_tables, profile_tables


@pytest.fixture
def made(case: Callable[..., Case]) -> Record:
    """A record of round numbers."""
    layers = (
        Layer("stem.conv", "conv 3x3 / 2", (2, 8, 32, 32), 216, 3_000_000, 16384, 1, 10, 20, 3000),
        Layer("stem.norm", "batch_norm", (2, 8, 32, 32), 16, 0, 0, 1, 0, 40, 0),
        Layer("stages.0.dw", "depthwise 3x3", (2, 8, 32, 32), 72, 1_000_000, 16384, 1, 9, 9, 1000),
    )
    samples = tuple(0.020 + 0.0001 * i for i in range(11))
    environment: dict[str, Any] = {"machine": {"cpu": "Imaginary CPU"}}
    measured = Measured(
        case(batch_size=2, name="tiny"),
        environment,
        [
            exact("params", 304),
            exact("multiply_adds", 4_000_000),
            absent("flops_fvcore", "too large"),
            Measurement("peak_memory", samples=((1_234_567,),)),
            Measurement("latency", samples=(samples, tuple(1.02 * one for one in samples))),
        ],
        layers,
    )
    made = record(measured, task="profile", settings={}, command="python -m benchbench model=tiny")
    return replace(made, id="R1", created="2026-01-02T03:04:05.000006+00:00")


TABLES = """\
tiny on cpu (Imaginary CPU)
eager, fp32, input 2x3x64x64, 1 thread
cost of the network

 metric                   value  per image         95 % interval  from
 ─────────────────────────────────────────────────────────────────────────────────────────
 parameters                 304                                   counted
 multiply-adds        4,000,000  2,000,000                        counted
 FLOPs by fvcore  not available                                   too large
 peak memory           1.235 MB                                   1 process
 latency               20.70 ms   10.35 ms  18.26 ms to 23.48 ms  22 samples, 2 processes

most expensive layers (3 of 3, by multiply-adds)

                                        multiply-           memory,
 layer        kind           output          adds   share     fused   share
 ───────────────────────────────────────────────────────────────────────────
 stem.conv    conv 3x3 / 2   2x8x32x32    3.000 M  75.0 %  3.000 kB  75.0 %
 stages.0.dw  depthwise 3x3  2x8x32x32    1.000 M  25.0 %  1.000 kB  25.0 %
 stem.norm    batch_norm     2x8x32x32      0.000   0.0 %   0.000 B   0.0 %

quality C: latency comes from 2 processes; budget=standard takes 5
           latency's 95 % interval is ±12.6 %; quieten the machine, or take more processes: \
budget=rigorous takes 10
           nothing tells whether other work disturbed it; measure again
record  R1
folder  results/runs/x
repeat  python -m benchbench model=tiny
"""


def printed(parts: Iterable[RenderableType]) -> list[str]:
    """The lines of a table as a file gets them, without trailing blanks."""
    console = Console(markup=False, width=140, record=True, file=Path("sink").open("w"))  # noqa: SIM115
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, Text))
    console.file.close()
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_the_tables_of_a_profile(made: Record) -> None:
    assert printed(profile_tables(made, "results/runs/x")) == TABLES.splitlines()


def test_the_document_of_a_profile(made: Record) -> None:
    document = profile_document(made, None)
    assert document["metrics"] == {
        "params": {"value": 304, "unit": ""},
        "multiply_adds": {"value": 4_000_000, "unit": ""},
        "flops_fvcore": {"value": None, "unit": "", "reason": "too large"},
        "peak_memory": {
            "value": 1_234_567,
            "unit": "B",
            "ci": None,
            "samples": 1,
            "processes": 1,
            "medians": [1_234_567],
        },
        # Medians of 20.5 ms and 2 % more: Student's t of 2 processes is 12.706.
        "latency": {
            "value": pytest.approx(0.0205 * 1.02**0.5),
            "unit": "s",
            "ci": [pytest.approx(0.018257, rel=1e-4), pytest.approx(0.023480, rel=1e-4)],
            "samples": 22,
            "processes": 2,
            "medians": [pytest.approx(0.0205), pytest.approx(0.02091)],
            "min": pytest.approx(0.02),
            "iqr": pytest.approx(0.0007, abs=2e-4),
        },
    }


def test_a_row_has_a_column_for_what_was_not_measured(made: Record) -> None:
    row = profile_row(made)
    assert row["latency_s"] == pytest.approx(0.0205 * 1.02**0.5)
    assert row["memory_access_ops_B"] is None
    assert row["flops_fvcore"] is None


@pytest.fixture
def accurate(case: Callable[..., Case]) -> Record:
    """81 of 263 images right, as in Newcombe 1998; seven files are no images."""
    files = ("\x1b[31mred.png", "b.png", "c.png", "d.png", "e.png", "f.png", "g.png")
    details = {
        "labels": "labels file, by file name",
        "corrupt": [{"file": file, "reason": "is not an image"} for file in files],
        "remarks": ["images that could not be read, left out: 7"],
    }
    measured = Measured(
        case(batch_size=32, name="tiny", input="val", labels="val.txt"),
        {"machine": {"cpu": "Imaginary CPU"}},
        [
            Measurement("top1", samples=((1,) * 81 + (0,) * 182,), details=details),
            absent("top5", "the network has 3 outputs: fewer than 5"),
        ],
    )
    made = record(measured, task="accuracy", settings={}, command="python -m benchbench ...")
    return replace(made, id="R1", created="2026-01-02T03:04:05.000006+00:00")


ACCURACY = """\
tiny on cpu (Imaginary CPU)
eager, fp32, input 32x3x64x64 of val, 1 thread
accuracy

 metric          value       95 % interval  from
 ───────────────────────────────────────────────────────────────────────────────────
 top-1         30.80 %  25.53 % to 36.62 %  263 images
 top-5   not available                      the network has 3 outputs: fewer than 5

labels  labels file, by file name
corrupt 7, left out
        \\x1b[31mred.png is not an image
        b.png is not an image
        c.png is not an image
        d.png is not an image
        e.png is not an image
        and 2 more
quality none: weights are random, so the accuracy is chance
           the interval is about the choice of images alone
           images that could not be read, left out: 7
record  R1
repeat  python -m benchbench ...
"""


def test_the_tables_of_an_accuracy(accurate: Record) -> None:
    assert printed(accuracy_tables(accurate, judge(accurate))) == ACCURACY.splitlines()


def test_the_document_of_an_accuracy(accurate: Record) -> None:
    document = accuracy_document(accurate, judge(accurate))
    assert document["metrics"] == {
        "top1": {
            "value": pytest.approx(0.30798, abs=5e-6),
            "unit": "",
            "ci": [pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5)],
            "samples": 263,
            "processes": 1,
        },
        "top5": {
            "value": None,
            "unit": "",
            "reason": "the network has 3 outputs: fewer than 5",
        },
    }
    assert document["images"] == 263
    assert document["corrupt"]["count"] == 7
    assert document["corrupt"]["files"][1] == {"file": "b.png", "reason": "is not an image"}
    assert document["labels"] == {"file": "val.txt", "from": "labels file, by file name"}


def test_the_row_of_an_accuracy_goes_on_where_a_profiles_ends(
    accurate: Record, made: Record
) -> None:
    row = accuracy_row(accurate, judge(accurate))
    assert list(row)[: len(profile_row(made))] == list(profile_row(made))
    assert row["top1"] == pytest.approx(81 / 263)
    assert row["top1_low"] == pytest.approx(0.2553, abs=5e-5)
    assert (row["top5"], row["images"], row["corrupt"]) == (None, 263, 7)
    assert row["labels"] == "val.txt"


@pytest.fixture
def agreed(case: Callable[..., Case]) -> Record:
    """81 of 263 crops agree, as in Newcombe 1998; on 20 fp32 is sure, and none of them does."""
    details = {
        "crops": {"count": 263, "areas": [0.35, 1.0], "shapes": [3 / 4, 4 / 3]},
        "images": 2,
        "confident": 20,
        "sure": 0.5,
        "calibration": "\x1b[31mset",
        "remarks": ["int8 is what it is"],
    }
    measured = Measured(
        case(name="tiny", input="val", crops=300, runtime="onnxruntime", precision="int8", seed=7),
        {"machine": {"cpu": "Imaginary CPU"}},
        [
            Measurement("agreement", samples=((1,) * 81 + (0,) * 182,), details=details),
            Measurement("agreement_confident", samples=((0,) * 20,)),
            Measurement("error_maximum", samples=((0.25, 0.125),)),
            absent("error_mean", "no crop's output is finite"),
        ],
    )
    made = record(measured, task="agreement", settings={}, command="python -m benchbench ...")
    return replace(made, id="R1", created="2026-01-02T03:04:05.000006+00:00")


AGREEMENT = """\
tiny on cpu (Imaginary CPU)
onnxruntime, int8, input 1x3x64x64 of val, 1 thread
agreement with eager fp32

 metric                                      value       95 % interval  from
 ──────────────────────────────────────────────────────────────────────────────────────────────────
 top-1 agreement with fp32                 30.80 %  25.53 % to 36.62 %  263 crops
 top-1 agreement where fp32 is sure         0.00 %   0.00 % to 16.11 %  20 crops
 largest error of a probability               0.25                      2 crops
 mean error of the probabilities     not available                      no crop's output is finite

crops   263 of 2 images, seed 7: 35 to 100 % of its area, 0.75 to 1.33 times as wide as high
sure    on 20 of them fp32 gives its own class a probability of 0.5 or more
errors  absolute differences of softmax probabilities, over all classes of all crops
ranges  of int8 were seen on \\x1b[31mset
quality none: int8 is what it is
record  R1
repeat  python -m benchbench ...
"""


def test_the_tables_of_an_agreement(agreed: Record) -> None:
    assert printed(agreement_tables(agreed, judge_agreement(agreed))) == AGREEMENT.splitlines()


def test_an_agreement_that_was_not_taken_has_a_table_all_the_same(agreed: Record) -> None:
    found = (Measurement("preparation_time", samples=((1.5,),)),)
    early = replace(agreed, measurements=found)
    lines = printed(agreement_tables(early, judge_agreement(early)))
    assert any("1.500 s" in line for line in lines)
    assert not any(line.startswith("crops") for line in lines)
    assert agreement_document(early, judge_agreement(early))["crops"]["count"] == 0


def test_the_document_and_the_row_of_an_agreement(agreed: Record, made: Record) -> None:
    document = agreement_document(agreed, judge_agreement(agreed))
    assert document["metrics"]["agreement"] == {
        "value": pytest.approx(0.30798, abs=5e-6),
        "unit": "",
        "ci": [pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5)],
        "samples": 263,
        "processes": 1,
    }
    assert document["metrics"]["error_maximum"]["value"] == 0.25
    assert document["metrics"]["error_maximum"]["ci"] is None
    assert document["crops"]["asked"] == 300
    assert (document["crops"]["count"], document["crops"]["seed"]) == (263, 7)
    assert (document["images"], document["calibration"]) == (2, "\x1b[31mset")
    row = agreement_row(agreed, judge_agreement(agreed))
    assert list(row)[: len(profile_row(made))] == list(profile_row(made))
    assert (row["images"], row["crops"], row["confident"]) == (2, 263, 20)
    assert row["agreement_low"] == pytest.approx(0.2553, abs=5e-5)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("stem.conv", "stem"),
        ("stages.3.0.branch.expand.conv", "stages.3"),
        ("features.0", "features"),
        ("features.0.1", "features.0"),
        ("layer1.0.conv1", "layer1.0"),
        ("", ""),
    ],
)
def test_stage_of_a_layer(layer: str, expected: str) -> None:
    assert stage(layer) == expected


def test_pictures_are_large_enough_and_say_their_units(made: Record) -> None:
    folder = save(made, Path("runs"))
    assert folder == Path("runs/2026-01-02_03-04-05-000006_tiny")
    assert not [path for path in Path("runs").iterdir() if path != folder]
    wanted = {
        "cost_per_stage": [
            "share of the network (%)",
            "stages.0",
            "memory access, fused: 4.000 kB",
        ],
        "latency_distribution": ["latency (ms)", "samples", "value 20.70 ms"],
        "multiply_adds_and_memory_access": ["memory access, fused (bytes)", "depthwise (1)"],
    }
    for stem, texts in wanted.items():
        with Image.open(folder / f"{stem}.png") as image:
            assert image.width >= 1000
            assert len(image.convert("RGB").getcolors(1 << 20) or []) > 20  # something is drawn
        svg = (folder / f"{stem}.svg").read_text()
        for text in [*texts, "tiny", "Imaginary CPU"]:
            assert text.replace("&", "&amp;") in svg


def test_no_data_no_pictures(made: Record) -> None:
    counts = tuple(m for m in made.measurements if m.metric == "params")
    assert save(replace(made, measurements=counts, layers=()), Path("runs")) is None
    assert not Path("runs").exists()
