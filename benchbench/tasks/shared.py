"""What several tasks do: show a plan, find stored records, know what counts as a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from benchbench.cases import Case
from benchbench.config import ProfilerSettings, Settings
from benchbench.errors import NoEvidence
from benchbench.jobs import Result

if TYPE_CHECKING:
    from benchbench.experiments.selftest import Threshold
    from benchbench.records import Record


def latest_session(settings: Settings) -> list[Record]:
    """The stored records that took turns with the newest of those that were asked for."""
    from benchbench.entries import stored
    from benchbench.store import Store

    named = stored(str(settings.records), settings.store.url)
    if not named:
        raise NoEvidence(f"records={settings.records}: no record or tag is called so")
    store = Store(settings.store.url)
    try:
        records = store.records(task=named[-1].task)
    finally:
        store.close()
    return [record for record in records if record.session == named[-1].session]


def named_records(settings: Settings) -> list[Record]:
    """All stored records of a tag, or of the run that a record belongs to, the newest run alone.

    Raises:
        NoEvidence: there is none, or they are another task's.
    """
    records = latest_session(settings)
    task = settings.task.name
    if records and records[0].task != task:
        raise NoEvidence(
            f"records={settings.records}: they are of task={records[0].task} and not of task={task}"
        )
    return records


def threshold(settings: Settings, environment: Mapping[str, Any]) -> Threshold:
    """What counts as a change in the environment of a record."""
    from benchbench.experiments.selftest import TASK, known_threshold
    from benchbench.store import Store

    store = Store(settings.store.url)
    try:
        selftests = store.records(task=TASK, fingerprint=environment["fingerprint"])
    finally:
        store.close()
    return known_threshold(selftests)


def plan(cases: Sequence[Case], profilers: ProfilerSettings, settings: Settings) -> Result:
    from benchbench.records import SCHEMA_VERSION
    from benchbench.report.tables import plan_table

    names = [name for name, wanted in asdict(profilers).items() if wanted]
    entries = [
        asdict(case) | {"input_shape": list(case.input_shape), "profilers": names} for case in cases
    ]
    document = {"schema_version": SCHEMA_VERSION, "task": settings.task.name, "plan": entries}
    return Result([plan_table(cases, names, settings.budget.name)], document, entries)
