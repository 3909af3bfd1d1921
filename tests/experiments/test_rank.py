"""Rankings of records with round numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from made import in_turn, record
from rich.console import Console

from benchbench.cases import Case
from benchbench.errors import NoEvidence
from benchbench.experiments.rank import judge
from benchbench.measure import Measured
from benchbench.measurements import Measurement, exact
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

    console = Console(markup=False, width=140, record=True)
    for part in rank_tables(judge(ranked, theta=0.01), "no selftest"):
        console.print(part)
    text = console.export_text()
    assert "ranking, the fastest first" in text
    assert "SLOWER" in text
    assert "1 to 1" in text
    assert "a difference counts from 1.0 % on (no selftest)" in text
    assert "the same for all networks, or not counted" in text


def in_ways(case: Callable[..., Case]) -> list[Record]:
    """Three networks in two runtimes: the second turns the first two around."""
    seconds = {"eager": (0.010, 0.020, 0.040), "openvino": (0.008, 0.004, 0.016)}
    made = []
    for runtime, of_networks in seconds.items():
        for number, own in enumerate(of_networks):
            processes = [[own * machine] * 4 for machine in MACHINE]
            kernels = [["layer", 10**9, 10**6]]
            measured = Measured(
                case(name=f"net{number}", runtime=runtime),
                {"machine": {"cpu": "Imaginary CPU"}},
                [
                    exact("multiply_adds", number),
                    exact("memory_access_fused", 10**6, kernels=kernels),
                    in_turn(processes, epoch_rounds=[2, 2]),
                ],
            )
            if not made:  # the roofs of the machine are taken beside the first alone
                measured.measurements += [
                    Measurement("peak_multiply_adds", samples=((1e12,),)),
                    Measurement("peak_bandwidth", samples=((1e10,),)),
                ]
            made.append(record(measured, task="rank", session="S", command="python -m benchbench"))
    return made


def test_networks_in_several_runtimes(case: Callable[..., Case]) -> None:
    """One of three pairs turns around: tau is (2 - 1) / 3. The bound is 10^9 / 10^12 s."""
    result = judge(in_ways(case), theta=0.01)
    assert [way.label for way in result.ways] == ["eager", "openvino"]
    (between,) = result.between
    assert (between.first, between.second) == ("eager", "openvino")
    assert between.tau is not None
    assert between.tau.value == pytest.approx(1 / 3)
    assert result.entries[0].label == "net1 openvino"
    eager, openvino = (way.correlations["multiply_adds"] for way in result.ways)
    assert eager is not None
    assert openvino is not None
    assert (eager.value, openvino.value) == (1, pytest.approx(1 / 3))
    ratios = {entry.label: entry.bound and entry.bound.ratio for entry in result.entries}
    geometric_mean = (1.0 * 1.4 * 1.1 * 0.9 * 1.2) ** (1 / 5)
    assert ratios["net0 eager"] == pytest.approx(10 * geometric_mean)
    assert ratios["net1 openvino"] == pytest.approx(4 * geometric_mean)


def test_the_report_of_several_runtimes(case: Callable[..., Case]) -> None:
    result = judge(in_ways(case), theta=0.01)
    console = Console(markup=False, file=StringIO(), width=120)
    for part in rank_tables(result, "no selftest"):
        console.print(part)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "3 networks in 2 ways on cpu" in text
    assert "eager  openvino  +0.33" in " ".join(text.split("\n")).replace("    ", "  ")
    document = rank_document(result, "no selftest")
    assert [way["runtime"] for way in document["ways"]] == ["eager", "openvino"]
    (between,) = document["kendall_tau_between"]
    assert between["value"] == pytest.approx(1 / 3)
    rows = rank_rows(result)
    assert {row["runtime"] for row in rows} == {"eager", "openvino"}
    assert all(row["over_bound"] > 1 for row in rows)


def test_the_same_network_twice_has_no_tau(case: Callable[..., Case]) -> None:
    """Of one network in two runtimes there is an order of runtimes, and none of networks."""
    both = [found for found in in_ways(case) if found.case.name == "net0"]
    result = judge(both, theta=0.01)
    assert [entry.label for entry in result.entries] == ["net0 openvino", "net0 eager"]
    assert result.between == ()
