"""Records: one case, how it was measured, where, and every raw sample. Immutable.

History of `SCHEMA_VERSION`:
1  the first: case, settings, environment, measurements, layers, quality, command. Since then
   `session` joined, which older records have not, and samples of more than one process.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from benchbench.cases import Case
from benchbench.environment import fingerprint
from benchbench.errors import UserError
from benchbench.measure import Measured
from benchbench.measurements import Layer, Measurement
from benchbench.quality import GRADES, quality
from benchbench.structure import structured

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
    session: str | None = None  # shared by records whose cases took turns in the same processes
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


class Origin(NamedTuple):
    """What a run knows of its records before it measures: the same for all of them."""

    task: str
    settings: Mapping[str, Any]
    command: str
    tag: str | None = None
    session: str | None = None


class Identity(NamedTuple):
    """A record's name and birth: it keeps them while it grows from process to process."""

    id: str
    created: str


def new_identity() -> Identity:
    """A name that sorts by time and that no other process takes."""
    now = datetime.now(UTC)
    name = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    return Identity(name, now.isoformat(timespec="microseconds"))


def record(measured: Measured, origin: Origin, identity: Identity) -> Record:
    """The record of what was measured until now.

    Raises:
        UserError: nothing was measured at all.
    """
    if not measured.measurements:
        raise UserError("nothing was measured: choose a profiler, or let it finish one")
    return Record(
        **identity._asdict(),
        **origin._asdict(),
        case=measured.case,
        device_name=_device_name(measured),
        environment=measured.environment | {"fingerprint": fingerprint(measured.environment)},
        measurements=tuple(measured.measurements),
        layers=measured.layers,
        quality=Quality(*quality(measured)),
    )


def _device_name(measured: Measured) -> str:
    """What people call the device; only the process that used a GPU knows its name."""
    if measured.case.device == "cpu":
        return str(measured.environment["machine"]["cpu"])
    return str(measured.environment.get("gpu", {}).get("name", "a GPU not yet asked for its name"))


def from_dict(document: object) -> Record:
    """A record from `Record.as_dict`, after a way through JSON.

    Raises:
        ValueError: the document is no such record.
    """
    check_version(document)
    found = structured(Record, document)
    check_environment(found.environment)
    for measurement in found.measurements:
        _check_details(measurement)
    return found


def check_version(document: object) -> None:
    """Refuse what a later benchbench has written, whose words may mean something else.

    Raises:
        ValueError: it is of a later version.
    """
    version = document.get("schema_version") if isinstance(document, Mapping) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ValueError(
            f"its schema_version {version} is newer than {SCHEMA_VERSION}, which this benchbench "
            "reads: update benchbench"
        )


def check_environment(environment: Mapping[str, Any]) -> None:
    """Every environment has a fingerprint, by which like machines are found.

    Raises:
        ValueError: this one has none.
    """
    if not isinstance(environment.get("fingerprint"), str):
        raise ValueError("environment.fingerprint is missing or no text")


def _check_details(measurement: Measurement) -> None:
    """What is known of each process is an object each, and remarks are a list of texts."""
    for key, kind in (("processes", Mapping), ("remarks", str)):
        found = measurement.details.get(key, [])
        if not isinstance(found, (list, tuple)) or not all(
            isinstance(item, kind) for item in found
        ):
            raise ValueError(f"details.{key} of {measurement.metric} is no list of such")
