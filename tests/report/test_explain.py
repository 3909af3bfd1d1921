"""The report of what explains latency: tables, document, rows and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from conftest import Finished
from made import record
from planted_zoo import by_bytes, session
from rich.console import Console
from variants import NAMES

from benchbench.cases import Case, from_models
from benchbench.config import Settings
from benchbench.experiments.explain import Explanation, judge
from benchbench.measure import Measured
from benchbench.measurements import Measurement
from benchbench.records import Record
from benchbench.report.explain import explain_document, explain_rows, explain_tables
from benchbench.report.explain_pictures import save
from benchbench.store import Store
from benchbench.tasks.explain import EVERY_VARIANT

URL = "sqlite:///results/benchbench.sqlite"


@pytest.fixture
def result(case: Callable[..., Case]) -> Explanation:
    return judge(session(case, by_bytes))


def shown(result: Explanation) -> str:
    console = Console(markup=False, width=140, record=True, file=StringIO())
    for part in explain_tables(result, "results/runs/here"):
        console.print(part)
    return console.export_text()


def test_the_tables_answer_first(result: Explanation) -> None:
    text = shown(result)
    assert "eager fp32: 60 networks of 5 families" in text
    assert "memory access, fused 100 %" in text
    rows = [line for line in text.splitlines() if line.startswith(" memory access, fused ")]
    assert rows[0].split("fused")[1].split()[:2] == ["100", "%"]
    assert "0 or missing in some records" in text
    assert "which of two is slower?" in text
    assert "how alike the predictors are" in text
    assert "in 7 sets" in text
    assert "left out: " not in text
    assert "folder  results/runs/here" in text


def test_what_was_left_out_is_said(result: Explanation) -> None:
    large = {f"net{n}": 10**9 * (n + 2) for n in range(20)}
    text = shown(result._replace(left_out=large))
    assert "left out: 20 networks above largest_multiply_adds=1.00 G" in text
    assert "net0 (2.00 G)" in text
    assert "and 8 larger" in text
    assert explain_document(result._replace(left_out=large), None)["left_out"] == large


def test_the_document_is_json_and_whole(result: Explanation) -> None:
    document = json.loads(json.dumps(explain_document(result, None), allow_nan=False))
    assert (document["task"], document["schema_version"]) == ("explain", 1)
    (way,) = document["ways"]
    by_name = {found["predictor"]: found for found in way["predictors"]}
    found = by_name["memory_access_fused"]
    assert found["concordance"] == 1.0
    assert found["ci"][0] < 1.0 == pytest.approx(found["ci"][1])
    assert found["families"] == 5
    assert by_name["multiply_adds"]["less_multiply_adds"] is None
    assert len(document["networks"]) == 60
    assert {fit["form"] for fit in way["fits"]} == {"linear", "power"}
    assert len(way["collinearity"]["correlations"]) == len(way["collinearity"]["predictors"])
    assert len(way["anchor_latencies"]) == 7


def test_a_row_a_network(result: Explanation) -> None:
    rows = explain_rows(result)
    assert len({row["model"] for row in rows}) == len(rows) == 60
    assert {row["family"] for row in rows} >= {"mnasnet", "shufflenet_v1"}
    assert all(row["predicted_latency"] is None and row["latency"] > 0 for row in rows)


def profiled(case: Callable[..., Case], name: str) -> Record:
    rows = [
        {"layer": None, "operator": operator, "kernel": "k", "calls": 1, "seconds": seconds}
        for operator, seconds in (("conv2d", 0.006), ("batch_norm", 0.003), ("cat", 0.001))
    ]
    measured = Measured(case(name=name), {"machine": {"cpu": "Imaginary CPU"}})
    measured.receive(Measurement("operator_time", ((0.01,),), details={"operators": rows}))
    return record(measured, task="explain", session="P", tag="zoo")


def test_pictures_are_written_with_what_they_show(
    result: Explanation, case: Callable[..., Case], tmp_path: Path
) -> None:
    profiles = [profiled(case, "mobilenet_v2"), profiled(case, "efficientnet_b0")]
    folder = save(result, profiles, tmp_path)
    names = {path.name for path in folder.iterdir()}
    stems = ("latency_and_multiply_adds", "operator_shares")
    assert names == {f"{stem}.{suffix}" for stem in stems for suffix in ("png", "svg")}
    figure = (folder / "latency_and_multiply_adds.svg").read_text(encoding="utf-8")
    assert "mnasnet (12)" in figure
    assert "latency (ms)" in figure
    shares = (folder / "operator_shares.svg").read_text(encoding="utf-8")
    assert "data movement" in shares
    assert ">60<" in shares  # per cent in convolutions


def test_a_picture_of_two_points_does_not_fail(result: Explanation, tmp_path: Path) -> None:
    (way,) = result.ways
    few = result._replace(ways=(way._replace(networks=way.networks[:3]),))
    assert not list(save(few, [], tmp_path).glob("operator_shares*"))


def test_stored_records_are_explained_again(
    cli: Callable[..., Finished], case: Callable[..., Case]
) -> None:
    store = Store(URL)
    for one in session(case, by_bytes):
        store.put(one)
    store.close()
    done = cli("task=explain", "records=NOTHING", "output=json")
    assert done.code == 3
    store = Store(URL)
    known = store.records(task="explain")[-1]
    store.close()
    done = cli("task=explain", f"records={known.id}", "output=json", "plots=false")
    assert done.code == 0, done.err
    (way,) = done.document["ways"]
    assert way["networks"] == 60
    rows = cli("task=explain", f"records={known.id}", "output=csv", "plots=false")
    assert len(rows.out.splitlines()) == 61


def test_the_plan_leaves_out_what_a_glob_names_and_keeps_what_is_named(
    cli: Callable[..., Finished],
) -> None:
    """ResNet-18 has 1.8 G multiply-adds, ResNet-200 15 G: only the one that is named is planned."""
    models = "models=[resnet200,glob(resnet*),glob(shufflenet_v2_x?_?)]"
    done = cli("task=explain", models.replace("resnet200,", ""), "plan=true", "output=json")
    names = [entry["name"] for entry in done.document["plan"]]
    assert done.code == 0, done.err
    assert sorted(names) == [f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")]
    left_out = next(e["axes"]["left_out"] for e in done.document["plan"] if e["axes"]["anchor"])
    assert set(left_out) == {"resnet18", "resnet50", "resnet101", "resnet152", "resnet200"}
    larger = cli(
        *("task=explain", models.replace("resnet200,", ""), "largest_multiply_adds=2e9"),
        *("plan=true", "output=json"),
    )
    assert "resnet18" in {entry["name"] for entry in larger.document["plan"]}


def test_a_named_network_is_never_too_large(cli: Callable[..., Finished]) -> None:
    models = "models=[resnet200,glob(shufflenet_v2_x?_?)]"
    done = cli("task=explain", models, "plan=true", "output=json")
    assert "resnet200" in {entry["name"] for entry in done.document["plan"]}


def test_without_models_it_is_every_variant() -> None:
    cases = from_models(replace(Settings(), models=EVERY_VARIANT))
    assert [case.name for case in cases] == NAMES


def test_a_limit_that_no_network_is_below_is_one_line(cli: Callable[..., Finished]) -> None:
    none = cli("task=explain", "models=glob(resnet*)", "largest_multiply_adds=5", "plan=true")
    assert none.code == 2
    assert none.err.startswith("benchbench: largest_multiply_adds=5: the smallest network has ")
