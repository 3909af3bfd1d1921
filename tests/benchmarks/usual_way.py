"""How these comparisons are usually made, on pairs of equal networks: how often it cries wolf.

    PYTHONPATH=tests python tests/benchmarks/usual_way.py '{"pairs": 2, "variant": "..."}'

prints one JSON document: for each network a plain loop of 100 calls and torch.utils.benchmark's
`blocked_autorange`, one network after the other, as people do.
"""

from __future__ import annotations

import json
import math
import os
import sys
from statistics import fmean, stdev
from time import perf_counter
from typing import Any

from benchbench.cases import Case
from benchbench.cores import cores

CALLS = 100
MINIMUM_SECONDS = 0.5  # blocked_autorange's own default is 0.2


def plain_loop(call: Any) -> dict[str, float]:
    """Mean of 100 calls after 10, with the standard error that people give for it."""
    for _ in range(10):
        call()
    seconds = []
    for _ in range(CALLS):
        started = perf_counter()
        call()
        seconds.append(perf_counter() - started)
    return {"value": fmean(seconds), "error": 1.96 * stdev(seconds) / math.sqrt(CALLS)}


def torch_benchmark(call: Any) -> dict[str, float]:
    """The median, and the half width of a notch: 1.57 IQR / sqrt(n) (McGill et al. 1978)."""
    from torch.utils.benchmark import Timer

    found = Timer("call()", globals={"call": call}, num_threads=1).blocked_autorange(
        min_run_time=MINIMUM_SECONDS
    )
    return {"value": found.median, "error": 1.57 * found.iqr / math.sqrt(len(found.times))}


def main() -> None:
    settings = json.loads(sys.argv[1])
    os.sched_setaffinity(0, {cores()[-1]})
    import torch

    from benchbench.runtimes.eager import prepare

    torch.set_num_threads(1)
    prepared = [prepare(Case(**settings["case"])) for _ in range(2 * settings["pairs"])]
    runs = [network.copied() for network in prepared]
    found: dict[str, list[list[dict[str, float]]]] = {"plain loop": [], "torch.utils.benchmark": []}
    for pair in zip(runs[::2], runs[1::2], strict=True):
        found["plain loop"].append([plain_loop(running.call) for running in pair])
        found["torch.utils.benchmark"].append([torch_benchmark(running.call) for running in pair])
    print(json.dumps({"pairs": found}))


if __name__ == "__main__":
    main()
