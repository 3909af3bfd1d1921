"""Records: one case, how it was measured, where, and every raw sample. Immutable.

History of `SCHEMA_VERSION`:
1  the first: case, settings, environment, measurements, layers, quality, command.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from benchbench.cases import Case
from benchbench.environment import fingerprint
from benchbench.errors import UserError
from benchbench.measure import Measured
from benchbench.measurements import Layer, Measurement
from benchbench.quality import GRADES, quality

SCHEMA_VERSION = 1


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
        quality=Quality(*quality(measured)),
        command=command,
        tag=tag,
    )


def _device_name(measured: Measured) -> str:
    """What people call the device; only the process that used a GPU knows its name."""
    if measured.case.device == "cpu":
        return str(measured.environment["machine"]["cpu"])
    return str(measured.environment.get("gpu", {}).get("name", "a GPU not yet asked for its name"))


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
