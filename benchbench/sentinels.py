"""Sentinels: what disturbed a measurement, read before and after it, never during.

What a system does not tell is None, never an error and never a guess. Source of the formats:
proc(5) and the kernel's admin-guide/pm/cpufreq.rst.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from benchbench import cgroup
from benchbench.cores import cores, siblings

PROC = Path("/proc")
SYSTEM_CORES = Path("/sys/devices/system/cpu")


class Snapshot(NamedTuple):
    """The machine and this process at one moment. Counters go up from an arbitrary start."""

    wall_seconds: float
    cpu_seconds: float  # of all threads of this process
    voluntary_switches: int
    involuntary_switches: int
    cores: tuple[int, ...]  # that this process may use
    jiffies: int | None  # of these cores, whatever they did
    stolen_jiffies: int | None  # of these, what the hypervisor gave to others
    runnable: int | None  # threads of others that run or want to, on the whole machine
    load: float | None  # the mean number of those and ours, over a minute
    throttled: cgroup.Throttling | None
    frequency_mhz: float | None  # the mean of these cores


class Jiffies(NamedTuple):
    """What a core did since the machine started, in ticks of mostly 10 ms."""

    total: int
    idle: int
    stolen: int


def read(
    proc: Path = PROC, system_cores: Path = SYSTEM_CORES, groups: Sequence[Path] | None = None
) -> Snapshot:
    """The state of now, for `difference`. Under 1 ms on a machine of a few cores.

    `groups` are the folders of the control groups, this process's own unless given.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    allowed = cores()
    stat = _text(proc / "stat")
    busy = [found for core, found in core_jiffies(stat).items() if core in allowed]
    return Snapshot(
        wall_seconds=time.perf_counter(),
        cpu_seconds=time.process_time(),
        voluntary_switches=usage.ru_nvcsw,
        involuntary_switches=usage.ru_nivcsw,
        cores=tuple(allowed),
        jiffies=sum(core.total for core in busy) if busy else None,
        stolen_jiffies=sum(core.stolen for core in busy) if busy else None,
        runnable=_runnable(stat, proc / "self/task"),
        load=_load(_text(proc / "loadavg")),
        throttled=cgroup.throttling(cgroup.folders() if groups is None else groups),
        frequency_mhz=_frequency(allowed, proc, system_cores),
    )


def difference(before: Snapshot, after: Snapshot, threads: int) -> dict[str, float | None]:
    """What happened between two snapshots of a process that computes with `threads` threads.

    cpu_share: of the time its threads could have had, what they got; 1 is undisturbed.
    steal_share: of the cores' time, what the hypervisor gave to others; None if the process was
    moved to other cores in between.
    throttled_periods, throttled_share: how often the quota of a control group ran out, and how
    long that stopped us; the share is summed over cores, per second and thread.
    load: of the last minute, so what ran before us is still in it.
    runnable: other threads that want a core, the smaller of both ends: one that wakes for a
    moment is no neighbour.
    """
    wall = after.wall_seconds - before.wall_seconds
    switches = after.involuntary_switches - before.involuntary_switches
    periods = seconds = None
    if before.throttled and after.throttled:
        periods = after.throttled.periods - before.throttled.periods
        seconds = after.throttled.seconds - before.throttled.seconds
    jiffies = _rise(before.jiffies, after.jiffies) if before.cores == after.cores else None
    ends = [end.runnable for end in (before, after) if end.runnable is not None]
    return {
        "wall_seconds": wall,
        "cpu_share": _share(after.cpu_seconds - before.cpu_seconds, wall * threads),
        "involuntary_switches_per_second": _share(switches, wall),
        "steal_share": _share(_rise(before.stolen_jiffies, after.stolen_jiffies), jiffies),
        "throttled_periods": periods,
        "throttled_share": _share(seconds, wall * threads),
        "load": after.load,
        "runnable": min(ends, default=None),
        "frequency_mhz_before": before.frequency_mhz,
        "frequency_mhz_after": after.frequency_mhz,
    }


def idlest_core(allowed: Sequence[int], seconds: float = 0.1) -> int:
    """The core to pin a measurement of one thread to: the one that idled most just now.

    Sleeps for `seconds`, so as not to be what keeps a core busy.

    Raises:
        ValueError: no core is allowed.
    """
    before = core_jiffies(_text(PROC / "stat"))
    time.sleep(seconds)
    after = core_jiffies(_text(PROC / "stat"))
    return idlest(before, after, allowed, {core: siblings(core) for core in allowed})


def idlest(
    before: Mapping[int, Jiffies],
    after: Mapping[int, Jiffies],
    allowed: Sequence[int],
    siblings: Mapping[int, Sequence[int]],
) -> int:
    """The allowed core that idled the largest share of its time, and whose siblings did.

    Siblings share a core's arithmetic units, so the busiest of them counts. Among equals it is not
    core 0, which serves most interrupts, and the lowest, because slow cores are numbered last.

    Raises:
        ValueError: no core is allowed.
    """

    def idle_share(core: int) -> float:
        if core not in before or core not in after:
            return 0.0
        idle = after[core].idle - before[core].idle
        return _share(idle, after[core].total - before[core].total) or 0.0

    def preference(core: int) -> tuple[float, bool, int]:
        share = min(idle_share(one) for one in (core, *siblings.get(core, ())))
        return share, core != 0, -core

    return max(allowed, key=preference)


def core_jiffies(stat: str) -> dict[int, Jiffies]:
    """By core, from /proc/stat: "cpu0 user nice system idle iowait irq softirq steal guest ..."."""
    found = {}
    for name, *numbers in map(str.split, stat.splitlines()):
        if name.startswith("cpu") and name != "cpu":
            # What follows steal, a guest's time, is in user and nice already.
            spent = [*map(int, numbers[:8]), 0, 0, 0, 0][:8]
            found[int(name[3:])] = Jiffies(sum(spent), spent[3] + spent[4], spent[7])
    return found


def _runnable(stat: str, tasks: Path) -> int | None:
    """Threads that run or want to, less those of this process, which may spin for a while."""
    running = _number(stat, "procs_running", " ")
    if running is None:
        return None
    own = sum(_text(task / "stat").rpartition(")")[2].lstrip()[:1] == "R" for task in _list(tasks))
    return max(0, round(running) - own)


def _load(loadavg: str) -> float | None:
    return float(loadavg.split(maxsplit=1)[0]) if loadavg else None


def _frequency(allowed: Sequence[int], proc: Path, system_cores: Path) -> float | None:
    """In MHz; cpufreq tells kHz core by core, a virtual machine at most /proc/cpuinfo."""
    files = (system_cores / f"cpu{core}/cpufreq/scaling_cur_freq" for core in allowed)
    told = [int(text) / 1000 for file in files if (text := _text(file).strip()).isdigit()]
    return fmean(told) if told else _frequency_of_cpuinfo(_text(proc / "cpuinfo"), allowed)


def _frequency_of_cpuinfo(cpuinfo: str, allowed: Sequence[int]) -> float | None:
    told = []
    for block in cpuinfo.split("\n\n"):
        frequency = _number(block, "cpu MHz", ":")
        if frequency is not None and _number(block, "processor", ":") in allowed:
            told.append(frequency)
    return fmean(told) if told else None


def _number(text: str, name: str, separator: str) -> float | None:
    """The number on the line "name: number"; None where there is no such line."""
    for line in text.splitlines():
        key, _, value = line.partition(separator)
        if key.strip() == name:
            return float(value)
    return None


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _rise(before: int | None, after: int | None) -> int | None:
    return after - before if before is not None and after is not None else None


def _list(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except OSError:
        return


def _text(path: Path) -> str:
    """A file's text; nothing where there is none or it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
