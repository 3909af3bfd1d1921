"""Cases measured and kept: the store is told after every process."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from benchbench.cases import Case
from benchbench.config import ProfilerSettings, Settings, plain
from benchbench.errors import UserError, printable, say, shortened
from benchbench.jobs import Job
from benchbench.roofline import ROOF_METRICS

if TYPE_CHECKING:
    from benchbench.measure import Measured
    from benchbench.measurements import Measurement
    from benchbench.records import Identity, Origin, Record
    from benchbench.store import Store
    from benchbench.worker import Progress

# Roofs are of a machine, and of how it computes.
ROOF_CONDITIONS = ("device", "device_index", "precision", "threads")
NEWEST = 20  # records to look for them in
LONGEST_LABEL = 40  # characters of a network's name in the progress bar
READ_RECORDS = ("rank", "guidelines", "audit", "ablation", "explain", "scaling")  # with records=


class Keeper:
    """Writes what is measured of a run, whole records each time.

    Where one cannot be written, measuring goes on: the next time may make up for it.
    """

    def __init__(self, store: Store, origin: Origin, identities: Sequence[Identity]) -> None:
        self.known: dict[str, Record] = {}
        self.written: dict[str, Record] = {}  # as the store has them
        self.unwritten: dict[str, str] = {}  # ids, and why the last attempt failed
        self._store, self._origin, self._identities = store, origin, identities

    def __call__(self, found: Sequence[Measured]) -> None:
        """Write what is known of each case until now."""
        from benchbench.records import record

        for measured, identity in zip(found, self._identities, strict=True):
            if measured.measurements:
                self.known[identity.id] = record(measured, self._origin, identity)
                self._write(self.known[identity.id])

    def _write(self, record: Record) -> None:
        try:
            self._store.put(record)
        except UserError as error:
            if not self.unwritten:
                say(f"{error}; measuring goes on, and it is tried again with what comes next")
            self.unwritten[record.id] = str(error)
        else:
            self.written[record.id] = record
            self.unwritten.pop(record.id, None)

    @property
    def problem(self) -> str | None:
        """What is not kept, and why; None where all of it is."""
        if not self.unwritten:
            return None
        what = f"{len(self.unwritten)} of {len(self.known)} records"
        return f"{next(iter(self.unwritten.values()))}; {what} of this run are not kept as reported"


def recorded(
    cases: Sequence[Case], profilers: ProfilerSettings, settings: Settings, job: Job
) -> tuple[list[Record], bool]:
    """Measure cases and keep their records; also, whether Ctrl-C ended it early.

    The store is told after every process, so that a run that is killed loses one at most. If the
    records cannot be written in the end, the report is printed all the same, and `job.problems`
    says so.
    """
    from benchbench.measure import measure
    from benchbench.records import Origin, new_identity
    from benchbench.store import Store

    identities = [new_identity() for _ in cases]
    session = identities[0].id if len(cases) > 1 else None
    origin = Origin(settings.task.name, plain(settings), job.command, settings.tag, session)
    store = Store(settings.store.url)
    keep = Keeper(store, origin, identities)
    try:
        store.try_writing()
        with _progress_bar(_label(cases)) as progress:
            lend = partial(_known_roofs, store)
            found = measure(cases, profilers, settings.budget, progress, keep, say, lend)
        interrupted = any(measured.interrupted for measured in found)
        if interrupted and not any(measured.measurements for measured in found):
            raise KeyboardInterrupt
        keep(found)
    except UserError as error:
        if keep.written:
            error.args = (f"{error}; kept until then: {_found_by(list(keep.written), settings)}",)
        raise
    finally:
        store.close()
    if not keep.known:
        raise UserError("nothing was measured: choose a profiler, or let it finish one")
    if keep.problem:
        job.problems.append(keep.problem)
    return list(keep.known.values()), interrupted


def _label(cases: Sequence[Case]) -> str:
    """What the progress bar calls the cases: the first of them where they are many."""
    more = f" and {len(cases) - 1} more" if len(cases) > 1 else ""
    return printable(shortened(cases[0].name, LONGEST_LABEL)) + more


def _found_by(kept: Sequence[str], settings: Settings) -> str:
    """What finds records: the id of a lone one; of several their number, and the id of one of them.

    Any of them stands for all that were measured together, and the first of a run need not have
    been kept. A tag does not serve: it names the newest run, which a second one may be.
    """
    if len(kept) == 1:
        return kept[0]
    task = settings.task.name
    if task in READ_RECORDS:
        return f"{len(kept)} records; task={task} records={kept[0]} finds them"
    return f"{len(kept)} records; {kept[0]} is the first of them"


def _known_roofs(store: Store, measured: Measured) -> list[Measurement]:
    """The roofs of this machine, if a record of it with the same fingerprint has them."""
    from benchbench.environment import fingerprint

    case = measured.case
    for known in store.newest(NEWEST, fingerprint=fingerprint(measured.environment)):
        found = [item for name in ROOF_METRICS if (item := known.get(name)) and item.samples]
        alike = all(getattr(known.case, key) == getattr(case, key) for key in ROOF_CONDITIONS)
        if alike and len(found) == len(ROOF_METRICS):
            return [replace(item, details={"record": known.id, **item.details}) for item in found]
    return []


@contextmanager
def _progress_bar(label: str) -> Iterator[Progress]:
    """A bar on stderr; nothing at all when stderr is no terminal.

    It is drawn when a worker reports, never by a thread of its own, which would wake up
    beside the measurement.
    """
    if not sys.stderr.isatty():
        yield lambda name, fraction: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
    with bar:
        task = bar.add_task(label, total=1.0)

        def progress(name: str, fraction: float) -> None:
            bar.update(task, description=f"{label}: {name}", completed=fraction, refresh=True)

        yield progress
