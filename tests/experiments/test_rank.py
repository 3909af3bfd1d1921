"""Rankings of records with round numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from made import in_turn, record

from benchbench.cases import Case
from benchbench.errors import NoEvidence
from benchbench.experiments.rank import judge
from benchbench.measure import Measured
from benchbench.measurements import exact
from benchbench.records import Record
from benchbench.report.rank import rank_document, rank_rows, rank_tables

# Process by process the machine is slower for all; the ratios hold still to 0.1 %.
MACHINE = (1.0, 1.4, 1.1, 0.9, 1.2)
WOBBLE = (0.999, 1.0, 1.001, 1.0, 1.0)


@pytest.fixture
def ranked(case: Callable[..., Case]) -> list[Record]:
    """10, 20 and 20.01 ms; parameters tell the order, multiply-adds the reverse."""
    made = []
    for name, seconds, params, work in (
        ("slow", 0.020, 300, 1),
        ("fast", 0.010, 100, 3),
        ("equal", 0.02001, 300, 1),
    ):
        wobble = (1.0,) * 5 if name == "fast" else WOBBLE
        processes = [[seconds * a * b] * 4 for a, b in zip(MACHINE, wobble, strict=True)]
        measurements = [
            exact("params", params),
            exact("multiply_adds", work),
            exact("activations", 7),
            in_turn(processes, epoch_rounds=[2, 2]),
        ]
        environment = {"machine": {"cpu": "Imaginary CPU"}}
        measured = Measured(case(name=name), environment, list(measurements))
        made.append(record(measured, task="rank", session="S", command="python -m benchbench"))
    return made


def test_the_fastest_comes_first_and_every_pair_has_its_verdict(ranked: list[Record]) -> None:
    result = judge(ranked, theta=0.01)
    assert result.entries[0].record.case.name == "fast"
    assert (result.entries[0].rank.low, result.entries[0].rank.high) == (1, 1)
    verdicts = {(pair.first, pair.second): pair.verdict for pair in result.pairs}
    assert str(verdicts["fast", "slow"].answer) == "SLOWER"
    assert verdicts["fast", "slow"].ratio == pytest.approx(2.0, rel=1e-3)
    both = verdicts.get(("slow", "equal")) or verdicts["equal", "slow"]
    assert str(both.answer) == "SAME"
    assert abs(both.ratio - 1) == pytest.approx(0.0005, rel=0.01)


def test_kendalls_tau_with_what_a_clock_does_not_need(ranked: list[Record]) -> None:
    """Of three pairs two are told apart by the counts: tau-b is 2 / sqrt(3 x 2)."""
    (way,) = judge(ranked, theta=0.01).ways
    correlations = way.correlations
    expected = 2 / 6**0.5
    assert correlations["params"] is not None
    assert correlations["params"].value == pytest.approx(expected)
    assert correlations["multiply_adds"] is not None
    assert correlations["multiply_adds"].value == pytest.approx(-expected)
    assert correlations["activations"] is None  # the same for all


def test_records_that_did_not_take_turns_are_no_ranking(ranked: list[Record]) -> None:
    apart = [replace(one, session=str(number)) for number, one in enumerate(ranked)]
    with pytest.raises(NoEvidence, match="slow, fast, equal: a ranking needs networks that took"):
        judge(apart, theta=0.01)
    with pytest.raises(NoEvidence, match="took turns"):
        judge(ranked[:1], theta=0.01)
    untimed = [replace(one, measurements=one.measurements[:1]) for one in ranked]
    with pytest.raises(NoEvidence, match="was not timed in turn"):
        judge(untimed, theta=0.01)


def test_the_document_and_rows_of_a_ranking(ranked: list[Record]) -> None:
    result = judge(ranked, theta=0.01)
    document = rank_document(result, "no selftest")
    assert document["task"] == "rank"
    assert document["ranking"][0]["model"] == "fast"
    names = {"fast", "slow"}
    pair = next(p for p in document["pairs"] if {p["baseline"], p["candidate"]} == names)
    assert pair["verdict"] == "SLOWER"
    low, high = pair["ci"]
    assert low <= pair["ratio"] <= high
    assert pair["processes"] == 5
    (way,) = document["ways"]
    assert way["kendall_tau"]["activations"]["value"] is None
    assert way["kendall_tau"]["params"]["ci"][0] <= 2 / 6**0.5
    assert rank_rows(result)[0]["latency"] == pytest.approx(0.01 * 1.108, rel=0.01)


def test_the_tables_of_a_ranking(ranked: list[Record]) -> None:
    from rich.console import Console

    console = Console(width=140, record=True)
    for part in rank_tables(judge(ranked, theta=0.01), "no selftest"):
        console.print(part)
    text = console.export_text()
    assert "ranking, the fastest first" in text
    assert "SLOWER" in text
    assert "1 to 1" in text
    assert "a difference counts from 1.0 % on (no selftest)" in text
    assert "the same for all networks, or not counted" in text
