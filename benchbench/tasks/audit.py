"""Networks under the guidelines: counted, and what a violation costs timed for a single one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchbench.cases import Case, from_models, from_settings
from benchbench.config import ProfilerSettings, Settings
from benchbench.errors import NoEvidence, UserError
from benchbench.jobs import DONE, INTERRUPTED, NO_EVIDENCE, Job, Result
from benchbench.recording import recorded
from benchbench.tasks.shared import latest_session, plan

if TYPE_CHECKING:
    from benchbench.experiments.audit import Audit
    from benchbench.records import Record

COUNTED = ProfilerSettings(complexity=True)


def audit(settings: Settings, job: Job) -> Result:
    from benchbench.experiments.audit import thresholds_of

    thresholds_of(settings.task.rule)  # refused before anything is measured
    if settings.records is not None:
        return _judged(latest_session(settings), settings, interrupted=False)
    if settings.mode != "inference":
        raise UserError(f"mode={settings.mode}: task=audit is about the forward alone")
    cases, profilers = _cases(settings, job)
    if settings.plan:
        return plan(cases, profilers, settings)
    records, interrupted = recorded(cases, profilers, settings, job)
    return _judged(records, settings, interrupted=interrupted)


def _cases(settings: Settings, job: Job) -> tuple[list[Case], ProfilerSettings]:
    """Several networks are counted alone: to time the layers of each would take hours."""
    if settings.models:
        if settings.model.get("_target_"):
            raise UserError("task=audit takes model=NAME or models=[...], and not both")
        return from_models(settings), COUNTED
    case = from_settings(settings, job.model_name)
    return _swaps(case) if settings.profiler.latency else ([case], COUNTED)


def _swaps(case: Case) -> tuple[list[Case], ProfilerSettings]:
    """The network and its worst layers, each beside one that obeys."""
    from benchbench.experiments.audit import worst_layers
    from benchbench.experiments.swaps import PROFILERS, cases
    from benchbench.networks import look
    from benchbench.profilers.complexity import complexity

    counts = look(case, complexity).measurements
    paper = next(count for count in counts if count.metric == "memory_access_paper")
    return cases(case, worst_layers(paper)), PROFILERS


def _judged(records: Sequence[Record], settings: Settings, *, interrupted: bool) -> Result:
    from benchbench.experiments.audit import judge, thresholds_of
    from benchbench.experiments.swaps import is_lone, judge_swaps
    from benchbench.report.audit import audit_document, audit_rows, audit_tables

    thresholds = thresholds_of(settings.task.rule)
    audits = [judge(record, thresholds) for record in records if not is_lone(record)]
    if not audits:
        raise NoEvidence(f"record {records[0].id}: there is no record of the network beside it")
    swaps = judge_swaps(records)
    known = any(found.known for found in audits)
    return Result(
        audit_tables(audits, swaps),
        audit_document(audits, swaps),
        audit_rows(audits),
        INTERRUPTED if interrupted else DONE if known else NO_EVIDENCE,
        None if interrupted or known else _why(audits),
    )


def _why(audits: Sequence[Audit]) -> str:
    names = ", ".join(audit.record.case.name for audit in audits)
    return f"no evidence: {names} executes no convolution that could be scored"
