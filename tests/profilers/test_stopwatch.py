"""The host's clock and the kernel's account of waiting, both turned by the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchbench.profilers import stopwatch as module
from benchbench.profilers.stopwatch import Stopwatch, calls_per_sample


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
    """Let time pass: so many seconds in all, of which the thread waited for a core so long."""
    schedule = tmp_path / "schedstat"
    state = {"now": 50.0, "waited": 3.0}

    def spend(seconds: float, waited: float) -> None:
        state["now"] += seconds
        state["waited"] += waited
        schedule.write_text(f"123456789 {round(1e9 * state['waited'])} 77\n")

    spend(0.0, 0.0)
    monkeypatch.setattr(module, "SCHEDULE", str(schedule))
    monkeypatch.setattr(module, "perf_counter_ns", lambda: round(1e9 * state["now"]))
    return spend


def test_a_wait_for_a_core_is_no_time_of_the_call(kernel: Callable[[float, float], None]) -> None:
    """20 ms, 5 of them on no core; while a call that sleeps waits for itself and counts whole."""
    watch = Stopwatch(lambda: None, threads=1)
    sample = watch.time(lambda: kernel(0.020, 0.005))
    assert sample == (pytest.approx(0.020), pytest.approx(0.005))
    assert sample.own == pytest.approx(0.015)
    assert watch.time(lambda: kernel(0.020, 0.0)).own == pytest.approx(0.020)
    watch.close()


def test_several_calls_share_their_time(kernel: Callable[[float, float], None]) -> None:
    watch = Stopwatch(lambda: None, threads=1)
    sample = watch.time(lambda: kernel(0.004, 0.001), calls=5)
    assert sample == (pytest.approx(0.004), pytest.approx(0.001))
    watch.close()


def test_the_device_is_waited_for_before_and_after(
    kernel: Callable[[float, float], None],
) -> None:
    """What was queued before is not counted; what the call queues is."""
    pending = [0.5, 0.25]
    watch = Stopwatch(lambda: kernel(pending.pop(0), 0.0), threads=1)
    assert watch.time(lambda: kernel(0.01, 0.0)).seconds == pytest.approx(0.26)
    watch.close()


def test_of_several_threads_no_wait_is_known(kernel: Callable[[float, float], None]) -> None:
    watch = Stopwatch(lambda: None, threads=2)
    assert watch.time(lambda: kernel(0.02, 0.015)).own == pytest.approx(0.02)


def test_where_the_kernel_does_not_tell_nothing_is_subtracted(
    kernel: Callable[[float, float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCHEDULE", "/nonexistent")
    watch = Stopwatch(lambda: None, threads=1)
    assert watch.time(lambda: kernel(0.02, 0.015)).own == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("seconds", "cost", "calls"),
    [(0.02, 5e-8, 1), (1e-4, 5e-8, 10), (1e-4, 5e-6, 50), (0.0, 5e-8, 10**6)],
)
def test_a_sample_is_a_millisecond_and_a_thousand_readings(
    seconds: float, cost: float, calls: int
) -> None:
    assert calls_per_sample(seconds, cost) == calls


def test_what_a_reading_costs_and_how_fine_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands still for two readings of three, and then jumps by 30 ns or 90.

    Ten readings last 150 ns, with nine gaps; the smallest step is 30 ns.
    """
    ticks = iter([0, 0, 0, 30, 30, 30, 120, 120, 120, 150] * 2000)
    monkeypatch.setattr(module, "perf_counter_ns", lambda: next(ticks))
    assert module.timer_cost(10) == pytest.approx(150e-9 / 9)
    assert module.clock_resolution(10) == pytest.approx(30e-9)
