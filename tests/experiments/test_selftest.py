"""What a machine can see, from two records of made-up noise."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from statistics import stdev

import pytest
from made import in_turn, record

from benchbench.cases import Case
from benchbench.errors import NoEvidence
from benchbench.experiments.selftest import NAMES, cases, judge, known_threshold
from benchbench.measure import Measured
from benchbench.records import Record
from benchbench.report.selftest import selftest_document, selftest_tables

NOISE = (1.012, 0.990, 1.004, 0.985, 1.009)
CLOCK = {"timer_cost": 4e-8, "clock_resolution": 1e-9}


def pair(case: Case, ratios: tuple[float, ...], session: str = "S") -> list[Record]:
    made = []
    for one, factors in zip(cases(case), ((1.0,) * len(ratios), ratios), strict=True):
        processes = [[0.006 * factor] * 2 for factor in factors]
        latency = in_turn(processes, epoch_rounds=[2], **CLOCK)
        measured = Measured(one, {"machine": {"cpu": "x"}}, [latency])
        made.append(record(measured, task="selftest", session=session))
    return made


def test_noise_is_the_spread_of_a_network_against_itself(case: Callable[..., Case]) -> None:
    found = judge(pair(case(), NOISE))
    assert found.noise == pytest.approx(stdev(map(log, NOISE)))
    assert found.theta == pytest.approx(2 * found.noise)  # more than 1 %
    assert found.noise_apart == 0
    assert found.effects[3] > found.effects[5] > found.effects[10] > found.theta
    assert (found.timer_cost, found.clock_resolution) == (4e-8, 1e-9)


def test_a_quiet_machine_still_has_a_threshold_of_1_percent(case: Callable[..., Case]) -> None:
    found = judge(pair(case(), (1.001, 1.0, 0.999, 1.0, 1.001)))
    assert found.theta == 0.01
    assert str(found.verdict.answer) == "SAME"


def test_two_processes_are_no_selftest(case: Callable[..., Case]) -> None:
    with pytest.raises(NoEvidence, match="2 processes: a selftest needs at least 3"):
        judge(pair(case(), NOISE[:2]))


def test_the_latest_whole_selftest_sets_the_threshold(case: Callable[..., Case]) -> None:
    old, broken = pair(case(), (1.0,) * 5, "S1"), pair(case(), NOISE[:2], "S3")
    new = pair(case(), NOISE, "S2")
    known = known_threshold([*old, *new, *broken, broken[0]])
    assert known.theta == pytest.approx(2 * stdev(map(log, NOISE)))
    assert "selftest S2: noise 1.19 %" in known.source
    assert known_threshold([]).theta == 0.01
    assert "no selftest" in known_threshold([]).source


def test_its_document_and_table(case: Callable[..., Case]) -> None:
    from rich.console import Console

    records = pair(case(), NOISE)
    result = judge(records)
    document = selftest_document(records, result)
    assert document["noise"] == pytest.approx(0.0119, abs=1e-4)
    assert set(document["smallest_effects"]) == {"3", "5", "10"}
    assert document["itself"]["verdict"] == "AMBIGUOUS"
    assert document["clock_resolution_s"] == 1e-9
    console = Console(markup=False, width=140, record=True)
    for part in selftest_tables(records, result):
        console.print(part)
    text = console.export_text()
    assert "1.19 %" in text
    assert "40.00 ns" in text
    assert len(NAMES) == 2
