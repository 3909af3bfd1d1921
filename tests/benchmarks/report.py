"""What the benchmark scripts share: fresh processes, and a committed report with its machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from benchbench.device import cpu_name
from benchbench.worker import THREAD_VARIABLES

ROOT = Path(__file__).parents[2]
SILENCE_SECONDS = 1800.0

Document = dict[str, Any]
Row = tuple[str, ...]


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


def child(program: str, *arguments: str, variables: Mapping[str, str] | None = None) -> Document:
    """The JSON document that a program of this folder prints, run alone with one thread.

    The parent waits without polling: that would take time from what is being timed.
    """
    started = perf_counter()
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    one_thread = dict.fromkeys(THREAD_VARIABLES, "1")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / program), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | one_thread | {"PYTHONPATH": path} | dict(variables or {}),
        timeout=SILENCE_SECONDS,
    )
    document: Document = json.loads(done.stdout.splitlines()[-1])  # libraries print too
    return document | {"seconds": perf_counter() - started}


def table(rows: Sequence[Row]) -> list[str]:
    """Lines of a Markdown table whose first row is its head."""
    head, *body = rows
    return [
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in body),
    ]


def save(name: str, title: str, command: str, rows: Sequence[Row]) -> None:
    """Write results/benchmarks/<name>.md: machine, date, one table."""
    save_page(name, title, command, table(rows))


def save_page(name: str, title: str, command: str, lines: Sequence[str]) -> None:
    """Write results/benchmarks/<name>.md: machine, date, then `lines` as they are."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    page = [
        f"# {title}",
        "",
        f"`{command}` on {datetime.now(UTC):%Y-%m-%d}: {cpu_name()}, "
        f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.2f}, "
        f"Python {platform.python_version()}, commit {commit.stdout.strip()}",
        "",
        *lines,
    ]
    path = ROOT / "results" / "benchmarks" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(page) + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))
