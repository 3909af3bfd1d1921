"""One replicate, in a process of its own: ours and the references, block by block in turn.

    PYTHONPATH=tests python tests/benchmarks/interleave.py \\
        '{"networks": ["resnet50"], "batches": [1], "seed": 0}'

prints one JSON document with every block's seconds. Interleaved blocks share whatever the machine
is doing, so their ratio holds still where each time alone does not. A process has luck of its own
(where its weights lie, say), so several are needed; zoo.py starts them.
"""

from __future__ import annotations

import json
import math
import os
import random
import resource
import sys
from collections.abc import Iterator, Mapping
from itertools import cycle
from time import perf_counter, process_time, thread_time
from typing import TYPE_CHECKING, Any

from benchmarks.contestants import Cell, cells, networks_of

from benchbench.cores import cores
from benchbench.errors import UserError
from benchbench.profilers.garbage import without_garbage_collection
from benchbench.statistics.orders import orders

if TYPE_CHECKING:
    from torch import Tensor, nn

BLOCK_SECONDS = 0.05
CELL_SECONDS = 1.5
WARM_UP_CALLS = 3
WARM_UP_SECONDS = 0.1


def blocks(networks: Mapping[str, nn.Module], images: Tensor) -> dict[str, list[float]]:
    """Seconds a call of each network, one value a round: whole Latin squares, for long enough.

    Of processor time, which is all the time there is for one thread that owns its core: where it
    does not, two equal networks differed by 1-3 % in it and by 10-25 % on the wall clock.
    """
    import torch

    labels = list(networks)
    seconds: dict[str, list[float]] = {label: [] for label in labels}
    with torch.inference_mode(), without_garbage_collection():
        quickest = min(warmed_up(network, images) for network in networks.values())
        calls = max(1, math.ceil(BLOCK_SECONDS / quickest))
        started = thread_time()
        for number, order in enumerate(cycle(orders(len(labels))), start=1):
            for index in order:
                seconds[labels[index]].append(block(networks[labels[index]], images, calls))
            if number % len(labels) == 0 and thread_time() - started > CELL_SECONDS:
                return seconds
    raise AssertionError("the cycle does not end")


def warmed_up(network: nn.Module, images: Tensor) -> float:
    """Seconds of the last call, after enough of them."""
    started, calls, last = thread_time(), 0, 0.0
    while calls < WARM_UP_CALLS or thread_time() - started < WARM_UP_SECONDS:
        last = block(network, images, 1)
        calls += 1
    return last


def block(network: nn.Module, images: Tensor, calls: int) -> float:
    started = thread_time()
    for _ in range(calls):
        network(images)
    return (thread_time() - started) / calls


def measured(cell: Cell, batches: list[int], seed: int) -> Iterator[dict[str, Any]]:
    import torch

    networks, weights = networks_of(cell, seed)
    resolution = cell.case.resolution
    for batch in batches:
        images = torch.randn(batch, 3, resolution, resolution)
        yield {
            "network": cell.name,
            "batch": batch,
            "weights": weights,
            "seconds": blocks(networks, images),
        }


def main() -> None:
    settings = json.loads(sys.argv[1])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cores()[-1]})
    import torch

    torch.set_num_threads(1)
    work = [cell for network in settings["networks"] for cell in cells(network)]
    random.Random(settings["seed"]).shuffle(work)
    found: list[dict[str, Any]] = []
    skipped: list[str] = []
    started, cpu_started = perf_counter(), process_time()
    for cell in work:
        try:
            found += measured(cell, settings["batches"], settings["seed"])
        except UserError as error:
            skipped.append(f"{cell.name}: {error}")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    document = {
        "cells": found,
        "skipped": sorted(skipped),
        "cpu_share": (process_time() - cpu_started) / (perf_counter() - started),
        "involuntary_switches": usage.ru_nivcsw,
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
