"""What a comparison needs of a run, from its record or from the document it printed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import URL

from benchbench import database
from benchbench.errors import NoEvidence, UserError, first_line, printable
from benchbench.metrics import METRICS
from benchbench.records import Record, check_environment, check_version
from benchbench.store import Store
from benchbench.structure import loads, structured

# What must agree before two runs are of the same case, as documents call it.
COMPARABLE = (
    *("model", "target", "arguments", "device_type", "runtime", "precision", "layout"),
    *("batch_size", "input_shape", "threads", "input", "cache", "mode"),
    *("runtime_options", "calibration"),
)
# Of runs that did not say so yet.
DEFAULTS: Mapping[str, Any] = {
    "cache": "warm",
    "mode": "inference",
    "runtime_options": {},
    "calibration": None,
}
LARGEST_DOCUMENTS = 256_000_000  # bytes of a file; a long sweep prints a tenth of it


@dataclass(frozen=True)
class Entry:
    """One run of one case: exact values, and the median of every process."""

    id: str
    created: str
    case: Mapping[str, Any]  # the keys of COMPARABLE
    exact: Mapping[str, float]
    medians: Mapping[str, tuple[float, ...]]
    probe: tuple[float, ...]  # seconds of the control probe, per process
    grade: str | None
    environment: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Equal for runs of the same case."""
        return json.dumps(self.case, sort_keys=True)


def from_record(record: Record) -> Entry:
    """What a record says."""
    case = asdict(record.case)
    case |= {"model": case["name"], "device_type": case["device"]}
    case |= {"input_shape": list(record.case.input_shape)}
    taken = [found for found in record.measurements if found.samples]
    latency = record.get("latency")
    probes = [process.get("probe") for process in latency.processes] if latency else []
    return Entry(
        id=record.id,
        created=record.created,
        case={name: case[name] for name in COMPARABLE},
        exact={m.metric: m.flat[0] for m in taken if METRICS[m.metric].exact},
        medians={m.metric: m.medians for m in taken if not METRICS[m.metric].exact},
        probe=tuple(median(probe) for probe in probes if probe),
        grade=record.quality.grade,
        environment=record.environment,
    )


def from_document(document: Mapping[str, Any]) -> Entry:
    """What `output=json` of a profile said.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is no such document, or one of before
            processes were told apart.
    """
    check_version(document)
    check_environment(document["environment"])
    case = {**DEFAULTS, **document, "device_type": document["device"]["type"]}
    metrics = {name: m for name, m in document["metrics"].items() if m["value"] is not None}
    latency = metrics.get("latency", {})
    return structured(
        Entry,
        {
            "id": document["record"],
            "created": document["created"],
            "case": {name: case[name] for name in COMPARABLE},
            "exact": {name: m["value"] for name, m in metrics.items() if METRICS[name].exact},
            "medians": {
                name: m["medians"]
                for name, m in metrics.items()
                if not METRICS[name].exact and METRICS[name].estimator == "median"
            },
            "probe": latency.get("probe", []),
            "grade": document["quality"]["grade"],
            "environment": document["environment"],
        },
    )


def find(name: str, key: str, url: str) -> list[Entry]:
    """The runs that a file, a record's id or a tag names, oldest first.

    Raises:
        NoEvidence: nothing is called so, or nothing of it can be read.
        UserError: the file holds something else.
    """
    path = Path(name)
    if _is_file(path):
        found = sorted(_read(path, f"{key}={name}"), key=lambda entry: entry.created)
        if not found:
            raise NoEvidence(f"{key}={name}: there is no record in it")
        return found
    records = stored(name, url)
    if not records:
        raise NoEvidence(f"{key}={name}: no file, record or tag is called so")
    return [from_record(record) for record in records]


def stored(name: str, url: str) -> list[Record]:
    """The records of the store with this id or, if there is none, this tag.

    Raises:
        NoEvidence: there are records of this tag, but none that can be read.
        UserError: the record of this id cannot be read.
    """
    with closing(Store(url)) as store:
        return named(store, name)


def named(store: Store, name: str) -> list[Record]:
    """The records of an open store with this id or, if there is none, this tag.

    Raises:
        NoEvidence: there are records of this tag, but none that can be read.
        UserError: the record of this id cannot be read.
    """
    found = store.records(id=name) or store.records(tag=name)
    return _some_of(found, store)


def _some_of(found: list[Record], store: Store) -> list[Record]:
    """What was found, unless all of it was left out."""
    if not found and store.bad:
        what = f"{store.called}: none of {len(store.bad)} records can be read"
        raise NoEvidence(f"{what}; {printable(str(store.bad[0]))}")
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # nothing can be called so
        return False


def _read(path: Path, called: str) -> Iterator[Entry]:
    try:
        is_database = database.is_sqlite(path)
        if not is_database and path.stat().st_size > LARGEST_DOCUMENTS:
            raise UserError(
                f"{called}: longer than {LARGEST_DOCUMENTS / 1e6:.0f} MB and no database"
            )
        text = "" if is_database else path.read_text(encoding="utf-8", errors="surrogateescape")
    except (OSError, sqlite3.Error) as error:
        raise UserError(f"{called} cannot be read: {database.why(error)}") from error
    if is_database:
        url = URL.create("sqlite", database=str(path))
        with closing(Store(url, called)) as store:
            yield from map(from_record, _some_of(store.records(), store))
        return
    try:
        yield from map(from_document, _documents(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = "a database, or what output=json printed for a profile"
        why = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"{called}: must hold {what} ({why})") from error


def _documents(text: str) -> list[Mapping[str, Any]]:
    """One document, or one on each line as a sweep prints them."""
    try:
        whole = loads(text)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        if not lines:
            raise ValueError("it is empty") from None
        return [loads(line) for line in lines]
    return whole if isinstance(whole, list) else [whole]
