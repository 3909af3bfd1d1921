"""task=ablation: a network of MBConv blocks rewritten edit by edit."""

from __future__ import annotations

from functools import partial

from benchbench.cases import Case, from_settings
from benchbench.config import RuntimeSettings, Settings, executed
from benchbench.jobs import DONE, INTERRUPTED, NO_EVIDENCE, Job, Result
from benchbench.recording import recorded
from benchbench.support import executes
from benchbench.tasks.shared import drawn, named_records, picture_folder, plan, threshold


def ablation(settings: Settings, job: Job) -> Result:
    from benchbench.experiments.ablation import judge
    from benchbench.experiments.ablation_design import PROFILERS, cases
    from benchbench.report.ablation import ablation_tables
    from benchbench.report.ablation_document import ablation_document, ablation_rows
    from benchbench.report.ablation_pictures import save

    interrupted, runs = False, None if settings.plan else picture_folder(settings, job)
    if settings.records is not None:
        records = named_records(settings)
    else:
        first, *others = _ways(settings, job)
        designed = cases(first, others, settings.ablation)
        if settings.plan:
            return plan(designed, PROFILERS, settings)
        records, interrupted = recorded(designed, PROFILERS, settings, job)
    known = threshold(settings, records[0].environment)
    result = judge(records, known.theta)
    folder, problem = drawn(partial(save, result), None if interrupted else runs, records)
    if not interrupted and not result.decided:
        problem = "no evidence: every edit is ambiguous"
    return Result(
        ablation_tables(result, known.source, folder),
        ablation_document(result, known.source, folder),
        ablation_rows(result),
        INTERRUPTED if interrupted else DONE if result.decided else NO_EVIDENCE,
        problem,
    )


def _ways(settings: Settings, job: Job) -> list[Case]:
    """The network in each of the runtimes that were asked for, or in two that differ much."""
    from benchbench.experiments.ablation_design import RUNTIMES

    asked = settings.runtimes
    if not asked and settings.runtime.name != RuntimeSettings().name:
        asked = [settings.runtime.name]
    runtimes = asked or [
        name
        for name in RUNTIMES[settings.device.type]
        if executes(name, settings, settings.precision)
    ]
    return [
        from_settings(executed(settings, runtime, settings.precision), job.model_name)
        for runtime in runtimes
    ]
