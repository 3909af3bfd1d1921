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
from benchbench.errors import UserError
from benchbench.jobs import Job
from benchbench.roofline import ROOF_METRICS

if TYPE_CHECKING:
    from benchbench.measure import Measured
    from benchbench.measurements import Measurement
    from benchbench.records import Record
    from benchbench.store import Store
    from benchbench.worker import Progress

# Roofs are of a machine, and of how it computes.
ROOF_CONDITIONS = ("device", "device_index", "precision", "threads")
NEWEST = 20  # records to look for them in
READ_RECORDS = ("rank", "guidelines", "audit", "ablation", "explain", "scaling")  # with records=


def recorded(
    cases: Sequence[Case], profilers: ProfilerSettings, settings: Settings, job: Job
) -> tuple[list[Record], bool]:
    """Measure cases and keep their records; also, whether Ctrl-C ended it early.

    The store is told after every process, so that a run that is killed loses one at most.
    """
    from benchbench.measure import measure
    from benchbench.records import Origin, new_identity, record
    from benchbench.store import Store

    identities = [new_identity() for _ in cases]
    session = identities[0].id if len(cases) > 1 else None
    origin = Origin(settings.task.name, plain(settings), job.command, settings.tag, session)
    known: dict[str, Record] = {}
    kept: dict[str, Record] = {}  # those of them that the store has

    def keep(found: Sequence[Measured]) -> None:
        for measured, identity in zip(found, identities, strict=True):
            if measured.measurements:
                known[identity.id] = record(measured, origin, identity)
                store.put(known[identity.id])
                kept[identity.id] = known[identity.id]

    store = Store(settings.store.url)
    try:
        with _progress_bar(", ".join(case.name for case in cases)) as progress:
            lend = partial(_known_roofs, store)
            found = measure(cases, profilers, settings.budget, progress, keep, _say, lend)
        interrupted = any(measured.interrupted for measured in found)
        if interrupted and not any(measured.measurements for measured in found):
            raise KeyboardInterrupt
        keep(found)
    except UserError as error:
        if kept:
            error.args = (f"{error}; kept until then: {_found_by(list(kept), settings)}",)
        raise
    finally:
        store.close()
    if not known:
        raise UserError("nothing was measured: choose a profiler, or let it finish one")
    return list(known.values()), interrupted


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


def _say(line: str) -> None:
    print(f"benchbench: {line}", file=sys.stderr, flush=True)


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

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
    with bar:
        task = bar.add_task(label, total=1.0)

        def progress(name: str, fraction: float) -> None:
            bar.update(task, description=f"{label}: {name}", completed=fraction, refresh=True)

        yield progress
