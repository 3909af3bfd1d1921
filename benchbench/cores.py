"""The processor's cores: which this process may use, which share units, which are fast.

Source of the files: the kernel's admin-guide/cputopology.rst and, for processors with cores of
several kinds, Documentation/ABI/testing/sysfs-devices-system-cpu (cpu_capacity, cpuinfo_max_freq)
and the performance counters of each kind (/sys/devices/cpu_core/cpus, cpu_atom/cpus).
What a system does not tell is left out, never guessed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, MutableMapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchbench import cgroup
from benchbench.errors import UserError

SYSTEM = Path("/sys/devices")
PROC = Path("/proc")
# The clocks and capacities of favoured cores of one kind differ by less, of two kinds by more.
OTHER_KIND = 1.1
# Intel names the counters of each kind of core so, the fastest first.
INTEL_KINDS = ("cpu_core", "cpu_atom", "cpu_lowpower")
# OpenMP's own placing and its limits would hold against `threads`: two threads on one core, say.
BINDING_VARIABLES = (
    *("OMP_PROC_BIND", "OMP_PLACES", "OMP_THREAD_LIMIT", "OMP_DYNAMIC", "OMP_MAX_ACTIVE_LEVELS"),
    *("GOMP_CPU_AFFINITY", "KMP_AFFINITY", "KMP_PLACE_THREADS", "KMP_HW_SUBSET"),
    *(
        "KMP_ALL_THREADS",
        "KMP_DEVICE_THREAD_LIMIT",
        "KMP_TEAMS_THREAD_LIMIT",
        "KMP_TOPOLOGY_METHOD",
    ),
)
CORES_FIELD = "Cpus_allowed_list"  # of proc(5)'s status
_left_out: dict[str, str] = {}


def cores() -> list[int]:
    """The cores this process may run on; where the system does not say, all there are."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def leave_out_binding(variables: MutableMapping[str, str] = os.environ) -> None:
    """Unset what places OpenMP's threads, before torch is imported and obeys it."""
    for name in BINDING_VARIABLES:
        if name in variables:
            _left_out[name] = variables.pop(name)


def left_out(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that are set, and that measuring processes do without."""
    return _left_out | {name: variables[name] for name in BINDING_VARIABLES if name in variables}


def siblings(core: int, system: Path = SYSTEM) -> list[int]:
    """The logical cores that share one core's arithmetic units, itself included."""
    return parsed(_text(system / f"system/cpu/cpu{core}/topology/thread_siblings_list"))


def distinct(allowed: Sequence[int], system: Path = SYSTEM) -> list[int] | None:
    """One logical core, the lowest, for each core with arithmetic units of its own.

    None where /sys does not describe the cores that psutil counts.
    """
    import psutil

    shared = {core: tuple(siblings(core, system)) for core in allowed}
    described = len(list((system / "system/cpu").glob("cpu[0-9]*/topology")))
    if not all(shared.values()) or psutil.cpu_count(logical=True) not in (None, described):
        return None
    lowest: dict[tuple[int, ...], int] = {}
    for core in allowed:
        lowest.setdefault(shared[core], core)
    return list(lowest.values())


def count_distinct(allowed: Sequence[int], system: Path = SYSTEM) -> int:
    """How many cores with units of their own these are; the machine's share where it is unknown."""
    import psutil

    known = distinct(allowed, system)
    if known is not None:
        return len(known)
    logical, physical = psutil.cpu_count(logical=True), psutil.cpu_count(logical=False)
    share = physical / logical if logical and physical else 1.0
    return min(len(allowed), math.ceil(len(allowed) * share))


def kinds(allowed: Sequence[int], system: Path = SYSTEM, proc: Path = PROC) -> dict[str, list[int]]:
    """Cores by their kind, the fastest first; one kind without a name where all are alike.

    Kinds that only ARM's part numbers tell apart come in the order of their lowest core, since
    nothing says which is faster.
    """
    parts = _parts(_text(proc / "cpuinfo"))
    told = (
        _by_speed("capacity", allowed, system, "cpu_capacity"),
        _of_intel(allowed, system),
        _by_speed("kHz", allowed, system, "cpufreq/cpuinfo_max_freq"),
        _grouped({core: f"part {parts[core]}" for core in allowed if core in parts}),
    )
    several = (found for found in told if len(found) > 1)
    return next(
        (found for found in several if sum(map(len, found.values())) == len(allowed)),
        {"": [*allowed]},
    )


def fastest(allowed: Sequence[int], system: Path = SYSTEM, proc: Path = PROC) -> list[int]:
    """The cores of the fastest kind."""
    return next(iter(kinds(allowed, system, proc).values()))


def measured_cores(allowed: Sequence[int], threads: int, system: Path = SYSTEM) -> list[int]:
    """The cores that so many threads are measured on: distinct ones, and fast ones, if enough.

    One thread may have any core of the fastest kind.
    """
    fast = fastest(allowed, system)
    if threads == 1:
        return fast
    choices = (distinct(fast, system), distinct(allowed, system))
    return next((found for found in choices if found and len(found) >= threads), [*allowed])


def thread_count(threads: str) -> int:
    """A number of threads, `all` being one for each core of the fastest kind.

    Two logical cores that share one core's arithmetic units count once, and the quota of a control
    group ends the count. Slow cores beside fast ones are left out: all threads wait for the last.

    Raises:
        UserError: more threads than cores, or than the quota has time for, which would measure
            the scheduler.
    """
    allowed, quota = cores(), cgroup.quota(cgroup.folders())
    if threads == "all":
        count = count_distinct(fastest(allowed))
        return count if quota is None else max(1, min(count, int(quota)))
    count = int(threads)
    if count > len(allowed):
        raise UserError(f"threads={threads}: this process may use {len(allowed)} cores")
    if quota is not None and count > max(1.0, quota):
        raise UserError(
            f"threads={threads}: a control group's quota has time for {quota:g} cores, so that "
            "more threads would be stopped by it; threads=all takes what there is"
        )
    return count


def threads_of(process: Path = PROC / "self") -> dict[str, frozenset[int]]:
    """The threads of a process, by their number, with the cores each may use now."""
    told = {status.parent.name: _text(status) for status in process.glob("task/*/status")}
    return {name: frozenset(parsed(_field(text, CORES_FIELD))) for name, text in told.items()}


def check_spread(threads: int, allowed: Sequence[frozenset[int]]) -> None:
    """Refuse to measure threads that something has tied to fewer cores than there are threads.

    `allowed` are the cores that each of torch's threads may use.

    Raises:
        UserError: they could not all run at the same time.
    """
    tied = [*map(tuple, (cores for cores in allowed if len(cores) == 1))]
    together = len(frozenset().union(*allowed))
    if len(allowed) < threads:
        what = f"torch started {len(allowed)}"
    elif together < threads or len({*tied}) < len(tied):
        what = f"they are tied to the same cores ({len({*allowed})} places)"
    else:
        return
    raise UserError(
        f"threads={threads}: {what}; look for variables that place or limit threads, such as "
        "OMP_PLACES, KMP_AFFINITY or OMP_THREAD_LIMIT, and unset them"
    )


def parsed(text: str) -> list[int]:
    """The numbers of a list as the kernel writes it: "0-2,9" is 0, 1, 2 and 9."""
    found: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _of_intel(allowed: Sequence[int], system: Path) -> dict[str, list[int]]:
    found = {}
    for name in INTEL_KINDS:
        members = parsed(_text(system / name / "cpus"))
        if own := [core for core in allowed if core in members]:
            found[name] = own
    return found


def _by_speed(unit: str, allowed: Sequence[int], system: Path, file: str) -> dict[str, list[int]]:
    """Cores of about one speed together, the fastest first."""
    speeds = {core: _number(system / f"system/cpu/cpu{core}/{file}") for core in allowed}
    levels = sorted({*speeds.values()}, reverse=True)
    if not allowed or not levels[-1]:
        return {}
    slower = [low for high, low in pairwise(levels) if high >= OTHER_KIND * low]
    return {
        f"{unit} {high}": [core for core, speed in speeds.items() if low < speed <= high]
        for high, low in pairwise([levels[0], *slower, 0])
    }


def _grouped(names: Mapping[int, str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for core, name in names.items():
        groups.setdefault(name, []).append(core)
    return groups


def _parts(cpuinfo: str) -> dict[int, str]:
    """ARM's number of each core's design, as /proc/cpuinfo has it."""
    blocks: list[dict[str, Any]] = [
        {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}
        for lines in map(str.splitlines, cpuinfo.split("\n\n"))
    ]
    return {
        int(block["processor"]): block["CPU part"]
        for block in blocks
        if "CPU part" in block and block.get("processor", "").isdigit()
    }


def _field(text: str, name: str) -> str:
    lines = (line.partition(":") for line in text.splitlines())
    return next((value for key, _, value in lines if key == name), "")


def _number(path: Path) -> int:
    """A file's number; 0 where there is none."""
    text = _text(path).strip()
    return int(text) if text.isdigit() else 0


def _text(path: Path) -> str:
    """A file's text; nothing where there is none or it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
