"""Records: one case, how it was measured, where, and every raw sample. Immutable.

History of `SCHEMA_VERSION`:
1  the first: case, settings, environment, measurements, layers, quality, command.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from benchbench.cases import Case
from benchbench.environment import fingerprint
from benchbench.errors import UserError
from benchbench.measure import Measured
from benchbench.measurements import Layer, Measurement

SCHEMA_VERSION = 1
GRADES = ("A", "B", "C", "D")
# ImageNet's mean and deviation, which torchvision and timm use for most of their networks.
SHARED_PREPROCESSING = ("efficientnet", "torchvision")


@dataclass(frozen=True)
class Quality:
    """How far the timed figures can be trusted: A (best) to D, or None and why no grade."""

    grade: str | None
    reasons: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.grade not in (None, *GRADES):
            raise ValueError(f"quality grade {self.grade!r}: allowed are {', '.join(GRADES)}")
        if not self.reasons:
            raise ValueError("a quality without reasons says nothing")


@dataclass(frozen=True)
class Record:
    """What one run found. Everything in it is plain data, so it can be read without torch.

    Raises:
        ValueError: a metric occurs twice, there is none at all, or another schema's record.
    """

    id: str
    created: str  # ISO 8601, UTC
    task: str
    case: Case
    device_name: str
    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    measurements: tuple[Measurement, ...]
    layers: tuple[Layer, ...]
    quality: Quality
    command: str  # repeats the run
    tag: str | None = None
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        names = [measurement.metric for measurement in self.measurements]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"a record needs metrics, each once, and not {names}")
        if self.schema_version != SCHEMA_VERSION:
            raise ValueError(f"schema_version {self.schema_version}: can read {SCHEMA_VERSION}")

    def __getitem__(self, metric: str) -> Measurement:
        """The measurement of a metric; KeyError where it was not asked for."""
        found = self.get(metric)
        if found is None:
            raise KeyError(metric)
        return found

    def get(self, metric: str) -> Measurement | None:
        """The measurement of a metric; None where it was not asked for."""
        return next((item for item in self.measurements if item.metric == metric), None)

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON types; `from_dict` reads it back."""
        return asdict(self)


def record(
    measured: Measured,
    *,
    task: str,
    settings: Mapping[str, Any],
    command: str,
    tag: str | None = None,
) -> Record:
    """The record of what was measured, now.

    Raises:
        UserError: nothing was measured at all.
    """
    if not measured.measurements:
        raise UserError("nothing was measured: choose a profiler, or let it finish one")
    now = datetime.now(UTC)
    return Record(
        id=f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}",
        created=now.isoformat(timespec="microseconds"),
        task=task,
        case=measured.case,
        device_name=_device_name(measured),
        settings=settings,
        environment=measured.environment | {"fingerprint": fingerprint(measured.environment)},
        measurements=tuple(measured.measurements),
        layers=measured.layers,
        quality=quality(measured),
        command=command,
        tag=tag,
    )


def _device_name(measured: Measured) -> str:
    """What people call the device; only the process that used a GPU knows its name."""
    if measured.case.device == "cpu":
        return str(measured.environment["machine"]["cpu"])
    return str(measured.environment.get("gpu", {}).get("name", "a GPU not yet asked for its name"))


def quality(measured: Measured) -> Quality:
    """No grade yet: one process cannot tell how far another one's figures would be off."""
    reasons = tuple(_reasons(measured))
    return Quality(None, reasons or ("nothing but counts, which are exact",))


def _reasons(measured: Measured) -> Iterator[str]:
    taken = {item.metric for item in measured.measurements if item.samples}
    if "latency" in taken:
        yield (
            "latency comes from one process: its interval leaves out what changes between "
            "processes, which is up to tenfold more"
        )
    elif taken & {"peak_memory", "peak_memory_kernel", "peak_memory_reserved"}:
        yield "peak memory comes from one process"
    weights = measured.environment.get("weights", {})
    if weights and "peak_memory" in taken:
        yield "peak memory includes reading the checkpoint"
    if weights.get("format") == "timm" and weights["padding"] == "symmetric":
        yield "read as one of timm's own: for a tf_ checkpoint +model.padding=same is needed"
    if "top1" in taken:
        yield from _reasons_of_accuracy(measured)
    for item in measured.measurements:
        yield from item.details.get("remarks", ())
    if measured.interrupted:
        yield "interrupted: this is what was measured until then"


def _reasons_of_accuracy(measured: Measured) -> Iterator[str]:
    case = measured.case
    format_ = measured.environment.get("weights", {}).get("format")
    if format_ in ("torchvision", "timm") and case.preprocessing not in SHARED_PREPROCESSING:
        yield (
            f"images are prepared as {case.name}'s own code does it ({case.preprocessing}), and "
            f"{format_} trains most of its networks otherwise: see model.preprocessing"
        )
    if case.weights is None:
        if case.target.startswith("architectures."):
            yield "weights are random, so the accuracy is chance"
        else:
            yield f"weights are what {case.target} starts with: if random, the accuracy is chance"
    if measured.interrupted:
        yield "the first folders or files only were seen, so the interval does not hold for all"
    else:
        yield "the interval is about the choice of images alone"


def from_dict(document: Mapping[str, Any]) -> Record:
    """A record from `Record.as_dict`, after a way through JSON.

    Raises:
        ValueError, KeyError, TypeError: the document is no such record.
    """
    case = dict(document["case"])
    quality_ = document["quality"]
    return Record(
        **{
            **document,
            "case": Case(**case),
            "measurements": tuple(_measurement(item) for item in document["measurements"]),
            "layers": tuple(
                Layer(**{**item, "output_shape": tuple(item["output_shape"])})
                for item in document["layers"]
            ),
            "quality": Quality(quality_["grade"], tuple(quality_["reasons"])),
        }
    )


def _measurement(document: Mapping[str, Any]) -> Measurement:
    samples = tuple(tuple(process) for process in document["samples"])
    return Measurement(**{**document, "samples": samples})
