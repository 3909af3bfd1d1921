"""How long `--help` and `task=list` take from the shell. Limit for `--help`: 1.5 s."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import perf_counter

from report import ROOT, save

RUNS = 15


def timed(*arguments: str) -> float:
    started = perf_counter()
    command = [sys.executable, "-m", "benchbench", *arguments]
    subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    return perf_counter() - started


def main() -> None:
    rows: list[tuple[str, ...]] = [("command", "median", "worst")]
    for arguments in (["--help"], ["--version"], ["task=list"]):
        times = [timed(*arguments) for _ in range(RUNS)]
        command = f"`python -m benchbench {' '.join(arguments)}`"
        rows.append((command, f"{median(times):.3f} s", f"{max(times):.3f} s"))
    save("help", f"Answers that need no torch, {RUNS} runs each", "make bench-help", rows)


if __name__ == "__main__":
    main()
