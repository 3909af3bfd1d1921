"""Tasks on networks that take turns, or on stored runs of them."""

from __future__ import annotations

from dataclasses import replace

from benchbench.cases import from_models, from_settings
from benchbench.config import Settings
from benchbench.errors import UserError
from benchbench.jobs import DONE, INTERRUPTED, NO_EVIDENCE, Job, Result
from benchbench.recording import recorded
from benchbench.tasks.shared import named_records, plan, threshold


def rank(settings: Settings, job: Job) -> Result:
    from benchbench.experiments.rank import PROFILERS, judge
    from benchbench.report.rank import rank_document, rank_rows, rank_tables

    if settings.records is not None:
        records = named_records(settings)
        interrupted = False
    else:
        cases = from_models(settings)
        if settings.plan:
            return plan(cases, PROFILERS, settings)
        records, interrupted = recorded(cases, PROFILERS, settings, job)
    known = threshold(settings, records[0].environment)
    result = judge(records, known.theta)
    return Result(
        rank_tables(result, known.source),
        rank_document(result, known.source),
        rank_rows(result),
        INTERRUPTED if interrupted else DONE if result.decided else NO_EVIDENCE,
        None if interrupted or result.decided else "no evidence: every pair is ambiguous",
    )


def selftest(settings: Settings, job: Job) -> Result:
    from benchbench.config import model_settings
    from benchbench.experiments.selftest import NETWORK, PROFILERS, cases, judge
    from benchbench.report.selftest import selftest_document, selftest_rows, selftest_tables

    own = replace(settings, model=model_settings(NETWORK))
    both = cases(from_settings(own, NETWORK))
    if settings.plan:
        return plan(both, PROFILERS, settings)
    records, interrupted = recorded(both, PROFILERS, own, job)
    result = judge(records)
    return Result(
        selftest_tables(records, result),
        selftest_document(records, result),
        selftest_rows(records, result),
        INTERRUPTED if interrupted else DONE,
    )


def compare(settings: Settings, job: Job) -> Result:
    from benchbench.entries import find
    from benchbench.experiments.compare import judge
    from benchbench.report.compare import compare_document, compare_rows, compare_tables

    for key in ("baseline", "candidate"):
        if getattr(settings, key) is None:
            raise UserError(f"{key}=null: say {key}=TAG, a record's id or a file")
    before = find(str(settings.baseline), "baseline", settings.store.url)
    after = find(str(settings.candidate), "candidate", settings.store.url)
    known = threshold(settings, before[-1].environment)
    result = judge(before, after, known.theta, force=settings.force)
    return Result(
        compare_tables(result, settings.baseline, settings.candidate, known.source),
        compare_document(result, settings, known.source, job.command),
        compare_rows(result),
        result.exit_code,
        result.why_none,
    )
