"""What the benchmark scripts share: fresh processes, and a committed report with its machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchbench.device import cpu_name

ROOT = Path(__file__).parents[2]


def seconds(program: str, *arguments: str) -> list[float]:
    """Run a Python program that prints seconds, in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return [float(word) for word in done.stdout.split()]


def save(name: str, title: str, command: str, rows: list[tuple[str, ...]]) -> None:
    """Write results/benchmarks/<name>.md: machine, date, a table whose first row is its head."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    head, *body = rows
    lines = [
        f"# {title}",
        "",
        f"`{command}` on {datetime.now(UTC):%Y-%m-%d}: {cpu_name()}, "
        f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.2f}, "
        f"Python {platform.python_version()}, commit {commit.stdout.strip()}",
        "",
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in body),
    ]
    path = ROOT / "results" / "benchmarks" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))
