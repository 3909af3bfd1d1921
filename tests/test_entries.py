"""Runs to compare, from the store, from what a run printed, and from another database."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from made import in_turn, record

from benchbench.cases import Case
from benchbench.entries import find, from_document, from_record
from benchbench.errors import NoEvidence, UserError
from benchbench.measure import Measured
from benchbench.measurements import Measurement, absent, exact
from benchbench.records import Record
from benchbench.report.documents import profile_document
from benchbench.store import Store

URL = "sqlite:///results/benchbench.sqlite"


@pytest.fixture
def made(case: Callable[..., Case]) -> Record:
    latency = in_turn([[0.02, 0.03, 0.02], [0.05, 0.04, 0.04]], epoch_rounds=[3], probe=[1e-3])
    measurements = [
        exact("params", 7),
        latency,
        Measurement("peak_memory", samples=((5.0,), (6.0,))),
        absent("flops_fvcore", "too large"),
    ]
    measured = Measured(case(arguments={"width": 0.5}), {"machine": {"cpu": "x"}}, measurements)
    return record(measured, tag="before")


def test_a_record_and_its_document_say_the_same(made: Record) -> None:
    document = json.loads(json.dumps(profile_document(made, None)))
    entry = from_record(made)
    assert from_document(document) == entry
    assert entry.exact == {"params": 7}
    assert entry.medians == {"latency": (0.02, 0.04), "peak_memory": (5.0, 6.0)}
    assert entry.probe == (1e-3, 1e-3)


def test_what_makes_another_case(made: Record) -> None:
    """Anything that changes the work or how it is executed; not whose weights, or when."""
    own = from_record(made).key
    for change in (
        *({"batch_size": 2}, {"threads": 2}, {"resolution": 96}, {"arguments": {"width": 1.0}}),
        *({"layout": "channels_last"}, {"precision": "bf16"}, {"cache": "cold"}),
        *({"mode": "train"}, {"device": "cuda"}, {"runtime": "compiled"}),
    ):
        other = replace(made, case=replace(made.case, **change))
        assert from_record(other).key != own, change
    assert from_record(replace(made, case=replace(made.case, seed=3))).key == own
    assert from_record(replace(made, id="x", tag="after")).key == own


def test_a_name_is_a_file_a_record_or_a_tag(made: Record, tmp_path: Path) -> None:
    store = Store(URL)
    store.put(made)
    store.put(replace(made, id="later", created="2999-01-01"))
    store.close()
    assert [entry.id for entry in find("before", "baseline", URL)] == [made.id, "later"]
    assert [entry.id for entry in find("later", "baseline", URL)] == ["later"]
    assert [entry.id for entry in find("results/benchbench.sqlite", "baseline", URL)] == [
        made.id,
        "later",
    ]
    document = profile_document(made, None)
    one, lines = tmp_path / "one.json", tmp_path / "lines.json"
    one.write_text(json.dumps(document, indent=2))
    lines.write_text("".join(json.dumps(document | {"record": name}) + "\n" for name in "ab"))
    assert [entry.id for entry in find(str(one), "candidate", URL)] == [made.id]
    assert [entry.id for entry in find(str(lines), "candidate", URL)] == ["a", "b"]


USED_AND_LEFT = """
import sqlite3
connection = sqlite3.connect("results/benchbench.sqlite")
connection.execute("UPDATE records SET device = 'other'")
connection.commit()
connection.close()
"""


def test_to_read_a_database_drops_no_lock_of_this_process(made: Record) -> None:
    """Another process that closes removes the log only if it is the last one."""
    store = Store(URL)
    store.put(made)
    with closing(sqlite3.connect("results/benchbench.sqlite")) as held:
        assert held.execute("SELECT count(*) FROM records").fetchall() == [(1,)]
        assert len(find("results/benchbench.sqlite", "baseline", URL)) == 1
        subprocess.run([sys.executable, "-c", USED_AND_LEFT], check=True)
        assert Path("results/benchbench.sqlite-wal").exists()


def test_a_name_that_nothing_has_is_no_evidence() -> None:
    with pytest.raises(NoEvidence, match="baseline=before: no file, record or tag is called so"):
        find("before", "baseline", URL)


def test_a_file_without_records_is_no_evidence(tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_text("[]")
    with pytest.raises(NoEvidence, match="there is no record in it"):
        find(str(path), "baseline", URL)


@pytest.mark.parametrize("text", ["", "no json", "{}", "[1]", '{"task": "list"}'])
def test_a_file_of_something_else_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.txt"
    path.write_text(text)
    with pytest.raises(UserError, match="must hold a database, or what output=json printed"):
        find(str(path), "baseline", URL)
