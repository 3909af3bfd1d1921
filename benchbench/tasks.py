"""The tasks: each lists its cases, has them measured or read, judged, and put into a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbench.cases import Case, from_models, from_settings
from benchbench.config import ProfilerSettings, Settings
from benchbench.errors import NoEvidence, UserError
from benchbench.folders import check_writable
from benchbench.jobs import DONE, INTERRUPTED, NO_EVIDENCE, Job, Result
from benchbench.recording import recorded

if TYPE_CHECKING:
    from benchbench.experiments.selftest import Threshold
    from benchbench.records import Record


def _list(_: Settings, __: Job) -> Result:
    from benchbench.experiments.inventory import inventory
    from benchbench.report.documents import inventory_document
    from benchbench.report.tables import inventory_tables

    found = inventory()
    rows = [asdict(variant) for variant in found.variants]
    return Result(inventory_tables(found), inventory_document(found), rows)


def _profile(settings: Settings, job: Job) -> Result:
    from benchbench.report.documents import profile_document, profile_row
    from benchbench.report.operators import operator_tables, operators_document
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
    (record,), interrupted = recorded([case], settings.profiler, settings, job)
    folder, problem = None, None
    if plots and not interrupted:
        try:
            folder = save(record, runs)
        except OSError as error:
            problem = f"record {record.id} is kept, but its pictures are not: {error}"
    where = None if folder is None else str(folder)
    return Result(
        profile_tables(record, where, operator_tables(record)),
        profile_document(record, where) | operators_document(record),
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
    (record,), interrupted = recorded([case], PROFILERS, settings, job)
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
    (record,), interrupted = recorded([case], PROFILERS, settings, job)
    result = judge(record)
    return Result(
        accuracy_tables(record, result),
        accuracy_document(record, result),
        [accuracy_row(record, result)],
        INTERRUPTED if interrupted else result.exit_code,
        None if interrupted else result.why_none,
    )


def _agreement(settings: Settings, job: Job) -> Result:
    from benchbench.experiments.agreement import PROFILERS, REFERENCE, judge
    from benchbench.report.documents import agreement_document, agreement_row
    from benchbench.report.tables import agreement_tables

    case = replace(from_settings(settings, job.model_name), crops=settings.crops)
    if case.input == "random":
        raise UserError("input=random: task=agreement needs an image or a folder, input=PATH")
    if (case.runtime, case.precision) == REFERENCE:
        what = f"runtime={case.runtime} precision={case.precision}"
        raise UserError(f"{what}: task=agreement compares with that; choose another of either")
    if settings.plan:
        return _plan([case], PROFILERS, settings)
    (record,), interrupted = recorded([case], PROFILERS, settings, job)
    result = judge(record)
    return Result(
        agreement_tables(record, result),
        agreement_document(record, result),
        [agreement_row(record, result)],
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
        records, interrupted = recorded(cases, PROFILERS, settings, job)
    known = _threshold(settings, records[0].environment)
    result = judge(records, known.theta)
    return Result(
        rank_tables(result, known.source),
        rank_document(result, known.source),
        rank_rows(result),
        INTERRUPTED if interrupted else DONE if result.decided else NO_EVIDENCE,
        None if interrupted or result.decided else "no evidence: every pair is ambiguous",
    )


def _selftest(settings: Settings, job: Job) -> Result:
    from benchbench.config import model_settings
    from benchbench.experiments.selftest import NETWORK, PROFILERS, cases, judge
    from benchbench.report.selftest import selftest_document, selftest_rows, selftest_tables

    own = replace(settings, model=model_settings(NETWORK))
    both = cases(from_settings(own, NETWORK))
    if settings.plan:
        return _plan(both, PROFILERS, settings)
    records, interrupted = recorded(both, PROFILERS, own, job)
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


def _plan(cases: Sequence[Case], profilers: ProfilerSettings, settings: Settings) -> Result:
    from benchbench.records import SCHEMA_VERSION
    from benchbench.report.tables import plan_table

    names = [name for name, wanted in asdict(profilers).items() if wanted]
    entries = [
        asdict(case) | {"input_shape": list(case.input_shape), "profilers": names} for case in cases
    ]
    document = {"schema_version": SCHEMA_VERSION, "task": settings.task.name, "plan": entries}
    return Result([plan_table(cases, names, settings.budget.name)], document, entries)


TASKS = {
    "profile": _profile,
    "crosscheck": _crosscheck,
    "accuracy": _accuracy,
    "agreement": _agreement,
    "rank": _rank,
    "selftest": _selftest,
    "compare": _compare,
    "list": _list,
}
