"""One job from settings to report: the rightmost module, which knows all the others."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbench.cases import Case, from_models, from_settings
from benchbench.config import ProfilerSettings, Settings, options, plain, unknown_option
from benchbench.errors import NoEvidence, UserError
from benchbench.folders import check_writable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from benchbench.experiments.selftest import Threshold
    from benchbench.records import Record
    from benchbench.worker import Progress

DONE, FAILED_CHECK, ERROR, NO_EVIDENCE, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass(frozen=True)
class Job:
    """What Hydra knows of a job beside its settings."""

    model_name: str  # as reports call the network
    command: str  # repeats this job alone
    first_row: bool = True  # of a sweep's CSV: print the header
    sweep: bool = False


@dataclass(frozen=True)
class Result:
    """What a task hands to the report, in each form that can be asked for."""

    parts: list[RenderableType]  # of the table
    document: dict[str, Any]
    rows: list[dict[str, Any]]
    exit_code: int = DONE
    problem: str | None = None  # what went wrong after the record was kept


def run(settings: Settings, job: Job) -> int:
    """Do one job and print its report. Returns the exit code.

    Raises:
        UserError: the job cannot be done; nothing was written.
    """
    tasks = {
        "profile": _profile,
        "crosscheck": _crosscheck,
        "accuracy": _accuracy,
        "rank": _rank,
        "selftest": _selftest,
        "compare": _compare,
        "list": _list,
    }
    if settings.task.name not in tasks:
        raise unknown_option("task", settings.task.name)
    # Networks may print; stdout belongs to the report.
    with _stdout_to_stderr():
        result = tasks[settings.task.name](settings, job)
    _print(result, settings.output, job)
    if result.problem is not None:
        raise (NoEvidence if result.exit_code == NO_EVIDENCE else UserError)(result.problem)
    return result.exit_code


def _list(_: Settings, __: Job) -> Result:
    from benchbench.experiments.inventory import inventory
    from benchbench.report.documents import inventory_document
    from benchbench.report.tables import inventory_tables

    found = inventory()
    rows = [asdict(variant) for variant in found.variants]
    return Result(inventory_tables(found), inventory_document(found), rows)


def _profile(settings: Settings, job: Job) -> Result:
    from benchbench.report.documents import profile_document, profile_row
    from benchbench.report.pictures import save
    from benchbench.report.tables import profile_tables

    case = from_settings(settings, job.model_name)
    if settings.plan:
        return _plan([case], settings.profiler, settings)
    runs = Path(settings.results) / "runs"
    plots = not job.sweep if settings.plots is None else settings.plots
    if plots:
        try:
            check_writable(runs)
        except OSError as error:
            message = f"results={settings.results} cannot be written: {error.strerror}"
            raise UserError(message) from error
    (record,), interrupted = _recorded([case], settings.profiler, settings, job)
    folder, problem = None, None
    if plots and not interrupted:
        try:
            folder = save(record, runs)
        except OSError as error:
            problem = f"record {record.id} is kept, but its pictures are not: {error}"
    where = None if folder is None else str(folder)
    return Result(
        profile_tables(record, where),
        profile_document(record, where),
        [profile_row(record)],
        INTERRUPTED if interrupted else DONE,
        problem,
    )


def _crosscheck(settings: Settings, job: Job) -> Result:
    from benchbench.experiments.crosscheck import PROFILERS, judge
    from benchbench.report.documents import crosscheck_document
    from benchbench.report.tables import crosscheck_tables

    case = from_settings(settings, job.model_name)
    if settings.plan:
        return _plan([case], PROFILERS, settings)
    (record,), interrupted = _recorded([case], PROFILERS, settings, job)
    if interrupted:
        raise KeyboardInterrupt
    result = judge(record)
    document = crosscheck_document(record, result)
    return Result(
        crosscheck_tables(record, result),
        document,
        [{"model": case.name} | row for row in document["operators"]],
        result.exit_code,
    )


def _accuracy(settings: Settings, job: Job) -> Result:
    from benchbench.experiments.accuracy import PROFILERS, judge
    from benchbench.report.documents import accuracy_document, accuracy_row
    from benchbench.report.tables import accuracy_tables

    case = from_settings(settings, job.model_name)
    if case.input == "random":
        raise UserError("input=random: task=accuracy needs a folder of images, input=FOLDER")
    if settings.plan:
        return _plan([case], PROFILERS, settings)
    (record,), interrupted = _recorded([case], PROFILERS, settings, job)
    result = judge(record)
    return Result(
        accuracy_tables(record, result),
        accuracy_document(record, result),
        [accuracy_row(record, result)],
        INTERRUPTED if interrupted else result.exit_code,
        None if interrupted else result.why_none,
    )


def _rank(settings: Settings, job: Job) -> Result:
    from benchbench.experiments.rank import PROFILERS, judge
    from benchbench.report.rank import rank_document, rank_rows, rank_tables

    if settings.records is not None:
        records = _latest_session(settings)
        interrupted = False
    else:
        cases = from_models(settings)
        if settings.plan:
            return _plan(cases, PROFILERS, settings)
        records, interrupted = _recorded(cases, PROFILERS, settings, job)
    known = _threshold(settings, records[0].environment)
    result = judge(records, known.theta)
    return Result(
        rank_tables(result, known.source),
        rank_document(result, known.source),
        rank_rows(result),
        INTERRUPTED if interrupted else DONE,
    )


def _selftest(settings: Settings, job: Job) -> Result:
    from benchbench.config import model_settings
    from benchbench.experiments.selftest import NETWORK, PROFILERS, cases, judge
    from benchbench.report.selftest import selftest_document, selftest_rows, selftest_tables

    own = replace(settings, model=model_settings(NETWORK))
    both = cases(from_settings(own, NETWORK))
    if settings.plan:
        return _plan(both, PROFILERS, settings)
    records, interrupted = _recorded(both, PROFILERS, own, job)
    result = judge(records)
    return Result(
        selftest_tables(records, result),
        selftest_document(records, result),
        selftest_rows(records, result),
        INTERRUPTED if interrupted else DONE,
    )


def _compare(settings: Settings, job: Job) -> Result:
    from benchbench.entries import find
    from benchbench.experiments.compare import judge
    from benchbench.report.compare import compare_document, compare_rows, compare_tables

    for key in ("baseline", "candidate"):
        if getattr(settings, key) is None:
            raise UserError(f"{key}=null: say {key}=TAG, a record's id or a file")
    before = find(str(settings.baseline), "baseline", settings.store.url)
    after = find(str(settings.candidate), "candidate", settings.store.url)
    known = _threshold(settings, before[-1].environment)
    result = judge(before, after, known.theta, force=settings.force)
    return Result(
        compare_tables(result, settings.baseline, settings.candidate, known.source),
        compare_document(result, settings, known.source, job.command),
        compare_rows(result),
        result.exit_code,
        result.why_none,
    )


def _latest_session(settings: Settings) -> list[Record]:
    """The stored records that took turns with the newest of those that were asked for."""
    from benchbench.entries import stored

    records = stored(str(settings.records), settings.store.url)
    if not records:
        raise NoEvidence(f"records={settings.records}: no record or tag is called so")
    session = records[-1].session
    return [record for record in records if record.session == session]


def _threshold(settings: Settings, environment: Mapping[str, Any]) -> Threshold:
    """What counts as a change in the environment of a record."""
    from benchbench.experiments.selftest import TASK, known_threshold
    from benchbench.store import Store

    store = Store(settings.store.url)
    try:
        selftests = store.records(task=TASK, fingerprint=environment["fingerprint"])
    finally:
        store.close()
    return known_threshold(selftests)


def _recorded(
    cases: Sequence[Case], profilers: ProfilerSettings, settings: Settings, job: Job
) -> tuple[list[Record], bool]:
    """Measure cases and keep their records; also, whether Ctrl-C ended it early.

    The store is told after every process, so that a run that is killed loses one at most.
    """
    from benchbench.measure import Measured, measure
    from benchbench.records import Origin, new_identity, record
    from benchbench.store import Store

    identities = [new_identity() for _ in cases]
    session = identities[0].id if len(cases) > 1 else None
    origin = Origin(settings.task.name, plain(settings), job.command, settings.tag, session)
    known: dict[str, Record] = {}

    def keep(found: Sequence[Measured]) -> None:
        for measured, identity in zip(found, identities, strict=True):
            if measured.measurements:
                known[identity.id] = record(measured, origin, identity)
                store.put(known[identity.id])

    store = Store(settings.store.url)
    try:
        with _progress_bar(", ".join(case.name for case in cases)) as progress:
            found = measure(cases, profilers, settings.budget, progress, keep, _say)
        interrupted = any(measured.interrupted for measured in found)
        if interrupted and not any(measured.measurements for measured in found):
            raise KeyboardInterrupt
        keep(found)
    except UserError as error:
        if known:
            error.args = (f"{error}; kept until then: {', '.join(known)}",)
        raise
    finally:
        store.close()
    if not known:
        raise UserError("nothing was measured: choose a profiler, or let it finish one")
    return list(known.values()), interrupted


def _say(line: str) -> None:
    print(f"benchbench: {line}", file=sys.stderr, flush=True)


def _plan(cases: Sequence[Case], profilers: ProfilerSettings, settings: Settings) -> Result:
    from benchbench.records import SCHEMA_VERSION
    from benchbench.report.tables import plan_table

    names = [name for name, wanted in asdict(profilers).items() if wanted]
    entries = [
        asdict(case) | {"input_shape": list(case.input_shape), "profilers": names} for case in cases
    ]
    document = {"schema_version": SCHEMA_VERSION, "task": settings.task.name, "plan": entries}
    return Result([plan_table(cases, names, settings.budget.name)], document, entries)


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


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Whatever writes to stdout, Python or not, writes to stderr for now."""
    sys.stdout.flush()
    before = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdout.flush()
        ctypes.CDLL(None).fflush(None)  # what C has buffered belongs to stderr as well
        os.dup2(before, 1)
        os.close(before)


def _print(result: Result, output: str, job: Job) -> None:
    if output == "json":
        layout: dict[str, Any] = {"separators": (",", ":")} if job.sweep else {"indent": 2}
        print(json.dumps(result.document, allow_nan=False, **layout))
    elif output == "csv":
        import pandas

        frame = pandas.DataFrame(result.rows)
        print(frame.to_csv(index=False, header=job.first_row), end="")
    else:
        from rich.console import Console
        from rich.text import Text

        # Piped into a file there is no width to fit into: long rows stay whole.
        console = Console(width=None if sys.stdout.isatty() else 140)
        with console.capture() as captured:  # rich itself would exit on a closed pipe
            for part in result.parts:
                # A command is to be copied: it is neither wrapped nor cut.
                console.print(part, soft_wrap=isinstance(part, Text))
        print(captured.get(), end="")
    sys.stdout.flush()


def check_choices(settings: Settings) -> None:
    """Refuse a choice whose folder has the file but whose content was overridden to nonsense.

    Raises:
        UserError: `device.type=tpu`, `runtime.name=jax` and the like.
    """
    for group, name in (("device", settings.device.type), ("runtime", settings.runtime.name)):
        if name not in options(group):
            raise unknown_option(group, name)
    if settings.labels is not None and settings.task.name != "accuracy":
        raise UserError(f"labels={settings.labels}: only task=accuracy reads labels")
    if settings.profiler.accuracy:
        raise UserError("profiler.accuracy=true: it needs other input, so say task=accuracy")
    if not any(asdict(settings.profiler).values()):
        raise UserError(f"no profiler: allowed are {', '.join(options('profiler'))}")
