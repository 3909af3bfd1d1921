"""What networks that took turns say about each other, from what a record keeps."""

from __future__ import annotations

import math

import pytest
from made import in_turn

from benchbench.measurements import Measurement
from benchbench.rounds import log_ratios, own_block_values, shares


def test_waits_for_a_core_are_taken_off() -> None:
    """Blocks of 2 samples: medians of (1.0, 2.0) and (3.0, 4.0) seconds without the waits."""
    latency = Measurement(
        "latency",
        samples=((1.5, 2.0, 3.0, 5.0),),
        details={
            "processes": [
                {"block_samples": [2, 2], "waited_ns": [5 * 10**8, 0, 0, 10**9], "epoch_rounds": []}
            ]
        },
    )
    assert own_block_values(latency, 0) == [1.5, 3.5]


def test_one_ratio_a_process() -> None:
    baseline = in_turn([[1.0, 2.0], [1.0, 1.0]], epoch_rounds=[2])
    candidate = in_turn([[2.0, 4.0], [3.0, 3.0]], epoch_rounds=[2])
    assert log_ratios(candidate, baseline) == pytest.approx([math.log(2), math.log(3)])


def test_a_round_that_was_cut_short_counts_for_nobody() -> None:
    """Ctrl-C after the first network's third block: two whole rounds, the last epoch empty."""
    baseline = in_turn([[1.0, 1.0, 9.0]], epoch_rounds=[2, 1])
    cut = in_turn([[2.0, 2.0]], epoch_rounds=[2])
    assert log_ratios(cut, baseline) == pytest.approx([math.log(2)])
    assert shares([baseline, cut]) == [pytest.approx([-math.log(2) / 2, math.log(2) / 2])]


def test_processes_that_only_one_of_them_has_are_left_out() -> None:
    baseline = in_turn([[1.0], [1.0], [1.0]], epoch_rounds=[1])
    assert len(log_ratios(in_turn([[2.0], [2.0]], epoch_rounds=[1]), baseline)) == 2
