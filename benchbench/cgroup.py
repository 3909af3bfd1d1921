"""What Linux's control groups allow this process: its share of the cores, and when it was stopped.

A limit holds for everything below the group it is set on, so all groups above ours count. Source:
the kernel's documents admin-guide/cgroup-v2.rst, admin-guide/cgroup-v1 and scheduler/sched-bwc.rst.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple


class Throttling(NamedTuple):
    """How often and how long groups were stopped for having used up their quota, since they began.

    Seconds are summed over cores, so they may pass faster than the clock's.
    """

    periods: int
    seconds: float


@cache
def folders(process: Path = Path("/proc/self")) -> tuple[Path, ...]:
    """The folders of the groups that limit a process's cores, each before the one it lies in.

    None where the system has no such groups. Not read again: a process that is moved to another
    group while it measures is not found out.
    """
    try:
        own = (process / "cgroup").read_text(encoding="utf-8")
        mounts = (process / "mountinfo").read_text(encoding="utf-8")
    except OSError:
        return ()
    return tuple(dict.fromkeys(_folders(_paths(own), mounts)))


def quota(groups: Sequence[Path]) -> float | None:
    """How many cores' worth of time these groups allow, the tightest limit; None without any."""
    limits = [limit for group in groups if (limit := _limit(group)) is not None]
    return min(limits, default=None)


def throttling(groups: Sequence[Path]) -> Throttling | None:
    """What these groups were throttled; None where no group tells.

    Summed, because a group can be stopped by its own quota or by that of any group above it.
    """
    told = [found for group in groups if (found := _throttling(group)) is not None]
    if not told:
        return None
    return Throttling(sum(one.periods for one in told), sum(one.seconds for one in told))


def _paths(own: str) -> dict[str, PurePosixPath]:
    """The path of our group by the kind of its file system, from lines "4:cpu,cpuacct:/path"."""
    found = {}
    for line in own.splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            found["cgroup2"] = PurePosixPath(path)
        elif "cpu" in controllers.split(","):
            found["cgroup"] = PurePosixPath(path)
    return found


def _folders(paths: dict[str, PurePosixPath], mounts: str) -> Iterator[Path]:
    """Where these groups are mounted, with all above them, from the lines of proc(5)'s mountinfo.

    "31 23 0:28 ROOT POINT OPTIONS - KIND SOURCE OPTIONS": ROOT is the group that POINT shows.
    """
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        root, point = left.split()[3:5]
        kind, *_, options = right.split()
        if kind not in paths or (kind == "cgroup" and "cpu" not in options.split(",")):
            continue
        # From inside a container our path may lie outside of what is mounted: then it is the top.
        inside = paths[kind].is_relative_to(root)
        own = paths[kind].relative_to(root) if inside else PurePosixPath()
        yield from (Path(point, part) for part in (own, *own.parents))


def _limit(group: Path) -> float | None:
    """Version 2 says "150000 100000" or "max 100000"; version 1 has two files, and -1 for none."""
    words = _read(group / "cpu.max").split() or [
        *_read(group / "cpu.cfs_quota_us").split(),
        *_read(group / "cpu.cfs_period_us").split(),
    ]
    if len(words) != 2 or words[0] in ("max", "-1"):
        return None
    return int(words[0]) / int(words[1])


def _throttling(group: Path) -> Throttling | None:
    """Version 2 counts microseconds, version 1 nanoseconds."""
    lines = (line.split() for line in _read(group / "cpu.stat").splitlines())
    found = {words[0]: int(words[1]) for words in lines if len(words) == 2}
    if "nr_throttled" not in found:
        return None
    seconds = found.get("throttled_usec", 0) / 1e6 + found.get("throttled_time", 0) / 1e9
    return Throttling(found["nr_throttled"], seconds)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
