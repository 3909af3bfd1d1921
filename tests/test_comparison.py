"""How the zoo's benchmark judges: no clock in here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from benchmarks.comparison import (
    Key,
    Ratio,
    geometric_mean,
    library_table,
    log_ratios,
    network_table,
    notable,
    ratio,
    verdicts,
)
from benchmarks.contestants import cells


def document(**ratios: float) -> dict[str, Any]:
    """A process in which ours took 2 ms, and each library that by its ratio, in three rounds."""
    ours = [0.001, 0.002, 0.009]  # the last round was disturbed, for all alike
    seconds = {label: [mine / value for mine in ours] for label, value in ratios.items()}
    cell = {"network": "net", "batch": 1, "seconds": {"ours": ours} | seconds}
    return {"cells": [cell]}


def test_a_process_is_the_median_of_its_rounds() -> None:
    seconds = {"ours": [1.0, 1.0, 1.0], "timm": [2.0, 4.0, 100.0]}
    found = log_ratios([{"cells": [{"network": "net", "batch": 8, "seconds": seconds}]}])
    assert found == {Key("net", 8, "timm"): [math.log(1 / 4)]}


def test_interval_is_students() -> None:
    """Five logs of mean 0 and standard deviation 0.01: t(0.975, 4) is 2.776 in any table."""
    logs = [0.01 * value for value in (-1.2649, -0.6325, 0.0, 0.6325, 1.2649)]
    found = ratio(logs)
    assert found.value == pytest.approx(1.0)
    assert math.log(found.high) == pytest.approx(2.776 * 0.01 / math.sqrt(5), rel=1e-3)
    assert found.low * found.high == pytest.approx(1.0)


def test_one_process_has_no_interval() -> None:
    found = ratio([math.log(0.9)])
    assert math.isnan(found.low)
    assert str(found) == "0.900"
    assert verdicts({Key("net", 1, "timm"): [math.log(0.9)]}) == ["- timm: 0.900, NOT met"]


@pytest.mark.parametrize("processes", [3, 5, 10])
def test_interval_covers_the_truth_as_often_as_it_says(processes: int) -> None:
    random = np.random.default_rng(0)
    trials = 4000
    logs = random.normal(math.log(0.97), 0.01, (trials, processes))
    covered = sum(found.low <= 0.97 <= found.high for found in map(ratio, logs.tolist()))
    assert 0.93 <= covered / trials <= 0.97


def test_geometric_mean_keeps_what_a_process_does_to_all_networks() -> None:
    """Two networks that a process moves together: their mean is no more certain than each."""
    shared = [-0.02, 0.0, 0.02]
    together, alone = geometric_mean([shared, shared]), ratio(shared)
    assert together.low == pytest.approx(alone.low)
    against = geometric_mean([shared, shared[::-1]])  # and one where it cancels
    assert against.high == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([0.97, 0.98, 0.99], "met"),
        ([1.001, 1.001, 1.001], "NOT met"),  # over 1.00, however certain
        ([0.90, 0.99, 1.08], "NOT met"),  # below 1.00, and nobody knows
    ],
)
def test_verdict_wants_the_estimate_and_the_interval(ratios: list[float], expected: str) -> None:
    logs = log_ratios([document(timm=value) for value in ratios])
    (line,) = verdicts(logs)
    assert line.endswith(f", {expected}")


def test_the_control_gets_no_verdict_and_stands_last() -> None:
    logs = log_ratios([document(**{"ours again": 1.0, "timm": 0.9}) for _ in range(3)])
    assert [line.split(":")[0] for line in verdicts(logs)] == ["- timm"]
    assert [row[0] for row in library_table(logs)] == ["library", "timm", "ours again"]


def test_notable_is_only_what_its_interval_leaves_over_five_per_cent() -> None:
    sure = [document(timm=value, pytorchcv=1.06) for value in (1.10, 1.11, 1.12)]
    assert len(notable(log_ratios(sure))) == 2
    unsure = [document(timm=value) for value in (0.9, 1.11, 1.4)]
    assert notable(log_ratios(unsure)) == []


def test_fastest_reference_is_the_one_ours_looks_worst_beside() -> None:
    logs = log_ratios([document(timm=0.9, pytorchcv=1.2, **{"ours again": 1.5})] * 2)
    head, row = network_table(logs, {("net", 1): 2.0}, 1)
    assert row[head.index("fastest reference")] == "pytorchcv"
    assert row[:2] == ("net", "2.00")


def test_a_ratio_prints_its_interval() -> None:
    assert str(Ratio(0.98149, 0.97, 0.9929)) == "0.981 [0.970, 0.993]"


def test_a_network_is_compared_with_one_of_each_library_that_pads_alike() -> None:
    alike, same = cells("efficientnet_b0")
    assert alike.arguments == {}
    assert {item.library for item in alike.references} == {"torchvision", "timm", "pytorchcv"}
    assert same.name == "efficientnet_b0 padding=same"
    assert [item.library for item in same.references] == ["efficientnet-lite-pytorch"]
