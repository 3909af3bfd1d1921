"""Memory of this process, as the kernel counts it."""

from __future__ import annotations

from pathlib import Path


def resident_bytes() -> int:
    """What of this process lies in memory now."""
    import psutil

    resident: int = psutil.Process().memory_info().rss
    return resident


def reset_high_water_mark() -> bool:
    """Linux sets VmHWM back to the resident set when a process writes 5 here (proc(5))."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def high_water_mark() -> int | None:
    """The most that ever lay in memory since it was reset; None where the kernel does not say."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
