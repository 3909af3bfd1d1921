"""Records and timed measurements as a run makes them, from made-up figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchbench import records
from benchbench.measure import Measured
from benchbench.measurements import Measurement
from benchbench.records import Identity, Origin, Record


def record(
    measured: Measured,
    *,
    task: str = "profile",
    settings: Mapping[str, Any] | None = None,
    command: str = "",
    tag: str | None = None,
    session: str | None = None,
    identity: Identity | None = None,
) -> Record:
    """The record that a run would keep."""
    origin = Origin(task, settings or {}, command, tag, session)
    return records.record(measured, origin, identity or records.new_identity())


def in_turn(
    processes: Sequence[Sequence[float]], *, epoch_rounds: Sequence[int], **details: Any
) -> Measurement:
    """A latency whose every block is one sample; each process has all its blocks here."""
    known = {"block_samples": [1] * sum(epoch_rounds), "epoch_rounds": list(epoch_rounds)}
    return Measurement(
        "latency",
        samples=tuple(map(tuple, processes)),
        details={"processes": [known | details for _ in processes]},
    )
