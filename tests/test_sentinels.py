"""Sentinels, from texts as proc(5) describes them, and figures worked out by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchbench import sentinels
from benchbench.cgroup import Throttling
from benchbench.cores import cores
from benchbench.sentinels import (
    Jiffies,
    Snapshot,
    core_jiffies,
    difference,
    idlest,
    idlest_core,
    read,
)

# user nice system idle iowait irq softirq steal guest guest_nice
STAT = """\
cpu  410 20 60 2000 40 2 8 60 100 0
cpu0 100 10 20 800 30 1 4 35 0 0
cpu1 300 10 40 1200 10 1 4 25 100 0
intr 9597953 0 0
ctxt 9873004
procs_running 5
procs_blocked 1
"""
CPUINFO = """\
processor\t: 0
model name\t: Imaginary: CPU
cpu MHz\t\t: 2400.000

processor\t: 1
cpu MHz\t\t: 3000.500
"""


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two cores that we may use both, five runnable threads of which two are ours."""
    monkeypatch.setattr(sentinels, "cores", lambda: [0, 1])
    folder = tmp_path / "proc"
    for number, name in enumerate(("1 (python) R", "2 (a) S (b) R", "3 (R) S")):
        (folder / f"self/task/{number}").mkdir(parents=True)
        (folder / f"self/task/{number}/stat").write_text(f"{name} 1 2 3\n")
    (folder / "stat").write_text(STAT)
    (folder / "loadavg").write_text("1.25 0.92 1.03 2/89 25710\n")
    (folder / "cpuinfo").write_text(CPUINFO)
    return folder


def test_a_core_s_time_is_everything_but_a_guest_s() -> None:
    assert core_jiffies(STAT) == {0: Jiffies(1000, 830, 35), 1: Jiffies(1590, 1210, 25)}
    assert core_jiffies("cpu0 1 2 3 4\n") == {0: Jiffies(10, 4, 0)}  # before Linux 2.5.41
    assert core_jiffies("") == {}


def test_a_snapshot_of_known_files(proc: Path, tmp_path: Path) -> None:
    (tmp_path / "group").mkdir()
    (tmp_path / "group/cpu.stat").write_text("nr_throttled 3\nthrottled_usec 250000\n")
    found = read(proc, tmp_path / "none", (tmp_path / "group",))
    assert (found.jiffies, found.stolen_jiffies) == (2590, 60)
    assert found.runnable == 3
    assert found.load == 1.25
    assert found.throttled == Throttling(3, 0.25)
    assert found.frequency_mhz == pytest.approx(2700.25)


def test_only_the_cores_we_may_use_count(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentinels, "cores", lambda: [1])
    found = read(proc, proc)
    assert (found.cores, found.jiffies, found.stolen_jiffies) == ((1,), 1590, 25)
    assert found.frequency_mhz == 3000.5


def test_cpufreq_is_asked_first(proc: Path, tmp_path: Path) -> None:
    for core, kilohertz in ((0, "1800000\n"), (1, "<unknown>\n"), (7, "9000000\n")):
        folder = tmp_path / f"cpu/cpu{core}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_cur_freq").write_text(kilohertz)
    assert read(proc, tmp_path / "cpu").frequency_mhz == 1800


def test_what_the_system_does_not_tell_is_none(tmp_path: Path) -> None:
    found = read(tmp_path, tmp_path, ())
    assert found[5:] == (None,) * 6
    assert found.cpu_seconds > 0
    told = difference(found, found, 1)
    assert [name for name, value in told.items() if value is not None] == ["wall_seconds"]


def test_this_machine_answers() -> None:
    before, after = read(), read()
    assert after.wall_seconds > before.wall_seconds
    assert after.cpu_seconds >= before.cpu_seconds
    assert after.cores == tuple(cores())
    if Path("/proc/stat").exists():
        assert after.jiffies
        assert after.runnable is not None


@pytest.fixture
def snapshot() -> Callable[..., Snapshot]:
    def make(**changes: object) -> Snapshot:
        at_rest = Snapshot(100.0, 7.0, 50, 20, (0, 1), 1000, 60, 3, 0.5, Throttling(4, 1.0), 3000.0)
        return at_rest._replace(**changes)  # type: ignore[arg-type]

    return make


def test_a_difference_worked_out_by_hand(snapshot: Callable[..., Snapshot]) -> None:
    """10 s with 2 threads: 20 s of time to be had, of which 15 s were got."""
    after = snapshot(
        wall_seconds=110.0,
        cpu_seconds=22.0,
        involuntary_switches=50,
        jiffies=3000,
        stolen_jiffies=100,
        runnable=1,
        load=2.5,
        throttled=Throttling(6, 2.0),
        frequency_mhz=2700.0,
    )
    assert difference(snapshot(), after, 2) == {
        "wall_seconds": 10.0,
        "cpu_share": 0.75,
        "involuntary_switches_per_second": 3.0,
        "steal_share": 0.02,
        "throttled_periods": 2,
        "throttled_share": 0.05,
        "load": 2.5,
        "runnable": 1,
        "frequency_mhz_before": 3000.0,
        "frequency_mhz_after": 2700.0,
    }


def test_a_process_moved_to_other_cores_cannot_tell_steal(
    snapshot: Callable[..., Snapshot],
) -> None:
    after = snapshot(cores=(1,), jiffies=2500, stolen_jiffies=70, wall_seconds=110.0)
    assert difference(snapshot(), after, 1)["steal_share"] is None
    assert difference(snapshot(), after._replace(cores=(0, 1)), 1)["steal_share"] == 10 / 1500


def ticks(**idle_of_ten: int) -> tuple[dict[int, Jiffies], dict[int, Jiffies]]:
    """Ten ticks of each core, of which so many idle; before them, the opposite of each."""
    names = {int(name[1:]): idle for name, idle in idle_of_ten.items()}
    before = {core: Jiffies(1000, 1000 - 90 * idle, 0) for core, idle in names.items()}
    after = {core: Jiffies(1010, before[core].idle + idle, 0) for core, idle in names.items()}
    return before, after


@pytest.mark.parametrize(
    ("idle", "allowed", "siblings", "expected"),
    [
        ({"c0": 9, "c1": 2, "c2": 8}, [0, 1, 2], {}, 0),
        ({"c0": 3, "c1": 2, "c2": 8}, [0, 1], {}, 0),  # core 2 is idler, and not ours
        ({"c0": 10, "c1": 10, "c2": 10}, [0, 1, 2], {}, 1),  # not the one that serves interrupts
        ({"c0": 10}, [0], {}, 0),
        # The idlest core shares its arithmetic units with the busiest.
        ({"c0": 4, "c1": 7, "c2": 10, "c3": 0}, [0, 1, 2], {1: [0, 1], 2: [2, 3]}, 1),
        ({}, [0, 4, 5], {}, 4),  # nothing known
    ],
)
def test_the_idlest_core(
    idle: dict[str, int], allowed: list[int], siblings: dict[int, list[int]], expected: int
) -> None:
    assert idlest(*ticks(**idle), allowed, siblings) == expected


def test_no_core_allowed_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        idlest({}, {}, [], {})


def test_a_core_is_chosen_among_those_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after are two readings: core 0 idles between them, core 1 works."""
    texts = ["cpu0 5 0 0 90\ncpu1 5 0 0 95\n", "cpu0 5 0 0 100\ncpu1 15 0 0 95\n"]
    slept: list[float] = []
    monkeypatch.setattr(sentinels, "siblings", lambda *_: [])
    monkeypatch.setattr(sentinels, "_text", lambda _: texts[len(slept)])
    monkeypatch.setattr(sentinels.time, "sleep", slept.append)
    assert idlest_core([0, 1], seconds=0.25) == 0
    assert slept == [0.25]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
def test_the_core_found_can_be_pinned_to() -> None:
    allowed = os.sched_getaffinity(0)
    found = idlest_core(cores(), seconds=0.02)
    try:
        os.sched_setaffinity(0, {found})
        assert read().cores == (found,)
    finally:
        os.sched_setaffinity(0, allowed)
