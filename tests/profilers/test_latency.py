"""Latency with a clock that the test turns: a call of known length gives that length."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement
from benchbench.profilers import latency as module
from benchbench.runtimes.eager import Running


@dataclass
class World:
    """A clock, and a network whose calls take the given seconds, the last one for ever."""

    durations: list[float]
    now: float = 1000.0
    calls: int = 0
    synchronised_at: list[float] = field(default_factory=list)

    def call(self) -> None:
        self.now += self.durations[min(self.calls, len(self.durations) - 1)]
        self.calls += 1

    def prepare(self, case: Case) -> Running:
        self.now += 0.25  # building
        return Running(self.call, lambda: self.synchronised_at.append(self.now))


def measured(
    world: World,
    case: Case,
    monkeypatch: pytest.MonkeyPatch,
    budget: BudgetSettings,
    beat: Callable[[float], bool] = lambda _: True,
) -> Measurement:
    monkeypatch.setattr(module, "prepare", world.prepare)
    monkeypatch.setattr(module, "perf_counter", lambda: world.now)
    monkeypatch.setattr(module, "perf_counter_ns", lambda: round(world.now * 1e9))
    (found,) = module.latency(case, budget, beat)
    return found


BUDGET = BudgetSettings(seconds=1.0, warm_up_seconds=0.5, min_samples=10)


def test_a_call_of_20_ms(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([0.9, 0.05, 0.02])  # a cold first call, a slow second
    found = measured(world, case(), monkeypatch, BUDGET)
    assert found.details["build_seconds"] == pytest.approx(0.25)
    assert found.details["first_call_seconds"] == pytest.approx(0.9)
    warm_up = found.details["warm_up_seconds"]
    assert warm_up[0] == pytest.approx(0.05)
    assert 0.5 <= sum(warm_up) < 0.53
    samples = len(found.flat)
    assert samples in (50, 51)  # one second of them, in floating point
    assert found.flat == pytest.approx([0.02] * samples)
    assert found.value == pytest.approx(0.02)
    assert found.details["calls_per_sample"] == 1
    assert len(world.synchronised_at) == 2 * (1 + len(warm_up) + samples)  # around every sample


def test_short_calls_are_timed_several_at_a_time(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least 1 ms a sample: ten of 0.1 ms."""
    found = measured(World([1e-4]), case(), monkeypatch, BUDGET)
    assert found.details["calls_per_sample"] == 10
    assert found.value == pytest.approx(1e-4)
    assert len(found.flat) == pytest.approx(1000, abs=1)


def test_slow_networks_get_the_fewest_samples_all_the_same(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measured(World([3.0]), case(), monkeypatch, BUDGET)
    assert len(found.flat) == 10
    assert len(found.details["warm_up_seconds"]) == 3


def test_no_outlier_is_dropped(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured(World([0.1] * 8 + [7.0]), case(), monkeypatch, BUDGET)
    assert max(found.flat) == pytest.approx(7.0)


def beats(count: int) -> Callable[[float], bool]:
    """Go on so many times, then stop."""
    answers: Iterator[bool] = iter([True] * count)
    return lambda _: next(answers, False)


def test_stopped_early_it_yields_what_it_has(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measured(World([0.2]), case(), monkeypatch, BUDGET, beats(3 + 4))
    assert found.flat == pytest.approx([0.2] * 4)


def test_stopped_in_the_warm_up_it_is_absent_and_not_zero(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measured(World([0.2]), case(), monkeypatch, BUDGET, beats(1))
    assert found.value is None
    assert "interrupted" in str(found.reason)


def test_garbage_is_collected_again_afterwards(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(World([0.2]), case(), monkeypatch, BUDGET)
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
