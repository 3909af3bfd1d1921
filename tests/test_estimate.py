"""The time of a run, said before it begins: against what the budget grants, and what runs took."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from conftest import Finished

from benchbench.cases import Case
from benchbench.config import BudgetSettings, ProfilerSettings
from benchbench.estimate import Estimate, Size, duration, estimate
from benchbench.schedule import processes

SMALL = Size(launches=100, multiply_adds=1e8)
LATENCY = ProfilerSettings(latency=True)


def seconds(cases: list[Case], budget: BudgetSettings) -> Estimate:
    return estimate(cases, list(processes(cases, LATENCY, budget)), [SMALL] * len(cases))


def test_a_run_takes_at_least_what_its_budget_grants(case: Callable[..., Case]) -> None:
    """Of eight networks in turn: 8 x 4 s in each of 5 processes, and 3 s to start each of them."""
    cases = [case(name=str(number)) for number in range(8)]
    found = seconds(cases, BudgetSettings(processes=5, seconds=4.0))
    assert 5 * (8 * 4 + 3) < found.seconds < 2 * 5 * (8 * 4 + 3)
    assert found.preparation_seconds == 0
    twice = seconds(cases, BudgetSettings(processes=10, seconds=4.0))
    assert twice.seconds == pytest.approx(2 * found.seconds)


def test_what_is_exported_is_told_apart(case: Callable[..., Case]) -> None:
    budget = BudgetSettings(processes=1, seconds=1.0)
    eager = seconds([case()], budget)
    exported = seconds([case(runtime="onnxruntime")], budget)
    assert exported.preparation_seconds > 3  # a process of its own
    assert exported.seconds == pytest.approx(eager.seconds + exported.preparation_seconds)


# Seconds that these took on a 2-core Xeon.
TOOK = {
    "task=guidelines budget=quick": 369,
    "task=scaling budget=quick": 645,
    "model=efficientnet_b0": 50,
}


@pytest.mark.parametrize("line", TOOK)
def test_a_plan_says_about_how_long_it_takes(cli: Callable[..., Finished], line: str) -> None:
    finished = cli(*line.split(), "plan=true", "output=json")
    assert finished.code == 0, finished.err
    found = json.loads(finished.out)["estimate"]
    assert TOOK[line] / 2 < found["seconds"] < 2 * TOOK[line]
    assert 0 <= found["preparation_seconds"] < found["seconds"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.4, "1 s"), (3, "3 s"), (42, "40 s"), (89, "90 s"), (100, "2 min"), (4800, "1 h 20 min")],
)
def test_a_duration_has_no_more_digits_than_an_estimate(value: float, text: str) -> None:
    assert duration(value) == text
