"""Comparisons of stored runs: counts exactly, the rest by intervals, and what proves nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchbench.config import Settings
from benchbench.entries import Entry
from benchbench.experiments.compare import judge
from benchbench.report.compare import compare_document, compare_rows, compare_tables

CASE: dict[str, Any] = {"model": "tiny", "device_type": "cpu", "threads": 1}
STEADY = (0.0200, 0.0201, 0.0199, 0.0200, 0.0202)


def entry(
    latency: tuple[float, ...] = STEADY,
    *,
    created: str = "2026-01-01",
    params: int = 100,
    memory: tuple[float, ...] = (1e6, 1.001e6, 1e6, 1.002e6, 1e6),
    **changes: Any,
) -> Entry:
    made = Entry(
        id=f"R{created}",
        created=created,
        case=CASE,
        exact={"params": params, "launches": 7},
        medians={"latency": latency, "peak_memory": memory},
        probe=(0.001,) * 5,
        grade="A",
        environment={"machine": {"cpu": "x"}, "fingerprint": "f"},
    )
    return replace(made, **changes)


def answers(*arguments: Any, **options: Any) -> dict[str, str]:
    return {row.metric: str(row.answer) for row in judge(*arguments, 0.01, **options).rows}


def slower(share: float) -> tuple[float, ...]:
    return tuple(value * (1 + share) for value in STEADY)


def test_the_same_is_the_same() -> None:
    result = judge([entry()], [entry(created="2026-01-02")], 0.01)
    found = {row.metric: str(row.answer) for row in result.rows}
    assert found == {
        "params": "same",
        "launches": "same",
        "peak_memory": "SAME",
        "latency": "SAME",
    }
    assert result.exit_code == 0
    assert result.why_none is None


def test_a_count_that_rose_is_a_regression_and_one_that_fell_is_none() -> None:
    more = judge([entry()], [entry(params=101)], 0.01)
    assert next(row for row in more.rows if row.metric == "params").worse is True
    assert more.exit_code == 1
    less = judge([entry()], [entry(params=99)], 0.01)
    assert next(row for row in less.rows if row.metric == "params").worse is False
    assert less.exit_code == 0


def test_slower_must_recur_before_it_is_confirmed() -> None:
    once = judge([entry()], [entry(slower(0.1))], 0.01)
    assert str(next(row for row in once.rows if row.metric == "latency").answer) == "SLOWER"
    assert once.exit_code == 3
    assert "in one session; confirmed when it recurs" in str(once.why_none)
    twice = [entry(slower(0.1), created="2026-01-02"), entry(slower(0.11), created="2026-01-03")]
    assert judge([entry()], twice, 0.01).exit_code == 1


def test_sessions_that_do_not_agree_are_ambiguous() -> None:
    mixed = [entry(slower(0.1), created="2026-01-02"), entry(created="2026-01-03")]
    result = judge([entry()], mixed, 0.01)
    assert str(next(row for row in result.rows if row.metric == "latency").answer) == "AMBIGUOUS"
    assert "do not agree: SLOWER, SAME" in str(result.why_none)


def test_faster_needs_no_second_session() -> None:
    result = judge([entry()], [entry(slower(-0.1))], 0.01)
    row = next(row for row in result.rows if row.metric == "latency")
    assert (str(row.answer), row.worse) == ("FASTER", False)
    assert result.exit_code == 0


def test_what_the_spread_between_processes_explains_is_no_change() -> None:
    """A spread of 10 % and means 5 % apart: no verdict either way."""
    wild = (0.018, 0.022, 0.020, 0.019, 0.023)
    shifted = tuple(value * 1.05 for value in wild)
    result = judge([entry(wild)], [entry(shifted)], 0.01)
    assert str(next(row for row in result.rows if row.metric == "latency").answer) == "AMBIGUOUS"
    assert result.exit_code == 3


def test_wide_spreads_are_never_the_same() -> None:
    """Identical figures with a spread of 10 %: within 40 % is not the same."""
    wild = (0.018, 0.022, 0.020, 0.019, 0.023)
    assert answers([entry(wild)], [entry(wild)])["latency"] == "AMBIGUOUS"


def test_a_machine_that_became_slower_explains_as_much() -> None:
    """10 % more latency beside 10 % more for the same fixed work; memory is not excused."""
    drifted = entry(slower(0.1), probe=(0.0011,) * 5, memory=(2e6, 2.001e6, 2e6, 2.002e6, 2e6))
    result = judge([entry()], [drifted], 0.01)
    rows = {row.metric: row for row in result.rows}
    assert str(rows["latency"].answer) == "AMBIGUOUS"  # 10 % count as nothing, and are not nothing
    assert "the same fixed work took +10 %" in rows["latency"].note
    assert str(rows["peak_memory"].answer) == "SLOWER"
    assert rows["peak_memory"].worse is True


def test_unlike_machines_are_refused_unless_forced() -> None:
    other = entry(environment={"machine": {"cpu": "y"}, "fingerprint": "g"})
    result = judge([entry()], [other], 0.01)
    rows = {row.metric: row for row in result.rows}
    assert rows["latency"].answer == "REFUSED"
    assert "machine.cpu" in rows["latency"].note
    assert "force=true" in rows["latency"].note
    assert rows["params"].answer == "same"  # counts do not depend on it
    assert result.exit_code == 3
    forced = judge([entry()], [other], 0.01, force=True)
    row = next(row for row in forced.rows if row.metric == "latency")
    assert str(row.answer) == "SAME"
    assert row.note.startswith("forced: machine.cpu")


def test_the_worst_grade_is_no_evidence() -> None:
    result = judge([entry()], [entry(grade="D", id="R9")], 0.01)
    row = next(row for row in result.rows if row.metric == "latency")
    assert str(row.answer) == "AMBIGUOUS"
    assert row.note == "record R9 has quality D (by its figures SAME)"


def test_what_the_candidate_lacks_is_missing_and_what_it_adds_is_said() -> None:
    bare = entry(exact={"params": 100}, medians={})
    result = judge([entry()], [bare], 0.01)
    assert [row.metric for row in result.rows if row.answer == "MISSING"] == [
        "launches",
        "peak_memory",
        "latency",
    ]
    assert result.exit_code == 3
    elsewhere = replace(entry(), case=CASE | {"model": "other"})
    result = judge([entry()], [elsewhere], 0.01)
    assert [row.answer for row in result.rows] == ["MISSING"]
    assert result.new == ("other",)
    assert judge([replace(entry(), exact={}, medians={})], [entry()], 0.01).exit_code == 3


def test_a_record_twice_is_no_second_session() -> None:
    once = entry(slower(0.1), created="2026-01-02")
    assert judge([entry()], [once, once], 0.01).exit_code == 3


def test_counts_of_an_older_run_are_not_lost_behind_one_without() -> None:
    """The newest that has the metric, on each side."""
    bare = entry(created="2026-01-09", exact={})
    worse = entry(params=101, created="2026-01-02")
    for before, after in (([entry(), bare], [worse]), ([entry()], [worse, bare])):
        result = judge(before, after, 0.01)
        assert next(row for row in result.rows if row.metric == "params").answer == "changed"
        assert result.exit_code == 1


def test_a_confirmed_regression_comes_before_missing_evidence() -> None:
    worse = replace(entry(params=101), medians={})
    assert judge([entry()], [worse], 0.01).exit_code == 1


def test_documents_rows_and_tables() -> None:
    from rich.console import Console

    result = judge([entry()], [entry(slower(0.1), params=101)], 0.01)
    settings = Settings(baseline="before", candidate="after")
    document = compare_document(result, settings, "no selftest", "python -m benchbench")
    assert document["exit_code"] == 1
    latency = next(row for row in document["rows"] if row["metric"] == "latency")
    assert latency["verdict"] == "SLOWER"
    assert latency["ratio"] == pytest.approx(1.1)
    assert latency["ci"][0] < 1.1 < latency["ci"][1]
    assert latency["confirmed"] is False
    assert latency["case"] == CASE
    assert {row["metric"] for row in compare_rows(result)} == {
        "params",
        "launches",
        "peak_memory",
        "latency",
    }
    console = Console(markup=False, width=140, record=True)
    for part in compare_tables(result, "before", "after", "no selftest"):
        console.print(part)
    text = console.export_text()
    assert "1 counts are the same to the unit" in text
    assert "a regression, confirmed" in text
    assert "SLOWER" in text


def test_a_runtime_s_graph_is_compared_on_the_same_machine_alone() -> None:
    """Other kernels and blocks are chosen on another processor: that is no regression."""
    before = entry(exact={"graph_nodes": 55}, medians={})
    after = replace(before, id="after", exact={"graph_nodes": 58})
    (row,) = judge([before], [after], theta=0.01).rows
    assert (row.answer, row.exit_code) == ("changed", 1)
    elsewhere = replace(after, environment={"machine": {"cpu": "another"}})
    (row,) = judge([before], [elsewhere], theta=0.01).rows
    assert (row.answer, row.exit_code) == ("REFUSED", 3)
    assert "machine.cpu" in row.note
    (row,) = judge([before], [elsewhere], theta=0.01, force=True).rows
    assert row.answer == "changed"
