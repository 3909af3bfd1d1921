"""What a comparison needs of a run, from its record or from the document it printed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchbench.errors import NoEvidence, UserError, first_line
from benchbench.metrics import METRICS
from benchbench.records import Record
from benchbench.store import Store

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
SQLITE = b"SQLite format 3\0"


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
        KeyError, TypeError: it is no such document, or one of before processes were told apart.
    """
    case = {**DEFAULTS, **document, "device_type": document["device"]["type"]}
    metrics = {name: m for name, m in document["metrics"].items() if m["value"] is not None}
    latency = metrics.get("latency", {})
    return Entry(
        id=document["record"],
        created=document["created"],
        case={name: case[name] for name in COMPARABLE},
        exact={name: m["value"] for name, m in metrics.items() if METRICS[name].exact},
        medians={
            name: tuple(m["medians"])
            for name, m in metrics.items()
            if not METRICS[name].exact and METRICS[name].estimator == "median"
        },
        probe=tuple(latency.get("probe", ())),
        grade=document["quality"]["grade"],
        environment=document["environment"],
    )


def find(name: str, key: str, url: str) -> list[Entry]:
    """The runs that a file, a record's id or a tag names, oldest first.

    Raises:
        NoEvidence: nothing is called so.
        UserError: the file holds something else.
    """
    if Path(name).is_file():
        found = sorted(_read(Path(name), key), key=lambda entry: entry.created)
        if not found:
            raise NoEvidence(f"{key}={name}: there is no record in it")
        return found
    records = stored(name, url)
    if not records:
        raise NoEvidence(f"{key}={name}: no file, record or tag is called so")
    return [from_record(record) for record in records]


def stored(name: str, url: str) -> list[Record]:
    """The records of the store with this id or, if there is none, this tag."""
    store = Store(url)
    try:
        return store.records(id=name) or store.records(tag=name)
    finally:
        store.close()


def _read(path: Path, key: str) -> Iterator[Entry]:
    with path.open("rb") as file:
        is_database = file.read(len(SQLITE)) == SQLITE
    if is_database:
        store = Store(f"sqlite:///{path}")
        try:
            yield from map(from_record, store.records())
        finally:
            store.close()
        return
    try:
        yield from map(from_document, _documents(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = "a database, or what output=json printed for a profile"
        why = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"{key}={path}: must hold {what} ({why})") from error


def _documents(text: str) -> list[Mapping[str, Any]]:
    """One document, or one on each line as a sweep prints them."""
    try:
        whole = json.loads(text)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        if not lines:
            raise ValueError("it is empty") from None
        return [json.loads(line) for line in lines]
    return whole if isinstance(whole, list) else [whole]
