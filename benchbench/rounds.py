"""What networks that took turns in the same processes say about each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchbench.measurements import Measurement
from benchbench.statistics.blocks import block_values, log_ratio, log_shares


def own_block_values(latency: Measurement, process: int) -> list[float]:
    """Seconds of each block of a process, less the waits for a core."""
    known = latency.processes[process]
    samples = latency.samples[process]
    waited = known.get("waited_ns") or [0] * len(samples)
    own = [seconds - wait / 1e9 for seconds, wait in zip(samples, waited, strict=True)]
    return block_values(own, known["block_samples"])


def log_ratios(candidate: Measurement, baseline: Measurement) -> list[float]:
    """log(candidate / baseline) of each process in which both took turns to the end of a round."""
    return [
        log_ratio(own_block_values(candidate, n), own_block_values(baseline, n), rounds)
        for n, rounds in enumerate(_epochs([candidate, baseline]))
        if sum(rounds)
    ]


def shares(latencies: Sequence[Measurement]) -> list[list[float]]:
    """Of each process, each network's log(latency / geometric mean of all of them)."""
    return [
        log_shares([own_block_values(each, n) for each in latencies], rounds)
        for n, rounds in enumerate(_epochs(latencies))
        if sum(rounds)
    ]


def _epochs(latencies: Sequence[Measurement]) -> list[Sequence[int]]:
    """The whole rounds of each epoch, of each process that all have."""
    processes = min(len(each.processes) for each in latencies)
    return [_whole_rounds([each.processes[n] for each in latencies]) for n in range(processes)]


def _whole_rounds(details: Sequence[Mapping[str, Any]]) -> list[int]:
    """A round that Ctrl-C cut short counts for nobody."""
    whole = min(len(known["block_samples"]) for known in details)
    rounds = []
    for planned in details[0]["epoch_rounds"]:
        rounds.append(min(planned, whole))
        whole -= rounds[-1]
    return rounds
