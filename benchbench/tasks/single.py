"""Tasks on one network: its profile, and whether it agrees with others."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from benchbench.cases import from_settings
from benchbench.config import Settings
from benchbench.errors import UserError
from benchbench.jobs import DONE, INTERRUPTED, Job, Result
from benchbench.recording import recorded
from benchbench.tasks.shared import drawn, picture_folder, plan


def profile(settings: Settings, job: Job) -> Result:
    from benchbench.report.documents import profile_document, profile_row
    from benchbench.report.operators import operator_tables, operators_document
    from benchbench.report.pictures import save
    from benchbench.report.tables import profile_tables

    case = from_settings(settings, job.model_name)
    if settings.plan:
        return plan([case], settings.profiler, settings)
    runs = picture_folder(settings, job)
    (record,), interrupted = recorded([case], settings.profiler, settings, job)
    where, problem = drawn(partial(save, record), None if interrupted else runs, [record])
    return Result(
        profile_tables(record, where, operator_tables(record)),
        profile_document(record, where) | operators_document(record),
        [profile_row(record)],
        INTERRUPTED if interrupted else DONE,
        problem,
    )


def crosscheck(settings: Settings, job: Job) -> Result:
    from benchbench.experiments.crosscheck import PROFILERS, judge
    from benchbench.report.documents import crosscheck_document
    from benchbench.report.tables import crosscheck_tables

    case = from_settings(settings, job.model_name)
    if settings.plan:
        return plan([case], PROFILERS, settings)
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


def accuracy(settings: Settings, job: Job) -> Result:
    from benchbench.experiments.accuracy import PROFILERS, judge
    from benchbench.report.documents import accuracy_document, accuracy_row
    from benchbench.report.tables import accuracy_tables

    case = from_settings(settings, job.model_name)
    if case.input == "random":
        raise UserError("input=random: task=accuracy needs a folder of images, input=FOLDER")
    if settings.plan:
        return plan([case], PROFILERS, settings)
    (record,), interrupted = recorded([case], PROFILERS, settings, job)
    result = judge(record)
    return Result(
        accuracy_tables(record, result),
        accuracy_document(record, result),
        [accuracy_row(record, result)],
        INTERRUPTED if interrupted else result.exit_code,
        None if interrupted else result.why_none,
    )


def agreement(settings: Settings, job: Job) -> Result:
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
        return plan([case], PROFILERS, settings)
    (record,), interrupted = recorded([case], PROFILERS, settings, job)
    result = judge(record)
    return Result(
        agreement_tables(record, result),
        agreement_document(record, result),
        [agreement_row(record, result)],
        INTERRUPTED if interrupted else result.exit_code,
        None if interrupted else result.why_none,
    )
