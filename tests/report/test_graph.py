"""The table of a runtime's graph verbatim, from a record made by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from made import record
from rich.console import Console

from benchbench.cases import Case
from benchbench.measure import Measured
from benchbench.measurements import exact
from benchbench.records import Record
from benchbench.report.documents import profile_document
from benchbench.report.graph import graph_document, graph_tables

TABLE = """\
the runtime's graph

 operator       nodes    memory  of them fused
 ────────────────────────────────────────────────────────
 Conv               3  7.000 kB  Conv+Clip 2, Conv+Add 1
 ReorderOutput      1   500.0 B

costs nothing and is left out: Reshape 4, Split 1
"""


def node(operator: str, pattern: str, size: int) -> dict[str, Any]:
    return {"name": "n", "operator": operator, "pattern": pattern, "bytes": size}


@pytest.fixture
def made(case: Callable[..., Case]) -> Record:
    nodes = [
        *(node("Conv", "Conv+Clip", 2000), node("Conv", "Conv+Add", 4000)),
        *(node("Conv", "Conv+Clip", 1000), node("ReorderOutput", "", 500)),
    ]
    details: dict[str, Any] = {
        "nodes": nodes,
        "operators": {"Conv": 3, "ReorderOutput": 1},
        "fused": {"Conv+Clip": 2, "Conv+Add": 1},
        "left_out": {"Reshape": 4, "Split": 1},
        "providers": ["CPUExecutionProvider"],
        "opset": {"ai.onnx": 20},
        "ir_version": 10,
    }
    measurements = [exact("graph_nodes", 4, **details), exact("memory_access_graph", 7500)]
    measured = Measured(case(runtime="onnxruntime"), {"machine": {"cpu": "x"}}, measurements)
    return record(measured, task="profile", settings={}, command="")


def test_the_table(made: Record) -> None:
    console = Console(markup=False, width=100, record=True, file=io.StringIO())
    for part in graph_tables(made):
        console.print(part)
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    assert lines[:-1] == TABLE.splitlines()


def test_the_document_has_what_is_there_how_often_and_no_node(made: Record) -> None:
    document = json.loads(json.dumps(profile_document(made, None)))
    assert document["graph"] == {
        "operators": {"Conv": 3, "ReorderOutput": 1},
        "fused": {"Conv+Clip": 2, "Conv+Add": 1},
        "left_out": {"Reshape": 4, "Split": 1},
        "providers": ["CPUExecutionProvider"],
        "opset": {"ai.onnx": 20},
        "ir_version": 10,
    }
    assert document["metrics"]["memory_access_graph"] == {"value": 7500, "unit": "B"}


def test_without_a_graph_there_is_nothing(case: Callable[..., Case]) -> None:
    measured = Measured(case(), {"machine": {"cpu": "x"}}, [exact("params", 1)])
    bare = record(measured, task="profile", settings={}, command="")
    assert graph_tables(bare) == []
    assert graph_document(bare) is None
