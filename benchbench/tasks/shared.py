"""What several tasks do: show a plan, find stored records, know what counts as a change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbench.cases import Case, is_ours
from benchbench.config import ProfilerSettings, Settings
from benchbench.errors import NoEvidence, UserError, described
from benchbench.estimate import Size, estimate, size_of
from benchbench.folders import check_writable
from benchbench.jobs import Job, Result
from benchbench.schedule import processes

if TYPE_CHECKING:
    from benchbench.experiments.selftest import Threshold
    from benchbench.records import Record


def picture_folder(settings: Settings, job: Job) -> Path | None:
    """Where pictures go, None where none are wanted; to be asked before anything is measured.

    Raises:
        UserError: nothing can be written there.
    """
    wanted = not job.sweep if settings.plots is None else settings.plots
    if not wanted:
        return None
    runs = Path(settings.results) / "runs"
    try:
        check_writable(runs)
    except OSError as error:
        message = f"results={settings.results} cannot be written: {error.strerror}"
        raise UserError(message) from error
    return runs


def drawn(
    save: Callable[[Path], object], runs: Path | None, records: Sequence[Record]
) -> tuple[str | None, str | None]:
    """The folder of the pictures, or what went wrong: the report is printed all the same."""
    if runs is None:
        return None, None
    try:
        folder = save(runs)
    except Exception as error:  # noqa: BLE001 - whatever keeps a picture from being drawn
        what = f"record {records[0].id} is" if len(records) == 1 else "the records are"
        whose = "its" if len(records) == 1 else "their"
        return None, f"{what} kept, but {whose} pictures are not: {described(error)}"
    return None if folder is None else str(folder), None


def latest_session(settings: Settings) -> list[Record]:
    """The stored records of the run that the newest of those that were asked for belongs to."""
    from benchbench.entries import named
    from benchbench.store import Store

    with closing(Store(settings.store.url)) as store:
        asked = named(store, str(settings.records))
        if not asked:
            raise NoEvidence(f"records={settings.records}: no record or tag is called so")
        if asked[-1].session is None:  # its run was of one case
            return asked[-1:]
        records = store.records(task=asked[-1].task)
    return [record for record in records if record.session == asked[-1].session]


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

    with closing(Store(settings.store.url)) as store:
        selftests = store.records(task=TASK, fingerprint=environment["fingerprint"])
    return known_threshold(selftests)


def plan(
    cases: Sequence[Case],
    profilers: ProfilerSettings,
    settings: Settings,
    counted: Sequence[Case] = (),
) -> Result:
    """What would be measured, and for how long. Of `counted` cases only counts are taken."""
    from benchbench.records import SCHEMA_VERSION
    from benchbench.report.tables import plan_table

    names = [name for name, wanted in asdict(profilers).items() if wanted]
    work = list(processes(cases, profilers, settings.budget))
    expected = estimate(cases, work, [_size(case) for case in cases])
    entries = [
        asdict(case) | {"input_shape": list(case.input_shape), "profilers": done}
        for case, done in [
            *((case, ["complexity"]) for case in counted),
            *((case, names) for case in cases),
        ]
    ]
    document = {
        "schema_version": SCHEMA_VERSION,
        "task": settings.task.name,
        "estimate": {
            "seconds": round(expected.seconds),
            "preparation_seconds": round(expected.preparation_seconds),
        },
        "plan": entries,
    }
    return Result(
        [plan_table([*counted, *cases], names, settings.budget.name, str(expected))],
        document,
        entries,
    )


def _size(case: Case) -> Size | None:
    """The size of a network of ours; code of others is not run for a plan."""
    from benchbench.profilers.complexity import complexity

    try:
        return size_of(complexity(case)) if is_ours(case.target) else None
    except UserError:  # measuring it will say why
        return None
