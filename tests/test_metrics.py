"""How numbers are printed."""

from __future__ import annotations

import pytest

from benchbench.measurements import ESTIMATORS
from benchbench.metrics import METRICS, PER_IMAGE, show, si


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.02131, "s", "21.31 ms"),
        (1.5e-6, "s", "1.500 µs"),
        (104505360, "B", "104.5 MB"),
        (999.96, "B", "1.000 kB"),
        (999.94, "B", "999.9 B"),
        (0, "B", "0.000 B"),
        (385814752, "", "385.8 M"),
        (12, "", "12.00"),
    ],
)
def test_si_prefixes(value: float, unit: str, expected: str) -> None:
    assert si(value, unit) == expected


def test_counts_are_printed_in_full_and_absent_is_not_zero() -> None:
    assert show("multiply_adds", 385814752) == "385,814,752"
    assert show("latency", 0.0213) == "21.30 ms"
    assert show("peak_memory", None) == "not available"
    assert (show("top1", 0.77106), show("top5", 1)) == ("77.11 %", "100.00 %")
    assert show("top1", None) == "not available"


def test_a_ratio_is_no_count_and_energy_has_a_prefix() -> None:
    assert show("launch_bound", 1.4) == "1.40"
    assert show("graph_time", 0.00069) == "690.0 µs"
    assert show("energy", 0.1234) == "123.4 mJ"


def test_the_table_is_consistent() -> None:
    assert set(PER_IMAGE) <= set(METRICS)
    assert {metric.estimator for metric in METRICS.values()} == set(ESTIMATORS)
    assert all("MAC" not in metric.label for metric in METRICS.values())
