"""Latency with a clock that the test turns: calls of known length give that length."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import pytest

from benchbench.cases import Case
from benchbench.config import BudgetSettings
from benchbench.measurements import Measurement
from benchbench.profilers import latency as module
from benchbench.profilers import stopwatch, warm_up
from benchbench.runtimes.eager import Running


@dataclass
class World:
    """A clock, and networks whose n-th calls take the given seconds, the last one for ever."""

    durations: dict[str, list[float]]
    now: float = 1000.0
    order: list[str] = field(default_factory=list)  # who was called
    copies: list[str] = field(default_factory=list)  # who was copied
    copyable: bool = True
    parts: dict[str, float] = field(default_factory=dict)

    def call(self, name: str) -> None:
        seconds = self.durations[name]
        calls = self.order.count(name) if len(seconds) > 1 else 0
        self.now += seconds[min(calls, len(seconds) - 1)]
        self.order.append(name)

    def probe(self) -> None:
        self.now += 0.002

    def part(self, name: str) -> Callable[[], None]:
        def work() -> None:
            self.now += self.parts[name]

        return work

    def prepare(self, case: Case, *, calibrated: bool = True) -> Any:
        self.now += 0.25  # building
        return Prepared(self, case.name, case)


@dataclass
class Prepared:
    world: World
    name: str
    case: Case

    def activations(self) -> dict[str, Any]:
        return {"problems": []}

    def running(self) -> Running:
        parts = {name: self.world.part(name) for name in self.world.parts}
        return Running(lambda: self.world.call(self.name), lambda: None, parts)

    def copied(self) -> Running:
        if not self.world.copyable:
            raise TypeError("not to be copied")
        self.world.copies.append(self.name)
        return self.running()


Measure = Callable[..., list[dict[str, Measurement]]]
BUDGET = BudgetSettings(seconds=1.0, warm_up_seconds=0.5, warm_up_limit_seconds=5.0, min_samples=10)


@pytest.fixture
def measure(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> Measure:
    """What latency finds of networks in a made-up world: by case, by metric."""

    def run(
        world: World,
        budget: BudgetSettings = BUDGET,
        beat: Callable[[float], bool] = lambda _: True,
        number: int = 0,
        turns: Mapping[str, str] = MappingProxyType({}),
        **changes: Any,
    ) -> list[dict[str, Measurement]]:
        monkeypatch.setattr(module, "prepare", world.prepare)
        monkeypatch.setattr(module, "control_probe", lambda _: world.probe)
        for clock in (module, warm_up):
            monkeypatch.setattr(clock, "perf_counter", lambda: world.now)
        monkeypatch.setattr(stopwatch, "perf_counter_ns", lambda: round(world.now * 1e9))
        monkeypatch.setattr(stopwatch, "SCHEDULE", "/nonexistent")
        for user in (module, warm_up):
            monkeypatch.setattr(user, "timer_cost", lambda: 50e-9)
        monkeypatch.setattr(module, "clock_resolution", lambda: 1e-9)
        cases = [case(name=name, turn=turns.get(name, ""), **changes) for name in world.durations]
        found: list[dict[str, Measurement]] = [{} for _ in cases]
        for index, measurement in module.latency(cases, budget, beat, number):
            found[index][measurement.metric] = measurement
        return found

    return run


def details(found: dict[str, Measurement]) -> dict[str, Any]:
    (process,) = found["latency"].processes
    return dict(process)


def test_a_call_of_20_ms(measure: Measure) -> None:
    """The first call and the time to build stand apart, and no wait is made of it."""
    (found,) = measure(World({"a": [0.9, 0.05, 0.02]}))
    assert found["build_time"].flat == pytest.approx([0.25])
    assert found["cold_start"].flat == pytest.approx([0.9])
    latency = found["latency"]
    assert latency.flat == pytest.approx([0.02] * len(latency.flat))
    known = details(found)
    assert known["calls_per_sample"] == 1
    assert set(known["block_samples"]) <= {5, 6}  # a block is 100 ms at least
    assert sum(known["block_samples"]) == len(latency.flat)
    assert sum(known["epoch_rounds"]) == len(known["block_samples"]) == len(known["probe"])
    assert known["probe"] == pytest.approx([0.002] * len(known["probe"]))
    assert set(known["waited_ns"]) == {0}


def test_it_stops_when_it_is_precise_and_says_so(measure: Measure) -> None:
    """Equal samples have an interval of no width; but never before four epochs."""
    (found,) = measure(World({"a": [0.02]}), replace(BUDGET, seconds=9.0))
    assert details(found)["stopped"] == "precise"
    assert len(details(found)["epoch_rounds"]) == module.FEWEST_EPOCHS


def test_it_stops_at_the_budget_and_says_so(measure: Measure) -> None:
    """Calls of 10 to 30 ms in turn are never precise within a second."""
    (found,) = measure(World({"a": [0.01, 0.03] * 500}))
    assert details(found)["stopped"] == "budget"
    assert 0.5 < sum(found["latency"].flat) < 1.3  # copies and the probe take the rest


def test_short_calls_are_timed_several_at_a_time(measure: Measure) -> None:
    """At least 1 ms a sample: ten of 0.1 ms; and 100 samples or so make a block of 100 ms."""
    (found,) = measure(World({"a": [1e-4]}))
    assert details(found)["calls_per_sample"] == 10
    assert found["latency"].value == pytest.approx(1e-4)
    assert set(details(found)["block_samples"]) <= {100, 101}


def test_slow_networks_get_the_fewest_samples_all_the_same(measure: Measure) -> None:
    (found,) = measure(World({"a": [3.0]}))
    assert len(found["latency"].flat) == 12  # four epochs of three rounds of one sample
    known = details(found)
    assert known["stopped"] == "precise"  # they are all equal
    assert known["warm_up"]["calls"] == 3
    assert known["warm_up"]["steady"] is None  # too few calls to tell


def test_a_warm_up_goes_on_until_calls_are_even(measure: Measure) -> None:
    """60 calls that get shorter, then equal ones: 40 of these are two windows that agree."""
    falling = [0.05 * 0.97**step for step in range(60)]
    (found,) = measure(World({"a": [0.1, *falling, 0.008]}))
    assert details(found)["warm_up"]["steady"] is True
    assert 60 < details(found)["warm_up"]["calls"] <= 101


def test_no_outlier_is_dropped(measure: Measure) -> None:
    """Six slow calls in a row: at most five of them are on a new copy or first in a block."""
    (found,) = measure(World({"a": [0.02] * 60 + [7.0] * 6 + [0.02] * 10}))
    assert max(found["latency"].flat) == pytest.approx(7.0)


def test_networks_take_turns_in_balanced_orders(measure: Measure) -> None:
    """Each stands at each place equally often, and so do their copies."""
    world = World({"a": [0.02], "b": [0.03], "c": [0.04], "d": [0.05]})
    found = measure(world, BudgetSettings(seconds=4.0, warm_up_seconds=0.0, min_samples=64))
    assert [each["latency"].value for each in found] == pytest.approx([0.02, 0.03, 0.04, 0.05])
    rounds = [details(each)["epoch_rounds"] for each in found]
    assert rounds[0] == rounds[1] == rounds[2] == rounds[3]
    assert "build_time" not in found[0]  # of several in a process it would be the others' too
    copies = ["".join(world.copies[i : i + 4]) for i in range(0, len(world.copies), 4)]
    assert all(sorted(copy) == list("abcd") for copy in copies)
    assert all(one == other[::-1] for one, other in zip(copies[::2], copies[1::2], strict=False))
    assert len({*copies}) > 2


def test_one_turn_comes_after_the_other(measure: Measure) -> None:
    """What stands between them in the list does not stand between them in time."""
    world = World({"a": [0.02], "b": [0.03], "c": [0.04], "d": [0.05]})
    turns = {"a": "one", "b": "two", "c": "one", "d": "two"}
    found = measure(world, BudgetSettings(seconds=1.0, warm_up_seconds=0.0), turns=turns)
    assert [each["latency"].value for each in found] == pytest.approx([0.02, 0.03, 0.04, 0.05])
    copies = "".join(world.copies)
    assert max(map(copies.rindex, "ac")) < min(map(copies.index, "bd"))
    assert details(found[0])["probe"] == details(found[2])["probe"]
    assert details(found[0])["probe"] is not details(found[1])["probe"]


def test_stopped_between_two_turns_the_second_is_not_begun(measure: Measure) -> None:
    world = World({"a": [0.02], "b": [0.03], "c": [0.04], "d": [0.05]})
    turns = {"a": "one", "b": "one", "c": "two", "d": "two"}
    found = measure(world, turns=turns, beat=lambda fraction: fraction < 0.4)
    assert "latency" in found[0]
    assert "latency" not in found[2]


def test_processes_begin_with_different_orders(measure: Measure) -> None:
    worlds = [World({"a": [0.02], "b": [0.03]}) for _ in range(2)]
    for number, world in enumerate(worlds):
        measure(world, number=number)
    assert worlds[0].copies[:2] == worlds[1].copies[:2][::-1]


def test_what_cannot_be_copied_is_measured_where_it_is(measure: Measure) -> None:
    (found,) = measure(World({"a": [0.02]}, copyable=False))
    assert found["latency"].value == pytest.approx(0.02)
    assert details(found)["copied"] is False


def test_parts_of_a_step_are_timed_apart(measure: Measure) -> None:
    parts = {"forward": 0.01, "backward": 0.02, "optimiser_step": 0.005}
    (found,) = measure(World({"a": [0.04]}, parts=parts))
    assert found["latency"].value == pytest.approx(0.04)
    assert {name: found[f"{name}_time"].value for name in parts} == pytest.approx(parts)
    assert len(found["forward_time"].flat) >= BUDGET.min_samples


def test_a_cold_cache_is_made_before_every_call_and_not_timed(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World({"a": [0.02]})
    evictions: list[int] = []

    def evict() -> None:
        world.now += 0.1
        evictions.append(len(world.order))

    monkeypatch.setattr(module, "evictor", lambda _: (evict, 960))
    (found,) = measure(world, cache="cold")
    assert found["latency"].flat == pytest.approx([0.02] * len(found["latency"].flat))
    assert len(evictions) == len(found["latency"].flat)
    assert details(found)["evicted_bytes"] == 960


def beats(count: int) -> Callable[[float], bool]:
    """Go on so many times, then stop."""
    answers: Iterator[bool] = iter([True] * count)
    return lambda _: next(answers, False)


def test_stopped_early_it_yields_what_it_has(measure: Measure) -> None:
    """Five beats of the warm-up, then four rounds."""
    (found,) = measure(World({"a": [0.2]}), BudgetSettings(warm_up_limit_seconds=0.5), beats(5))
    assert details(found)["stopped"] == "interrupted"
    assert 0 < len(found["latency"].flat) <= 4


def test_stopped_in_the_warm_up_it_is_absent_and_not_zero(measure: Measure) -> None:
    (found,) = measure(World({"a": [0.2]}), BUDGET, beats(1))
    assert found["latency"].value is None
    assert "interrupted" in str(found["latency"].reason)


def test_garbage_is_collected_again_afterwards(measure: Measure) -> None:
    measure(World({"a": [0.2]}))
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
